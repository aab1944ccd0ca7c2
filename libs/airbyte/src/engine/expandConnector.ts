import {
  checkConnector,
  type Conflict,
  type Connector,
  nearest,
  type OAuth2,
  SourceStream,
  StreamName
} from "@tributary/domain"
import { Result, Schema } from "effect"
import type { Component } from "../component/Component.ts"
import { Expressions } from "../component/Expressions.ts"
import { toRunError } from "../component/RunError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { portsAt } from "../expression/Ports.ts"
import { loadManifest, type Manifest, missingBeside, missingOf } from "../manifest/Manifest.ts"
import { ManifestError, type ManifestProblem } from "../manifest/ManifestError.ts"
import { writtenStreams } from "../run/manifestStreams.ts"
import { primaryKeyOf } from "../run/Streams.ts"
import { configConflicts, valueOf } from "./Config.ts"
import { furtherOAuthOf, oauthOf } from "./OAuthSettings.ts"
import { streamNameOf } from "./streamNameOf.ts"

const isStreamName = Schema.is(StreamName)
const decodeStream = Schema.decodeUnknownSync(SourceStream)

/** A connector file with what its manifest says. */
export interface Expanded {
  /** With the manifest's streams and, unless the file has one, its authorization. */
  readonly connector: Connector
  readonly manifest: Manifest
  /** OAuth2 authorizations of the manifest beside the connector's `auth`, each with the name of its tokens. */
  readonly further: ReadonlyArray<OAuth2>
}

const dictIn = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

/** Types of columns by JSON Schema's, for those that have one; times stay what is found in the records. */
const columnTypes: Readonly<Record<string, string>> = {
  integer: "int64",
  number: "float64",
  boolean: "bool",
  object: "json",
  array: "json"
}

const isField = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/u.test(name)

/** Types of fields that stand in the manifest itself; others are inferred from the records. */
const typesOf = (component: Component, key: ReadonlyArray<string>): Readonly<Record<string, string>> => {
  const loaders = component.children("schema_loader")
  const [loader] = loaders
  if (loader?.type !== "InlineSchemaLoader" || loaders.length > 1) return {}
  const types: Record<string, string> = {}
  for (const [name, given] of Object.entries(dictIn(dictIn(loader.get("schema"))["properties"]))) {
    const type = dictIn(given)["type"]
    const kinds = (Array.isArray(type) ? type : [type]).filter((kind) => kind !== "null" && kind !== undefined)
    const [kind] = kinds
    const column = typeof kind === "string" && kinds.length === 1 ? columnTypes[kind] : undefined
    if (column !== undefined && isField(name)) types[name] = key.includes(name) ? column : `${column}?`
  }
  return types
}

/** What a manifest's own texts bring into a message, a terminal must not obey. */
const shown = (text: string): string => text.replaceAll(/\p{C}/gu, "\u{fffd}")

const error = (path: Conflict["path"], found: string, expected: string, advice: string): Conflict => ({
  severity: "error",
  path,
  found: shown(found),
  expected: shown(expected),
  advice: shown(advice)
})

/**
 * Puts what a manifest says into the connector that names it: streams with their keys and types, and the OAuth2 of its authenticator.
 * Pure: makes no request, and leaves references as they are. `text` is the manifest's.
 */
export const expandConnector = (
  connector: Connector,
  text: string
): Result.Result<Expanded, ReadonlyArray<Conflict>> => {
  let manifest: Manifest
  try {
    manifest = loadManifest(text)
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause
    return Result.fail(
      cause.problems.map(({ path, problem }) =>
        error(
          ["manifest"],
          `a manifest that is not valid${path === "" ? "" : ` at ${path}`}: ${problem.replace(/\.$/u, "")}`,
          "a declarative manifest as airbyte-cdk 7.39 takes it",
          "Correct the manifest, or take the version that belongs to it."
        )
      )
    )
  }
  // Whether the hooks are there shows when their module is loaded.
  const unmet = ({ hook }: ManifestProblem) => hook === undefined || connector.hooks === undefined
  const conflicts: Array<Conflict> = missingBeside(manifest, undefined)
    .filter(unmet)
    .map(({ path, problem }) =>
      error(
        ["manifest"],
        `${path}: ${problem.replace(/\.$/u, "")}`,
        "components that are there",
        "See docs/guides/airbyte.md for what runs."
      )
    )
  conflicts.push(...configConflicts(manifest, connector.config ?? {}, { isResolved: false }))

  // Only conditions of streams and names of OAuth2's settings are evaluated here, neither of which depends on the time.
  const environment = { ports: portsAt(() => 0) }
  const expressions = new Expressions(valueOf(connector.config ?? {}), environment)
  let written: ReadonlyArray<Component> = []
  try {
    written = writtenStreams(manifest, (condition) => expressions.condition(condition, {}))
  } catch (cause) {
    conflicts.push(
      error(
        ["manifest"],
        toRunError(cause).message,
        "conditions that can be evaluated with the config",
        "Correct `config`."
      )
    )
  }
  const isDynamic = Array.isArray(manifest.data["dynamic_streams"]) && manifest.data["dynamic_streams"].length > 0
  const byName = new Map<string, Component>()
  for (const component of written) {
    const given = component.optionalText("name") ?? ""
    const name = streamNameOf(given)
    const other = byName.get(name)
    if (other !== undefined || !isStreamName(name)) {
      conflicts.push(
        error(
          ["manifest"],
          other === undefined
            ? `a stream named ${JSON.stringify(given)}`
            : `streams named ${other.optionalText("name")} and ${given}, both of which are called ${name} here`,
          "names that can be those of topics, each of its own",
          "Rename the stream in the manifest."
        )
      )
      continue
    }
    byName.set(name, component)
  }
  const wanted = Object.keys(connector.streams)
  if (wanted.length === 0 && (byName.size === 0 || isDynamic)) {
    conflicts.push(
      error(
        ["manifest"],
        isDynamic ? "streams that are made while it runs (dynamic_streams)" : "a manifest without streams",
        "the names of those that are wanted, in `streams`",
        "Write streams: [name, …]; `tributary connectors run discover` shows them."
      )
    )
  }
  const streams: Record<string, SourceStream> = {}
  for (const name of wanted.length === 0 ? byName.keys() : wanted) {
    const component = byName.get(name)
    const given = Object.entries(connector.streams).find(([known]) => known === name)?.[1]
    if (component === undefined && !isDynamic) {
      const near = nearest(name, [...byName.keys()])
      conflicts.push(
        error(
          ["streams", name],
          `the stream ${name}`,
          `one of the manifest's streams: ${[...byName.keys()].join(", ")}`,
          near === undefined ? "Correct the name." : `Did you mean ${near}?`
        )
      )
      continue
    }
    if (component?.has("file_uploader") === true) {
      conflicts.push(
        error(
          ["streams", name],
          `the stream ${name}, whose records come with files (file_uploader)`,
          "streams of records only: there is no place for files in the engine",
          "Name the streams that are wanted in `streams` without it, or take file_uploader out of the manifest; `tributary connectors run` downloads files."
        )
      )
      continue
    }
    const missing = component === undefined ? [] : missingOf(component, undefined).filter(unmet)
    for (const { path, problem } of missing) {
      conflicts.push(
        error(
          ["streams", name],
          `the stream ${name}, which needs ${path}: ${problem.replace(/\.$/u, "")}`,
          "streams of components that are there",
          "Write the hook, or name the streams that are wanted in `streams` without it; see docs/guides/airbyte.md."
        )
      )
    }
    const stream = given ?? decodeStream({})
    const key = component === undefined ? [] : primaryKeyOf(component)
    streams[name] = {
      ...stream,
      ...(stream.primary_key === undefined && key.length > 0 ? { primary_key: key } : {}),
      schema: { ...(component === undefined ? {} : typesOf(component, key)), ...stream.schema }
    }
  }

  let auth = connector.auth
  if (auth === undefined) {
    const own = oauthOf(manifest, connector, environment)
    if (own._tag === "Auth") auth = own.auth
    if (own._tag === "Problem") {
      conflicts.push(
        error(
          ["manifest"],
          own.problem.replace(/\.$/u, ""),
          "OAuth2 that the token layer can take over",
          "See docs/guides/airbyte.md."
        )
      )
    }
  }
  if (conflicts.length > 0) return Result.fail(conflicts)
  const expanded = { ...connector, ...(auth === undefined ? {} : { auth }), streams }
  const wrong = checkConnector(expanded, { isWhole: true }).filter(({ severity }) => severity === "error")
  if (wrong.length > 0) return Result.fail(wrong)
  return Result.succeed({ connector: expanded, manifest, further: furtherOAuthOf(manifest, expanded, environment) })
}
