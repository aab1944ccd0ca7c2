/** One manifest run by both, and what comes of it. */
import { performance } from "node:perf_hooks"
import process from "node:process"
import { writeFileSync } from "node:fs"
import {
  type Manifest,
  ManifestError,
  manifestOf,
  missingBeside,
  parseJson,
  type PlainDict,
  type Value,
  writeJson
} from "../../src/index.ts"
import type { startApi } from "./api.ts"
import { asMessages, type Case, caseOf, dict, manifestIn, type Verb } from "./cases.ts"
import { compare, type Run } from "./compare.ts"
import { type Runner, TimeoutError } from "./python.ts"
import type { Variant } from "./synthetic/variant.ts"

export interface Verdict {
  readonly file: string
  readonly verdict: "equal" | "differs" | "not comparable"
  /** Why it is not comparable. */
  readonly why: string
  readonly differences: ReadonlyArray<string>
  readonly streams: number
  readonly records: number
  readonly requests: number
  readonly seconds: number
}

export interface Tools {
  readonly api: Awaited<ReturnType<typeof startApi>>
  readonly cdk: Runner
  readonly ours: Runner
  /** The longest that one run of one of the two may take. */
  readonly millis: number
  /** What of made-up configs and APIs is other than usual. */
  readonly variant: Variant
  /** Whether only a first read is compared. */
  readonly isReadOnly: boolean
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Streams that need Python of their own, by where they stand: `streams: [1, 4]`. They are left out for the CDK, and refused here. */
type Left = { readonly [setting: string]: ReadonlyArray<number> }

/** For a job of the CDK's. */
export const withoutOf = (left: Left): PlainDict =>
  Object.fromEntries(Object.entries(left).map(([setting, indices]) => [setting, [...indices]]))

const leftOf = (manifest: Manifest): Left => {
  const left: Record<string, Array<number>> = {}
  for (const { path } of manifest.missing) {
    const [, setting, index] = /^(streams|dynamic_streams)\[(\d+)\]/u.exec(path) ?? []
    if (setting === undefined || left[setting]?.includes(Number(index)) === true) continue
    left[setting] = [...(left[setting] ?? []), Number(index)]
  }
  return left
}

/** What stands in the way of a comparison before anything is run, or of that of some streams; undefined when nothing does. */
export const obstacle = (
  manifest: PlainDict
): { readonly refused: string } | { readonly python: string } | { readonly left: Left } | undefined => {
  try {
    const read = manifestOf(manifest)
    const [beside] = missingBeside(read, undefined)
    if (beside !== undefined) return { python: beside.path }
    const left = leftOf(read)
    const isAll = ["streams", "dynamic_streams"].every((setting) => {
      const streams = read.data[setting]
      return !Array.isArray(streams) || streams.length === (left[setting]?.length ?? 0)
    })
    if (isAll) return { python: "each of its streams" }
    return Object.keys(left).length === 0 ? undefined : { left }
  } catch (error) {
    if (error instanceof ManifestError) return { refused: error.message.split("\n").slice(0, 3).join("; ") }
    throw error
  }
}

export const noCase = (manifest: PlainDict, isCase: boolean): Case => ({
  isCase,
  manifest,
  config: {},
  state: [],
  api: []
})

/** Runs a file by both and compares. */
export const compareFile = async (tools: Tools, file: string, name: string): Promise<Verdict> => {
  const began = performance.now()
  const { api, cdk, millis, ours } = tools
  const differences: Array<string> = []
  const golden: PlainDict = {}
  let [streams, records, requests] = [0, 0, 0]
  const done = (verdict: Verdict["verdict"], problem = ""): Verdict => {
    const seconds = (performance.now() - began) / 1000
    const count = Object.values(left).flat().length
    const why = problem !== "" || count === 0 ? problem : `but for ${count} streams with Python of their own`
    return { file: name, verdict, why, differences, streams, records, requests, seconds }
  }
  let left: Left = {}
  /** What the CDK asked for until the API stopped it, where an error ends the walk here. */
  let endless: string | undefined
  const jobOf = (verb: Verb, given: Case, state: ReadonlyArray<Value>): string => {
    const { config, isCase: nested } = given
    return writeJson({ verb, file, nested, base: api.base, config, state: [...state], without: withoutOf(left) })
  }

  const withCdk = async (verb: Verb, given: Case, state: ReadonlyArray<Value>): Promise<Run> => {
    api.use(given.api)
    const outcome = dict(parseJson(await cdk.run(jobOf(verb, given, state), millis)))
    return { outcome, requests: api.take() }
  }

  const both = async (label: string, verb: Verb, given: Case, state: ReadonlyArray<Value>): Promise<Run> => {
    const theirs = await withCdk(verb, given, state)
    endless ??= api.repeated()
    const overrun = api.overrun()
    if (overrun !== undefined) throw new Overrun(`it makes more requests than are answered: ${overrun}`)
    api.use(given.api)
    const here = await (async (): Promise<Run> => {
      try {
        return { outcome: dict(parseJson(await ours.run(jobOf(verb, given, state), millis))), requests: api.take() }
      } catch (error) {
        // The CDK came to an end, so that this is a difference.
        return { outcome: { failed: true, check: "FAILED", error: messageOf(error) }, requests: api.take() }
      }
    })()
    differences.push(...compare(verb, theirs, here).map((text) => `${label}: ${text}`))
    golden[label] = { outcome: theirs.outcome, requests: [...theirs.requests] }
    if (verb === "discover") streams = Array.isArray(theirs.outcome["streams"]) ? theirs.outcome["streams"].length : 0
    if (verb === "read") {
      for (const list of Object.values(dict(theirs.outcome["records"])))
        records += Array.isArray(list) ? list.length : 0
      requests += theirs.requests.length
    }
    return theirs
  }

  try {
    const { isCase, manifest } = manifestIn(file)
    const met = obstacle(manifest)
    if (met !== undefined && "python" in met) return done("not comparable", `it has Python of its own: ${met.python}`)
    if (met !== undefined && "left" in met) left = met.left
    else if (met !== undefined) {
      const theirs = await withCdk("discover", noCase(manifest, isCase), [])
      if (theirs.outcome["failed"] === true) return done("not comparable", `both refuse it: ${met.refused}`)
      differences.push(`refused here only: ${met.refused}`)
      return done("differs")
    }
    const given = caseOf(file, tools.variant)
    if (!tools.isReadOnly) {
      await both("check", "check", given, given.state)
      await both("discover", "discover", given, given.state)
    }
    const first = await both("read", "read", given, given.state)
    if (!tools.isReadOnly && first.outcome["failed"] !== true)
      await both("again", "read", given, asMessages(first.outcome["states"]))
    if (differences.some((text) => text.includes("its pagination does not end")) && endless !== undefined) {
      return done(
        "not comparable",
        `a walk does not end: the CDK asks without end for ${endless}, which is an error here`
      )
    }
    if (differences.length > 0) return done("differs")
    if (process.env["WRITE"] !== undefined) {
      writeFileSync(file.replace(/\.ya?ml$/, ".json"), `${writeJson(golden)}\n`)
    }
    return done("equal")
  } catch (error) {
    if (differences.length > 0) return done("differs")
    if (error instanceof TimeoutError) return done("not comparable", `the CDK is out of time: ${messageOf(error)}`)
    if (error instanceof Overrun) return done("not comparable", error.message)
    if (error instanceof ManifestError && error.kind === "unreadable") {
      return done("not comparable", `it is no YAML mapping: ${error.message}`)
    }
    return done("not comparable", `it could not be run: ${messageOf(error)}`)
  }
}

class Overrun extends Error {}
