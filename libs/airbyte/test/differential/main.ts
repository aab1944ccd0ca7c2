/**
 * The same manifests run by airbyte-cdk and by this project, and every difference between them.
 *
 *     npm run test:airbyte -- [folder | file …]
 *
 * A file is a case (`manifest`, `config`, `state` and `api` together), or a manifest alone: then its config and its API are made
 * up of what it says of them. Without an argument the cases of this folder are run. Ends with 1 when anything differs.
 */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import process from "node:process"
import { isPlainDict, parseJson, type PlainDict, type Value, writeJson } from "../../src/index.ts"
import { readMapping } from "../../src/manifest/yaml.ts"
import { type Route, startApi } from "./api.ts"
import { madeUp } from "./madeUp.ts"
import { compare, type Run } from "./compare.ts"
import { runOurs } from "./ours.ts"
import { cdkPython, startCdk } from "./python.ts"

const say = (text: string) => process.stdout.write(`${text}\n`)

const filesOf = (path: string): ReadonlyArray<string> =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: "utf8" })
        .filter((name) => /\.ya?ml$/.test(name))
        .toSorted()
        .map((name) => join(path, name))
    : [path]

const dict = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

const isRoute = (value: unknown): value is Route =>
  typeof value === "object" && value !== null && "path" in value && typeof value.path === "string"

const caseOf = (file: string) => {
  const data = readMapping(readFileSync(file, "utf8"))
  const nested = data["manifest"]
  if (nested === undefined) return { nested: false, manifest: data, state: [], ...madeUp(data) }
  const routes: ReadonlyArray<unknown> = Array.isArray(data["api"]) ? data["api"] : []
  return {
    nested: true,
    manifest: dict(nested),
    config: dict(data["config"]),
    state: Array.isArray(data["state"]) ? data["state"] : [],
    routes: routes.filter(isRoute)
  }
}

const asMessages = (states: Value | undefined): ReadonlyArray<Value> =>
  Object.entries(dict(states)).map(([name, state]) => ({
    type: "STREAM",
    stream: { stream_descriptor: { name }, stream_state: state }
  }))

const main = async (): Promise<number> => {
  const found = cdkPython()
  if ("missing" in found) {
    say(`skipped: ${found.missing}`)
    return 0
  }
  const paths = process.argv.slice(2)
  const root = resolve(paths[0] ?? join(import.meta.dirname, "cases"))
  const files = (paths.length === 0 ? [root] : paths).flatMap((path) => filesOf(resolve(path)))
  const api = await startApi()
  const cdk = startCdk(found.python)
  let different = 0
  const only = process.env["VERB"]
  for (const file of files) {
    const name = relative(statSync(root).isDirectory() ? root : dirname(root), file)
    const { config, manifest, nested, routes, state } = caseOf(file)
    const differences: Array<string> = []
    let records = 0
    let requests = 0
    const both = async (verb: "check" | "discover" | "read", given: ReadonlyArray<Value>): Promise<Run> => {
      api.use(routes)
      const reply = parseJson(
        await cdk.run({
          verb,
          file,
          nested,
          base: api.base,
          config: JSON.parse(writeJson(config)),
          state: JSON.parse(writeJson([...given]))
        })
      )
      const theirs: Run = { outcome: dict(reply), requests: api.take() }
      const job = { verb, manifest, config, state: given, folder: dirname(file) }
      const outcome = await runOurs(job, api.base)
      const ours: Run = { outcome: dict(parseJson(JSON.stringify(outcomeText(outcome)))), requests: api.take() }
      const exact: Run = {
        ...ours,
        outcome: { ...ours.outcome, records: outcome.records, states: outcome.states, streams: outcome.streams }
      }
      differences.push(...compare(verb, theirs, exact).map((text) => `${verb}: ${text}`))
      if (verb === "read") {
        records += Object.values(outcome.records).reduce<number>(
          (sum, list) => sum + (Array.isArray(list) ? list.length : 0),
          0
        )
        requests += theirs.requests.length
        if (process.env["SHOW"] !== undefined)
          say(`${name} ${writeJson(theirs.outcome)}\n${theirs.requests.join("\n")}`)
      }
      return theirs
    }
    if (only === undefined || only === "check") await both("check", state)
    if (only === undefined || only === "discover") await both("discover", state)
    if (only === undefined || only === "read") {
      const first = await both("read", state)
      if (first.outcome["failed"] !== true) await both("read", asMessages(first.outcome["states"]))
    }
    if (differences.length > 0) different++
    say(`${differences.length === 0 ? "equal    " : "DIFFERENT"} ${name} (${records} records, ${requests} requests)`)
    for (const text of differences) say(`    ${text}`)
  }
  cdk.stop()
  api.close()
  say(`${files.length - different} of ${files.length} manifests equal`)
  return different === 0 ? 0 : 1
}

const outcomeText = (outcome: {
  readonly check: string | null
  readonly incomplete: ReadonlyArray<string>
  readonly failed: boolean
  readonly error: string | null
}) => ({
  check: outcome.check,
  incomplete: outcome.incomplete,
  failed: outcome.failed,
  error: outcome.error
})

process.exitCode = await main()
