import type { SeenRequest } from "./FleetServer.ts"
import { absence, type FleetOptions, requestTime } from "./options.ts"

/** What a run of the fleet left behind. Times are milliseconds, on one clock. */
export interface FleetRecord {
  readonly options: FleetOptions
  readonly seen: ReadonlyArray<SeenRequest>
  /** Token families that the server revoked because a refresh token was used twice. */
  readonly revoked: number
  /** Fingerprints of the access tokens that the server issued. */
  readonly issued: ReadonlySet<string>
  /** Fingerprints that processes saw, by authorization and generation. */
  readonly tokens: ReadonlyMap<string, ReadonlySet<string>>
  readonly killedAt: number
  readonly outage: { readonly from: number; readonly busyFrom: number; readonly until: number }
  readonly failures: ReadonlyArray<{ readonly at: number; readonly failureClass: string; readonly message: string }>
  readonly gets: number
  readonly apiCalls: number
  readonly apiRefused: number
  readonly longestWait: number
  readonly isComplete: boolean
}

export interface Check {
  readonly name: string
  readonly found: string
  readonly expected: string
  readonly isGood: boolean
}

/** Most requests in any span of this length. */
export const peak = (times: ReadonlyArray<number>, span: number): number => {
  let most = 0
  let from = 0
  for (let to = 0; to < times.length; to++) {
    while ((times[to] ?? 0) - (times[from] ?? 0) >= span) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}

const check = (name: string, found: number, expected: number, isAtMost = false): Check => ({
  name,
  found: String(Math.round(found * 100) / 100),
  expected: `${isAtMost ? "at most " : ""}${expected}`,
  isGood: isAtMost ? found <= expected : found === expected
})

/** A token that is replaced in this part of its life was replaced by somebody who did not see that it was fresh. */
const earliest = 0.4

/** Requests that the server carried out for one refresh token of one authorization, in the order in which they came. */
const byLife = (seen: ReadonlyArray<SeenRequest>) => {
  const lives = new Map<string, Array<SeenRequest>>()
  for (const request of seen) {
    if (request.status === 503) continue
    const key = `${request.authorization}/${request.life}`
    const same = lives.get(key)
    if (same === undefined) lives.set(key, [request])
    else same.push(request)
  }
  return lives
}

/** Judges a run. */
export const judge = (record: FleetRecord): ReadonlyArray<Check> => {
  const { killedAt, options, outage, seen } = record
  const lives = byLife(seen)
  let races = 0
  let recovered = 0
  for (const [first, ...others] of lives.values()) {
    if (first === undefined || others.length === 0) continue
    // The answer of a request died with its process; another asked again, which the provider's grace allows.
    const isLost = Math.abs(first.at - killedAt) < 2 * requestTime && others.length === 1
    if (isLost) recovered++
    else races++
  }
  let premature = 0
  let late = 0
  for (const [key, requests] of lives) {
    const [authorization, life] = key.split("/").map(Number)
    const next = lives.get(`${authorization}/${(life ?? 0) + 1}`)?.[0]
    const issued = requests.at(-1)
    if (next === undefined || issued === undefined) continue
    const used = next.at - issued.at
    const isDisturbed = [outage.from, killedAt].some((at) => next.at > at && issued.at < at + options.life + absence)
    if (used < earliest * options.life) premature++
    if (used > options.life && !isDisturbed && issued.at > outage.until) late++
  }
  const times = seen.map(({ at }) => at)
  const after = seen.filter(({ at }) => at >= outage.until && at < outage.until + options.life)
  const during = seen.filter(({ at }) => at >= outage.busyFrom && at < outage.until)
  const split = [...record.tokens.values()].filter((prints) => prints.size > 1).length
  const foreign = [...record.tokens.values()].filter((prints) => [...prints].some((print) => !record.issued.has(print)))
  // A process that was killed keeps its leases until they end, and whoever waits for one gives up after a request's time.
  const isOfKill = (at: number) => at > killedAt && at < killedAt + 5 * requestTime
  const isOfOutage = (at: number) => at > outage.from && at < outage.until + 12_000 + options.life
  const quiet = record.failures.filter(({ at }) => !isOfKill(at) && !isOfOutage(at))
  const refused = seen.filter(({ status }) => status !== 200 && status !== 503).length
  const done = Math.min(
    ...Array.from({ length: options.authorizations }, (_, authorization) => {
      let reached = 0
      while (lives.has(`${authorization}/${reached}`)) reached++
      return reached
    })
  )
  const busySeconds = options.outage / 2000
  return [
    { ...check("lives of each authorization", done, options.lives), isGood: done >= options.lives },
    check("lives with more than one refresh (races)", races, 0),
    check("tokens replaced while fresh (races)", premature, 0),
    check("refreshes repeated because of the kill", recovered, options.authorizations, true),
    check("requests that the server refused", refused, 0),
    check("families revoked", record.revoked, 0),
    check("generations with two tokens", split, 0),
    check("tokens used that were never issued", foreign.length, 0),
    check("API requests refused", record.apiRefused, 0),
    check("failures outside of outage and kill", quiet.length, 0),
    check("token requests in any second", peak(times, 1000), options.budget, true),
    check(
      "in any second, during the outage",
      peak(
        during.map(({ at }) => at),
        1000
      ),
      options.budget,
      true
    ),
    check(
      "requests per authorization in the outage, per 10 s",
      (during.length / options.authorizations / Math.max(1, busySeconds)) * 10,
      options.processes * 8,
      true
    ),
    check(
      "in any second, within a life after the outage",
      peak(
        after.map(({ at }) => at),
        1000
      ),
      options.budget,
      true
    ),
    {
      ...check(
        "refreshed again within a life after the outage",
        new Set(after.map((one) => one.authorization)).size,
        0
      ),
      expected: "told",
      isGood: true
    },
    { ...check("tokens that ended before the next one was there", late, 0), expected: "told", isGood: true }
  ]
}

/** The result as a table. */
export const table = (record: FleetRecord, checks: ReadonlyArray<Check>): string => {
  const { options } = record
  const width = Math.max(...checks.map(({ name }) => name.length))
  const carriedOut = record.seen.filter(({ status }) => status === 200).length
  const head =
    `${options.connectors} connectors, ${options.authorizations} authorizations, ${options.processes} processes; tokens live ${options.life / 1000} s; ` +
    `${carriedOut} refreshes, ${record.gets} tokens asked for, ${record.apiCalls} API requests; ` +
    `one process killed, the server away for ${(options.outage / 1000).toFixed(0)} s; ` +
    `longest wait for a token ${Math.round(record.longestWait)} ms`
  const lines = checks.map(
    ({ expected, found, isGood, name }) =>
      `${isGood ? "ok    " : "WRONG "} ${name.padEnd(width)}  ${found.padStart(8)}   ${expected}`
  )
  return [head, ...lines].join("\n")
}
