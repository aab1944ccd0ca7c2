/** Cases of the comparison, and what this project makes of them. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { isPlainDict, parseJson, type PlainDict, type Value } from "../../src/index.ts"
import { copyOfDict } from "../../src/component/copyOf.ts"
import { readMapping } from "../../src/manifest/yaml.ts"
import type { Route, startApi } from "./api.ts"
import type { Run } from "./compare.ts"
import { madeUp } from "./madeUp.ts"
import { runOurs } from "./ours.ts"

type Api = Awaited<ReturnType<typeof startApi>>

/** Manifests and cases in a folder, or one of them. */
export const filesOf = (path: string): ReadonlyArray<string> =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: "utf8" })
        .filter((name) => /\.ya?ml$/.test(name))
        .toSorted()
        .map((name) => join(path, name))
    : [path]

export const dict = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

const isRoute = (value: unknown): value is Route =>
  typeof value === "object" && value !== null && "path" in value && typeof value.path === "string"

/** What a file holds: a case, or a manifest alone, for which the rest is made up. */
export const caseOf = (file: string) => {
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

/** States by stream as messages of the protocol. */
export const asMessages = (states: Value | undefined): ReadonlyArray<Value> =>
  Object.entries(dict(states)).map(([name, state]) => ({
    type: "STREAM",
    stream: { stream_descriptor: { name }, stream_state: state }
  }))

export type Verb = "check" | "discover" | "read"

/** Runs a case with this project's runner. */
export const ours = async (
  api: Api,
  file: string,
  verb: Verb,
  given: Pick<ReturnType<typeof caseOf>, "config" | "manifest" | "routes">,
  state: ReadonlyArray<Value>
): Promise<Run> => {
  api.use(given.routes)
  // A run may change the config that it is given.
  const config = copyOfDict(given.config)
  const outcome = await runOurs({ verb, manifest: given.manifest, config, state, folder: dirname(file) }, api.base)
  return { outcome: { ...outcome, incomplete: [...outcome.incomplete] }, requests: api.take() }
}

const runFrom = (value: Value | undefined): Run | undefined => {
  const run = dict(value)
  const { requests } = run
  return Array.isArray(requests) ? { outcome: dict(run["outcome"]), requests: requests.map(String) } : undefined
}

/** What the CDK made of a case, as it is kept for tests without Python: a run by its label. */
export const goldenOf = (text: string): ReadonlyArray<readonly [name: string, run: Run]> =>
  Object.entries(dict(parseJson(text))).flatMap(([name, value]): ReadonlyArray<readonly [string, Run]> => {
    const run = runFrom(value)
    return run === undefined ? [] : [[name, run]]
  })
