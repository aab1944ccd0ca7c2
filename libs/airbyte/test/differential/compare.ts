/** Says in what two runs of one manifest differ. */
import { isPlainDict, type PlainDict, type Value } from "../../src/index.ts"
import { canonical } from "./api.ts"

const dict = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}
const list = (value: Value | undefined): ReadonlyArray<Value> => (Array.isArray(value) ? value : [])

/** A state without what says how long the run took. */
const withoutTime = (value: Value): Value => {
  if (value === null || !isPlainDict(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]): ReadonlyArray<readonly [string, Value]> => {
      if (key === "lookback_window") return []
      if (key === "states") return [[key, list(item).toSorted((a, b) => (canonical(a) < canonical(b) ? -1 : 1))]]
      if (key === "parent_state") {
        return [
          [key, Object.fromEntries(Object.entries(dict(item)).map(([name, inner]) => [name, withoutTime(inner)]))]
        ]
      }
      return [[key, item]]
    })
  )
}

const difference = (what: string, cdk: ReadonlyArray<string>, ours: ReadonlyArray<string>): ReadonlyArray<string> => {
  const rest = [...ours]
  const missing: Array<string> = []
  for (const text of cdk) {
    const at = rest.indexOf(text)
    if (at === -1) missing.push(text)
    else rest.splice(at, 1)
  }
  return [
    ...missing.slice(0, 3).map((text) => `${what} only with the CDK: ${text.slice(0, 600)}`),
    ...rest.slice(0, 3).map((text) => `${what} only here: ${text.slice(0, 600)}`)
  ]
}

export interface Run {
  readonly outcome: PlainDict
  readonly requests: ReadonlyArray<string>
}

/** The differences of two runs; where there are any, why each of the two failed, if it did. */
export const compare = (verb: string, cdk: Run, ours: Run): ReadonlyArray<string> => {
  const found = differencesOf(verb, cdk, ours)
  if (found.length === 0) return found
  const why = (run: Run) => String(run.outcome["error"] ?? "no error").slice(0, 400)
  const errors = [`with the CDK: ${why(cdk)}`, `here: ${why(ours)}`].filter((text) => !text.endsWith("no error"))
  return [...errors.map((text) => `error ${text}`), ...found]
}

const differencesOf = (verb: string, cdk: Run, ours: Run): ReadonlyArray<string> => {
  const found: Array<string> = []
  const at = (run: Run, name: string): Value => run.outcome[name] ?? null
  if (verb === "check") {
    if (at(cdk, "check") !== at(ours, "check")) {
      found.push(`check: ${String(at(cdk, "check"))} with the CDK, ${String(at(ours, "check"))} here`)
    }
    return found
  }
  if (verb === "discover") {
    const streams = (run: Run) => list(at(run, "streams")).map(canonical)
    return difference("stream", streams(cdk), streams(ours))
  }
  const names = new Set([...Object.keys(dict(at(cdk, "records"))), ...Object.keys(dict(at(ours, "records")))])
  for (const name of names) {
    const records = (run: Run) => list(dict(at(run, "records"))[name]).map(canonical)
    found.push(...difference(`record of ${name}`, records(cdk), records(ours)))
  }
  const states = (run: Run) =>
    Object.entries(dict(at(run, "states"))).map(([name, state]) => `${name} ${canonical(withoutTime(state))}`)
  found.push(...difference("state", states(cdk), states(ours)))
  found.push(...difference("request", cdk.requests, ours.requests))
  const incomplete = (run: Run) => [...new Set(list(at(run, "incomplete")).map(String))]
  found.push(...difference("incomplete stream", incomplete(cdk), incomplete(ours)))
  // How often a token is renewed depends on how many streams are read at once.
  const controls = (run: Run) => [
    ...new Set(list(at(run, "controls")).map((config) => canonical(config).replace(/(\.\d{3})\d{3}(?=\+00:00)/g, "$1")))
  ]
  found.push(...difference("changed config", controls(cdk), controls(ours)))
  const failed = (run: Run) => at(run, "failed") === true
  if (failed(cdk) !== failed(ours)) {
    found.push(`failed: ${failed(cdk)} with the CDK, ${failed(ours)} here`)
  }
  return found
}
