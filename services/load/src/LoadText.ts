import type { ApiStats } from "./LoadApi.ts"
import type { LoadResult, Verification } from "./LoadResult.ts"
import type { Use } from "./ProcessUse.ts"
import { isRight } from "./Verify.ts"

const count = (value: number): string => Math.round(value).toLocaleString("en-US")
const mebibytes = (bytes: number): string => `${count(bytes / 1_048_576)} MiB`

const time = (millis: number): string =>
  millis < 1_000
    ? `${Math.round(millis)} ms`
    : millis < 60_000
      ? `${(millis / 1_000).toFixed(1)} s`
      : `${Math.floor(millis / 60_000)} min ${Math.round((millis % 60_000) / 1_000)} s`

/** How far a test is, in one line. */
export const progressLine = (now: {
  readonly begun: number
  readonly now: number
  readonly stats: ApiStats
  /** Rows of all tables, and how many there were so many seconds ago. */
  readonly rows: number
  readonly before: number
  readonly seconds: number
  readonly use: Use
}): string =>
  [
    time(now.now - now.begun),
    `read ${count(now.stats.records)}`,
    `loaded ${count(now.rows)} (${count(Math.max(0, now.rows - now.before) / now.seconds)}/s)`,
    `${mebibytes(now.use.rss)}`,
    ...(now.stats.errors + now.stats.dropped + now.stats.throttled === 0
      ? []
      : [`${count(now.stats.errors + now.stats.dropped + now.stats.cut + now.stats.throttled)} refused`])
  ].join("  ·  ")

const mostNamed = 5

/** Sum of all comparisons in one line, and what differs. */
const describeVerification = (all: ReadonlyArray<Verification>): ReadonlyArray<string> => {
  const sum = (of: (one: Verification) => number) => all.reduce((total, one) => total + of(one), 0)
  return [
    `${all.length} comparisons: missing ${count(sum((one) => one.missing))}, duplicated ${count(sum((one) => one.duplicated))}, ` +
      `altered ${count(sum((one) => one.altered))}, foreign ${count(sum((one) => one.foreign))}`,
    ...all.flatMap((one) =>
      isRight(one)
        ? []
        : [
            `${one.what}: ${count(one.found)} of ${count(one.expected)}`,
            ...one.differences.slice(0, mostNamed).map((line) => `    ${line}`),
            ...(one.differences.length > mostNamed ? [`    and more: --report or --json has them`] : [])
          ]
    )
  ]
}

/** What a test found, for a person. */
export const describeResult = (result: LoadResult): string => {
  const { api, duration, faults, freshness, knee, processes, reason, throughput } = result
  return [
    `${count(result.records)} records (${mebibytes(result.bytes)}) in ${time(duration)}: ` +
      `${count(throughput.mean)} rows/s, ${count(throughput.best)}/s in the best ten seconds`,
    `freshness, offered to queryable: p50 ${time(freshness.p50)}, p95 ${time(freshness.p95)}, p99 ${time(freshness.p99)}, longest ${time(freshness.longest)}`,
    `API: ${count(api.requests)} requests, ${count(api.tokenRequests)} for tokens, ${count(api.throttled)} throttled, ${count(api.errors)} errors, ` +
      `${count(api.dropped)} dropped, ${count(api.unauthorized)} unauthorized`,
    ...processes.map(
      ({ cpu, name, restarts, rss }) =>
        `    ${name.padEnd(24)} ${cpu.toFixed(1).padStart(8)} s CPU  ${mebibytes(rss).padStart(10)}${restarts === 0 ? "" : `  started ${restarts + 1} times`}`
    ),
    ...(faults.length === 0 ? [] : [`${faults.length} times a worker was killed or ended`]),
    ...(knee === undefined
      ? []
      : [
          `knee: ${count(knee.rate)} records/s with a 99th percentile of freshness of at most ${time(knee.objective)}`,
          ...knee.steps.map(
            (step) =>
              `    ${count(step.rate).padStart(10)}/s: loaded ${count(step.reached)}/s, p99 ${time(step.p99)}, ${step.cpu.toFixed(2)} cores, ${mebibytes(step.rss)}${step.lagGrew ? ", the lag grew" : ""}${step.kept ? "" : ": not kept"}`
          )
        ]),
    ...describeVerification(result.verification),
    ...(reason === null ? [] : [reason.sentence, ...reason.problems]),
    result.outcome === "ok" ? "OK: every record arrived, once and as it was" : result.outcome.toUpperCase()
  ].join("\n")
}
