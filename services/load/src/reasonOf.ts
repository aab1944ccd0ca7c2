import { Duration } from "effect"
import type { LoadReason, Verification } from "./LoadResult.ts"
import type { LoadOptions } from "./LoadOptions.ts"
import { type Arrival, longestStall } from "./LoadSession.ts"
import { isRight } from "./Verify.ts"
import type { Death } from "./Workers.ts"

/** `source-1 (3 times, last with code 1) and sink-2 (once, with SIGSEGV)` */
const endedWords = (deaths: ReadonlyArray<Death>): string => {
  const byWorker = new Map<string, Array<string>>()
  for (const { how, worker } of deaths) byWorker.set(worker, [...(byWorker.get(worker) ?? []), how])
  return [...byWorker]
    .map(([worker, hows]) =>
      hows.length === 1
        ? `${worker} (once, with ${hows[0] ?? ""})`
        : `${worker} (${hows.length} times, last with ${hows.at(-1) ?? ""})`
    )
    .join(" and ")
}

const whatEnded = (arrival: Arrival, options: Pick<LoadOptions, "longest">): string =>
  arrival === "stalled"
    ? `Nothing more arrived for ${Duration.format(longestStall)}.`
    : `Not everything had arrived after ${Duration.format(options.longest)} (--minutes).`

/** Why a test did not succeed; `null` when it did. `deaths` are ends of workers that nobody asked for. */
export const reasonOf = (found: {
  readonly arrival: Arrival
  readonly verification: ReadonlyArray<Verification>
  readonly deaths: ReadonlyArray<Death>
  readonly problems: ReadonlyArray<string>
  readonly options: Pick<LoadOptions, "longest">
}): LoadReason | null => {
  const { arrival, deaths, options, problems, verification } = found
  if (arrival !== "all") {
    const sentence = whatEnded(arrival, options)
    return deaths.length === 0
      ? { kind: arrival, sentence, problems }
      : { kind: "ended", sentence: `${sentence} Workers had ended by themselves: ${endedWords(deaths)}.`, problems }
  }
  if (verification.length === 0) return { kind: "uncompared", sentence: "Nothing was compared.", problems }
  if (verification.every(isRight)) return null
  return { kind: "differences", sentence: "Not every record is there once and as it was.", problems }
}
