import { type Comparison, type Death, describeComparison, differs } from "@tributary/load"
import type { Action } from "./Faults.ts"
import type { Freshness } from "./Freshness.ts"
import type { LogSummary } from "./Logs.ts"
import type { Progress } from "./Progress.ts"

/** Everything that is known about a run when it is over. */
export interface Outcome {
  readonly seed: number
  /** When the run began, milliseconds since 1970. */
  readonly begunAt: number
  readonly records: number
  /** How long faults were made, and how long it then took until everything had arrived (milliseconds). */
  readonly lasted: number
  readonly caughtUp: number | undefined
  readonly actions: ReadonlyArray<Action>
  readonly starts: Readonly<Record<string, number>>
  readonly deaths: ReadonlyArray<Death>
  readonly progress: Progress
  readonly logs: LogSummary
  readonly freshness: Freshness
  readonly comparisons: ReadonlyArray<Comparison>
  readonly dead: ReadonlyArray<string>
  /** How the workers ended when they were asked to. */
  readonly ends: Readonly<Record<string, string>>
}

/** Whether nothing was lost, doubled, altered or rejected, and everything arrived in time. */
export const isGood = ({ caughtUp, comparisons, dead }: Outcome): boolean =>
  caughtUp !== undefined && dead.length === 0 && !comparisons.some(differs)

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`
const mostComplaints = 15

/** The outcome as text; of each kind of difference at most `most` are named. */
export const describeOutcome = (outcome: Outcome, most: number): string => {
  const { actions, caughtUp, comparisons, dead, deaths, ends, freshness, logs, progress, starts } = outcome
  const done = actions.filter(({ skipped }) => !skipped).length
  const gaps = (["source", "transform", "sink"] as const).map(
    (stage) =>
      `${stage} ${seconds(progress[stage].longestGap)} (to ${seconds(progress[stage].gapEndedAt - outcome.begunAt)})`
  )
  const forced = Object.entries(ends).filter(([, how]) => how !== "code 0")
  return [
    `seed ${outcome.seed}: ${outcome.records} records, ${done} faults in ${seconds(outcome.lasted)} (${actions.length - done} left out)`,
    caughtUp === undefined
      ? "NOT everything arrived in time"
      : `everything had arrived ${seconds(caughtUp)} after the last fault`,
    `starts: ${Object.entries(starts)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
    `ended by themselves: ${deaths.length === 0 ? "none" : deaths.map(({ how, worker }) => `${worker} (${how})`).join(", ")}`,
    `did not end in order: ${forced.length === 0 ? "none" : forced.map(([name, how]) => `${name} (${how})`).join(", ")}`,
    `refused as fenced: ${logs.fenced}; plans replayed: ${logs.replayed}`,
    `longest time without progress: ${gaps.join(", ")}`,
    `freshness without faults, publication to queryable: p50 ${Math.round(freshness.p50)} ms, p99 ${Math.round(freshness.p99)} ms, longest ${Math.round(freshness.longest)} ms (${freshness.records} records)`,
    "what the workers complained of most:",
    ...logs.complaints.slice(0, mostComplaints).map(({ count, text }) => `    ${String(count).padStart(5)}  ${text}`),
    ...comparisons.map((comparison) => describeComparison(comparison, most)),
    dead.length === 0
      ? "dead letters: none"
      : `dead letters: ${dead.length}\n    ${dead.slice(0, most).join("\n    ")}`,
    isGood(outcome) ? "EXACT" : "FAILED"
  ].join("\n")
}
