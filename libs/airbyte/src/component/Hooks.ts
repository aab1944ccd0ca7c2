import type { PlainDict, Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import type { Response } from "./Response.ts"
import { failure } from "./RunError.ts"
import type { Slice } from "./Slice.ts"

/** What every hook is given beside its own. */
export interface HookContext {
  /** The connector's config, secrets in the clear. */
  readonly config: PlainDict
  /** The component's settings as the manifest has them. */
  readonly settings: PlainDict
  /** `$parameters` that reach the component. */
  readonly parameters: PlainDict
  /** Evaluates a template, as the manifest's own components do. */
  readonly evaluate: (template: string, extra?: { readonly [name: string]: Value }) => Value
}

/** A request of a hook's own; it goes through the connector's transport. */
export interface HookRequest {
  readonly url: string
  /** Default: GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What hooks that may ask the API are given. */
export interface AskingContext extends HookContext {
  /** Sends one request. Rejects when there is no answer; an answer of any status is returned. */
  readonly send: (request: HookRequest) => Promise<Response>
}

/** What a hook adds to requests. */
export interface HookCredentials {
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
}

/** A page as a pagination hook sees it. */
export interface HookPage {
  readonly response: Response
  /** Records of the page. */
  readonly size: number
  readonly lastRecord: PlainDict | undefined
  /** The token that the page was asked for with. */
  readonly token: Value | undefined
  /** The page size that was asked for where `page_size_reduction` made it smaller. */
  readonly asked?: number | undefined
}

/** What an answer means, by a hook. */
export interface HookDecision {
  readonly action: "SUCCESS" | "RETRY" | "FAIL" | "IGNORE" | "RATE_LIMITED" | "REFRESH_TOKEN_THEN_RETRY"
  readonly message?: string
}

/** A partition of a stream, by a hook. */
export interface HookPartition {
  readonly partition: PlainDict
  /** What expressions find in `stream_slice.extra_fields`. */
  readonly extra?: PlainDict
}

/** A request as the manifest makes it. */
export interface HookDraft {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** A hook by the slot that it is for. */
export interface HookFunctions {
  /** `CustomTransformation`: changes a record in place, or returns another. */
  readonly transformations: (record: PlainDict, context: HookContext & { readonly slice: Value }) => PlainDict | void
  /** `CustomRecordExtractor`: the records of an answer. */
  readonly recordExtractors: (response: Response, context: HookContext) => Iterable<PlainDict>
  /** `CustomRecordFilter`: whether a record belongs to the stream. */
  readonly recordFilters: (record: PlainDict, context: HookContext & { readonly slice: Value }) => boolean
  /** `CustomSchemaNormalization`: changes a record as the schema says. */
  readonly schemaNormalizations: (record: PlainDict, schema: PlainDict, context: HookContext) => PlainDict | void
  /** `CustomPaginationStrategy`: the token of the next page; undefined at the end. */
  readonly paginationStrategies: (page: HookPage, context: HookContext) => Value | undefined
  /** `CustomErrorHandler`: what an answer means (undefined: there was none); undefined: what HTTP says. */
  readonly errorHandlers: (response: Response | undefined, context: HookContext) => HookDecision | undefined
  /** `CustomBackoffStrategy`: seconds to wait before the next try; undefined: the next strategy's. */
  readonly backoffStrategies: (
    response: Response | undefined,
    attempt: number,
    context: HookContext
  ) => number | undefined
  /** `CustomDecoder`: the elements of an answer. */
  readonly decoders: (response: Response, context: HookContext) => Iterable<Value>
  /** `CustomRequester`: the request as it is sent, of the one that the manifest's settings make. */
  readonly requesters: (
    request: HookDraft,
    context: HookContext & { readonly slice: Value; readonly token: Value | undefined }
  ) => HookDraft
  /** `CustomAuthenticator`: what is added to each request. Called for each; keep what lasts in a variable of the module. */
  readonly authenticators: (context: AskingContext) => HookCredentials | Promise<HookCredentials>
  /** `CustomPartitionRouter`: all partitions, in a fixed order. `parents`: those that its `parent_stream_configs` come to. */
  readonly partitionRouters: (
    context: AskingContext & { readonly parents: ReadonlyArray<HookPartition> }
  ) => Iterable<HookPartition> | Promise<Iterable<HookPartition>>

  /** `CustomRetriever`: a page of a slice; `position` is the last one's `next`, and has to be JSON. */
  readonly retrievers: (
    context: AskingContext & { readonly slice: Value; readonly position: PlainDict | undefined }
  ) => Promise<{ readonly records: ReadonlyArray<PlainDict>; readonly next?: PlainDict | undefined }>

  /** `CustomSchemaLoader`: the JSON schema of the records. */
  readonly schemaLoaders: (context: AskingContext) => PlainDict | Promise<PlainDict>
  /** `CustomConfigTransformation`: changes the config in place, or returns another. */
  readonly configTransformations: (config: PlainDict, context: HookContext) => PlainDict | void
}

/**
 * What takes the place of a manifest's components that are written in Python, by the `class_name` of each, as in
 * `source_shop.components.ShopExtractor`. Records are plain objects; a whole number that was written as a float is a `PyFloat`, one
 * beyond 2^53 a bigint. What a hook throws ends the walk with its message.
 */
export type ManifestHooks = {
  readonly [S in keyof HookFunctions]?: { readonly [className: string]: HookFunctions[S] }
}

/** How a hook for each component type is called, and what one looks like. */
export const hookSlots: { readonly [type: string]: readonly [slot: keyof ManifestHooks, example: string] } = {
  CustomTransformation: ["transformations", "(record, { slice, config }) => { … }"],
  CustomRecordExtractor: ["recordExtractors", "(response) => response.json.items"],
  CustomRecordFilter: ["recordFilters", "(record, { slice }) => true"],
  CustomSchemaNormalization: ["schemaNormalizations", "(record, schema) => { … }"],
  CustomPaginationStrategy: ["paginationStrategies", "({ response, lastRecord, token }) => undefined"],
  CustomErrorHandler: ["errorHandlers", '(response) => ({ action: "RETRY" })'],
  CustomBackoffStrategy: ["backoffStrategies", "(response, attempt) => 2 ** attempt"],
  CustomDecoder: ["decoders", "(response) => [response.json]"],
  CustomRequester: ["requesters", "(request, { slice, token }) => request"],
  CustomAuthenticator: ["authenticators", "async ({ config, send }) => ({ headers: { … } })"],
  CustomPartitionRouter: ["partitionRouters", "async ({ config, parents, send }) => [{ partition: { … } }]"],
  CustomRetriever: ["retrievers", "async ({ slice, position, send }) => ({ records: [], next: undefined })"],
  CustomSchemaLoader: ["schemaLoaders", "async ({ config, send }) => ({ properties: { … } })"],
  CustomConfigTransformation: ["configTransformations", "(config) => { … }"]
}

/** What is to be written where a hook is missing. */
export const hookAdvice = (type: string, className: string): string => {
  const known = hookSlots[type]
  return known === undefined
    ? `${type} has no hook yet`
    : `export const hooks = { ${known[0]}: { "${className}": ${known[1]} } }, in the file that \`hooks\` names`
}

/** The hook of a component in a slot. Throws where there is none. */
export const hookOf = <S extends keyof HookFunctions>(
  component: Component,
  expressions: Expressions,
  slot: S
): HookFunctions[S] => {
  const name = component.text("class_name")
  const found: { readonly [className: string]: HookFunctions[S] } | undefined = expressions.environment.hooks?.[slot]
  const hook = found !== undefined && Object.hasOwn(found, name) ? found[name] : undefined
  if (hook !== undefined) return hook
  return component.fail(
    "class_name",
    `${name} is a Python class, which does not run here. Write a hook: ${hookAdvice(component.type, name)}.`,
    "unsupported"
  )
}

export const hookContext = (component: Component, expressions: Expressions): HookContext => ({
  config: expressions.config ?? {},
  settings: component.data,
  parameters: component.parameters,
  evaluate: (template, extra) => expressions.value(template, component.parameters, extra)
})

/** Runs a hook; what it throws is said with the class that it stands for. */
export const called = <A>(component: Component, body: () => A): A => {
  try {
    return body()
  } catch (error) {
    throw hookFailure(component, error)
  }
}

/** What a hook threw, with the class that it stands for. */
export const hookFailure = (component: Component, error: unknown) =>
  failure(
    `The hook of ${component.optionalText("class_name") ?? component.type} (${component.path}) failed: ${error instanceof Error ? error.message : String(error)}`,
    "config_error"
  )

/** A record that a hook changed in place, or replaced. */
export const replaced = (record: PlainDict, made: PlainDict | void): void => {
  if (made === undefined || made === record) return
  for (const key of Object.keys(record)) delete record[key]
  Object.assign(record, made)
}

/** A slice as hooks see it. */
export const sliceValue = (slice: Slice): Value => slice.value
