/** Cases of the comparison, and what this project makes of them. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { isPlainDict, parseJson, type PlainDict, type Value } from "../../src/index.ts"
import { readMapping } from "../../src/manifest/yaml.ts"
import type { Route, startApi } from "./api.ts"
import type { Run } from "./compare.ts"
import { runOurs } from "./ours.ts"
import { type Synthetic, synthesise } from "./synthetic/synthetic.ts"
import type { Variant } from "./synthetic/variant.ts"

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

/** The manifest in a file: the file itself, or what stands under `manifest` in a case. */
export const manifestIn = (
  file: string
): { readonly isCase: boolean; readonly manifest: PlainDict; readonly data: PlainDict } => {
  const data = readMapping(readFileSync(file, "utf8"))
  const nested = data["manifest"]
  return nested === undefined ? { isCase: false, manifest: data, data } : { isCase: true, manifest: dict(nested), data }
}

/** A manifest with what it is run with. */
export interface Case {
  readonly isCase: boolean
  readonly manifest: PlainDict
  readonly config: PlainDict
  readonly state: ReadonlyArray<Value>
  readonly api: ReadonlyArray<Route> | Synthetic
}

/** What a file holds: a case, or a manifest alone, for which the rest is made up. */
export const caseOf = (file: string, variant?: Variant): Case => {
  const { data, isCase, manifest } = manifestIn(file)
  const config = data["config"]
  // A case without an API of its own gets one that is made up.
  const given = isCase && config !== undefined ? dict(config) : undefined
  const made = isCase && data["api"] !== undefined ? undefined : synthesise(manifest, given, variant)
  const routes: ReadonlyArray<unknown> = Array.isArray(data["api"]) ? data["api"] : []
  return {
    isCase,
    manifest,
    config: given ?? made?.config ?? {},
    state: isCase && Array.isArray(data["state"]) ? data["state"] : [],
    api: made ?? routes.filter(isRoute)
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
  given: Pick<Case, "config" | "manifest" | "api">,
  state: ReadonlyArray<Value>
): Promise<Run> => {
  api.use(given.api)
  const outcome = await runOurs(
    { verb, manifest: given.manifest, config: given.config, state, folder: dirname(file) },
    api.base
  )
  return {
    outcome: { ...outcome, incomplete: [...outcome.incomplete], controls: [...outcome.controls] },
    requests: api.take()
  }
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
