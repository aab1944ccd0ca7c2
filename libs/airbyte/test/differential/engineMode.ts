/** The same manifests as connector files in the engine: each stream has to give the records that airbyte-cdk gives. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { performance } from "node:perf_hooks"
import process from "node:process"
import { request } from "undici"
import { streamNameOf } from "../../src/engine/streamNameOf.ts"
import { ManifestError, parseJson, type PlainDict, type Value, writeJson } from "../../src/index.ts"
import { canonical } from "./api.ts"
import { caseOf, dict, goldenOf, manifestIn } from "./cases.ts"
import type { EngineRun } from "./engine.ts"
import { inTime, TimeoutError } from "./python.ts"
import { type Tools, type Verdict, messageOf, noCase, obstacle, withoutOf } from "./verdict.ts"

/** A connector file's config has no floats that are whole, so that 2.0 is 2 there. */
const plain = (text: string): string => text.replaceAll(/(\d)\.0(?=[,\]}])/g, "$1")

const sorted = (records: Value | undefined): ReadonlyArray<string> =>
  (Array.isArray(records) ? records : []).map((record) => plain(canonical(record))).toSorted()

const without = (list: ReadonlyArray<string>, others: ReadonlyArray<string>): ReadonlyArray<string> => {
  const rest = [...others]
  return list.filter((text) => {
    const at = rest.indexOf(text)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

/** In what a run in the engine departs from a read of airbyte-cdk. */
export const engineDifferences = (theirs: PlainDict, run: EngineRun): ReadonlyArray<string> => {
  const found: Array<string> = []
  const records = new Map(Object.entries(dict(theirs["records"])).map(([name, list]) => [streamNameOf(name), list]))
  const incomplete = new Set(
    (Array.isArray(theirs["incomplete"]) ? theirs["incomplete"] : []).map((name) => streamNameOf(String(name)))
  )
  for (const name of new Set([...records.keys(), ...Object.keys(run.records), ...Object.keys(run.failed)])) {
    const failed = run.failed[name]
    if (incomplete.has(name)) continue
    if (failed !== undefined) {
      found.push(`${name} fails only here: ${failed.slice(0, 600)}`)
      continue
    }
    const [cdk, ours] = [sorted(records.get(name)), sorted(run.records[name])]
    const show = (side: string, list: ReadonlyArray<string>) => {
      if (list.length > 0) found.push(`${name}: ${list.length} records only ${side}, such as ${list[0]?.slice(0, 600)}`)
    }
    show("with the CDK", without(cdk, ours))
    show("here", without(ours, cdk))
  }
  for (const name of incomplete) {
    if (run.failed[name] === undefined) found.push(`${name} fails only with the CDK: ${String(theirs["error"])}`)
  }
  return found
}

/** What a thread is told of a run in the engine. */
export interface EngineJob {
  readonly api: string
  readonly file: string
  readonly config: PlainDict
  readonly state: ReadonlyArray<Value>
  readonly restarts: boolean
  /** Names of the streams that the CDK found. */
  readonly streams: ReadonlyArray<string>
  readonly isSynthetic: boolean
}

/** A copy of the folder's schemas, beside which the manifest of a run is written. */
export const folderFor = (file: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "manifest-"))
  const schemas = join(dirname(file), "schemas")
  if (existsSync(schemas)) cpSync(schemas, join(folder, "schemas"), { recursive: true })
  return folder
}

const runOf = (value: Value): EngineRun => {
  const run = dict(value)
  const records: Record<string, Array<Value>> = {}
  for (const [name, list] of Object.entries(dict(run["records"]))) records[name] = Array.isArray(list) ? list : []
  const failed = Object.fromEntries(Object.entries(dict(run["failed"])).map(([name, text]) => [name, String(text)]))
  return { records, failed }
}

/** Runs a file by airbyte-cdk, or takes what it gave before, and in the engine in one go and with restarts. */
export const compareEngine = async (tools: Tools, file: string, name: string): Promise<Verdict> => {
  const began = performance.now()
  const { api, cdk, millis, ours } = tools
  const differences: Array<string> = []
  let [streams, records, requests] = [0, 0, 0]
  const done = (verdict: Verdict["verdict"], why = ""): Verdict => {
    const seconds = (performance.now() - began) / 1000
    return { file: name, verdict, why, differences, streams, records, requests, seconds }
  }
  try {
    const { isCase, manifest } = manifestIn(file)
    const met = obstacle(manifest)
    if (met !== undefined && "python" in met) return done("not comparable", `it has Python of its own: ${met.python}`)
    const kept = file.replace(/\.ya?ml$/, ".json")
    const left = met !== undefined && "left" in met ? met.left : {}
    const isRefused = met !== undefined && "refused" in met
    const given = !isRefused ? caseOf(file, tools.variant) : noCase(manifest, isCase)
    const golden = existsSync(kept) ? new Map(goldenOf(readFileSync(kept, "utf8"))).get("read") : undefined
    const read = async (): Promise<PlainDict> => {
      api.use(given.api)
      const verb = "read"
      const without = withoutOf(left)
      const { config, isCase: nested } = given
      const job = { verb, file, nested, base: api.base, config, state: [...given.state], without }
      const outcome = dict(parseJson(await cdk.run(writeJson(job), millis)))
      requests = api.take().length
      if (process.env["WRITE"] !== undefined && api.overrun() === undefined) {
        writeFileSync(kept, `${writeJson({ read: { outcome, requests: [] } })}\n`)
      }
      return outcome
    }
    const theirs = golden?.outcome ?? (await read())
    const overrun = api.overrun()
    if (overrun !== undefined) return done("not comparable", `it makes more requests than are answered: ${overrun}`)
    const found = dict(theirs["records"])
    const incomplete = Array.isArray(theirs["incomplete"]) ? theirs["incomplete"].map(String) : []
    const names = [...new Set([...Object.keys(found), ...Object.keys(dict(theirs["states"])), ...incomplete])]
    streams = names.length
    for (const list of Object.values(found)) records += Array.isArray(list) ? list.length : 0
    if (theirs["failed"] === true && records === 0) {
      return done("not comparable", `the CDK refuses it: ${String(theirs["error"])}`)
    }
    if (isRefused) {
      differences.push(`refused here only: ${met.refused}`)
      return done("differs")
    }
    const isDynamic = manifest["dynamic_streams"] !== undefined
    const isSynthetic = "answer" in given.api
    for (const restarts of [false, true]) {
      api.use(given.api)
      const job: EngineJob = {
        api: api.base,
        file,
        config: given.config,
        state: given.state,
        restarts,
        streams: isDynamic || Object.keys(left).length > 0 ? names.map(streamNameOf) : [],
        isSynthetic
      }
      const label = restarts ? "with restarts" : "in one go"
      try {
        const text = await inTime(
          ours.run(writeJson({ engine: { ...job, state: [...job.state], streams: [...job.streams] } }), millis),
          millis
        )
        differences.push(
          ...engineDifferences(theirs, runOf(parseJson(text))).map((difference) => `${label}: ${difference}`)
        )
      } catch (error) {
        differences.push(`${label}: ${messageOf(error)}`)
      }
    }
    return done(differences.length > 0 ? "differs" : "equal")
  } catch (error) {
    if (error instanceof TimeoutError) return done("not comparable", `the CDK is out of time: ${messageOf(error)}`)
    if (error instanceof ManifestError && error.kind === "unreadable") {
      return done("not comparable", `it is no YAML mapping: ${error.message}`)
    }
    return done("not comparable", `it could not be run: ${messageOf(error)}`)
  }
}

/** In the thread: runs a job, in a folder of its own. */
export const engineRun = async (given: Value): Promise<string> => {
  const { runEngine } = await import("./engine.ts")
  const job = dict(given)
  const file = String(job["file"])
  const list = (name: string) => {
    const value = job[name]
    return Array.isArray(value) ? value : []
  }
  const folder = folderFor(file)
  const api = String(job["api"])
  try {
    const [run] = await runEngine(
      {
        api,
        folder,
        name: "manifest.yaml",
        manifest: writeJson(manifestIn(file).manifest),
        config: dict(job["config"]),
        streams: list("streams").map(String),
        state: list("state"),
        restarts: job["restarts"] === true,
        // An API that is made up answers the same request only so often.
        onPause: async () => {
          if (job["isSynthetic"] !== true) return
          const { body } = await request(api, { headers: { "x-meant-url": "http://mark/", "x-mark": "1" } })
          await body.dump()
        }
      },
      1
    )
    return writeJson({ records: run?.records ?? {}, failed: run?.failed ?? {} })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
