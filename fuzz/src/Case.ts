import type { Answer } from "./Answer.ts"
import { isList, isObject, type Json, type JsonObject } from "./Json.ts"

/** A route of an API: who is asked, and what is answered, the one after the other. */
export interface Route {
  /** Path, or address without its query; `*`: all others. */
  readonly path: string
  readonly method: string | undefined
  readonly answers: ReadonlyArray<Answer>
}

/** A connector file and an API. */
export interface ConnectorCase {
  readonly kind: "connector"
  readonly config: Json
  /** Settings that `validate` complains of are taken out, so that the rest is run. */
  readonly repairs: boolean
  readonly routes: ReadonlyArray<Route>
}

/** A manifest of Airbyte's, its config, and an API. */
export interface ManifestCase {
  readonly kind: "manifest"
  readonly name: string
  readonly manifest: Json
  readonly config: Json
  readonly state: ReadonlyArray<Json>
  readonly routes: ReadonlyArray<Route>
}

/** A connector file with a manifest of Airbyte's, and an API. */
export interface EngineCase {
  readonly kind: "engine"
  readonly name: string
  readonly manifest: Json
  /** The connector file. */
  readonly config: Json
  readonly routes: ReadonlyArray<Route>
}

/** Templates in Jinja's syntax. */
export interface ExpressionCase {
  readonly kind: "expression"
  readonly template: string
  readonly context: JsonObject
}

/** A record of an API that is known: as it sends it, and what it finds it by. */
export interface TruthRecord {
  readonly id: string
  readonly part: string
  /** Seconds since the first one, in windows four hours each, or a number. */
  readonly at: number
  readonly kind: string
  /** It is not there in the first walk. */
  readonly later: boolean
  /** JSON; of CSV and XML, its fields. */
  readonly text: string
}

/** How that API pages. */
export interface TruthPaging {
  readonly kind: "none" | "cursor" | "header" | "last_record" | "next_url" | "link" | "page" | "offset"
  /** Where the position stands in a request. */
  readonly in: "query" | "header" | "body" | "placeholder"
  readonly size: number
  readonly says: "more" | "end" | undefined
  readonly isXml: boolean
  /** Whether addresses of next pages are relative. */
  readonly isRelative: boolean
}

/** What is done to an answer, which the engine is to get over. */
export type TruthFault = "" | "503" | "429" | "cut" | "drop"

/** A connector file and an API that does all right but for `faults`: what is published is to be what it has. */
export interface TruthCase {
  readonly kind: "truth"
  readonly config: Json
  readonly selector: string
  readonly format: "json" | "ndjson" | "csv" | "xml"
  readonly packed: "" | "gzip" | "zip"
  /** Bytes that each record has besides, so that a body comes in several parts. */
  readonly pad: number
  /** Whether the end of a window is asked for with it; none: without windows. */
  readonly windows: "" | "before" | "up to"
  readonly encoding: "" | "gzip" | "br" | "deflate" | "zstd"
  readonly framing: "length" | "chunked" | "close"
  readonly indent: number
  readonly paging: TruthPaging
  readonly mark: "none" | "time" | "seconds" | "number" | "filter"
  readonly parts: ReadonlyArray<string>
  readonly records: ReadonlyArray<TruthRecord>
  readonly expands: "no" | "alone" | "with parent"
  readonly filters: boolean
  readonly adds: boolean
  readonly key: boolean
  /** By number of the request, again and again; never twice in a row to the same question. */
  readonly faults: ReadonlyArray<TruthFault>
  /** Pages after which the process ends, again and again; none: never. */
  readonly restarts: ReadonlyArray<number>
  readonly prefetch: boolean
}

export type Case = ConnectorCase | ManifestCase | EngineCase | TruthCase | ExpressionCase

const isAnswer = (value: unknown): value is Answer =>
  isObject(value) && isObject(value["body"]) && isList(value["headers"]) && isList(value["wrap"])

const isRoute = (value: unknown): value is Route =>
  isObject(value) && typeof value["path"] === "string" && isList(value["answers"]) && value["answers"].every(isAnswer)

/** Whether a tree is a case, as those are that a run has written. */
export const isCase = (value: unknown): value is Case => {
  if (!isObject(value)) return false
  const { context, kind, name, routes, state, template } = value
  if (kind === "expression") return typeof template === "string" && isObject(context)
  if (kind === "truth") return isList(value["records"]) && isObject(value["paging"]) && isList(value["faults"])
  if (!isList(routes) || !routes.every(isRoute)) return false
  if (kind === "engine") return typeof name === "string"
  return kind === "connector" || (kind === "manifest" && typeof name === "string" && isList(state))
}

/** What a case came to. `wrong`: what must not be, each with a name that is the same for the same fault. */
export interface Outcome {
  /** In a word: `read`, `refused`, or the kind of error. */
  readonly word: string
  readonly wrong: ReadonlyArray<Wrong>
  /** Milliseconds. */
  readonly took: number
  /** Bytes in use behind a collection of garbage, if the runner looked. */
  readonly heap?: number | undefined
}

export interface Wrong {
  readonly name: string
  readonly detail: string
}
