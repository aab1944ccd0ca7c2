import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { copyOfDict } from "../component/copyOf.ts"
import * as Dpath from "../component/Dpath.ts"
import type { RunError } from "../component/RunError.ts"
import { wholeSlice } from "../component/Slice.ts"
import { transformationOf } from "../component/Transformations.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"
import { truthy } from "../expression/Compare.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Retriever } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** The properties that requests ask for, in chunks where an API takes only so many: `QueryProperties`. */
export interface Properties {
  readonly chunks: Effect.Effect<ReadonlyArray<ReadonlyArray<string>>, RunError>
  /** By what the parts of a record are put together again; undefined where it stands for itself. */
  readonly mergeKey: ((record: PlainDict) => string | undefined) | undefined
}

/** The parameter that a chunk of properties goes into, and the requester without it. */
export const queryProperties = (requester: Component) => {
  const own = requester.child("query_properties")
  const dict = dictOf(requester.get("request_parameters"))
  const found = (dict === undefined ? [] : dictEntries(dict)).filter(
    ([, value]) => value !== null && isPlainDict(value) && value["type"] === "QueryProperties"
  )
  const [first] = found
  if (found.length > 1) requester.fail("request_parameters", "only one of them may be a QueryProperties.")
  if (first === undefined) {
    const endpoint = requester.get("fetch_properties_from_endpoint")
    const made: Value | undefined =
      endpoint === undefined ? undefined : { type: "QueryProperties", property_list: endpoint }
    return {
      requester,
      key: undefined,
      component: made === undefined ? own : requester.with("made", made).child("made")
    }
  }
  const key = str(first[0])
  const rest = Object.fromEntries(
    (dict === undefined ? [] : dictEntries(dict)).flatMap(([name, value]) =>
      str(name) === key ? [] : [[str(name), value]]
    )
  )
  const parameters = requester.child("request_parameters")
  return { requester: requester.with("request_parameters", rest), key, component: parameters?.child(key) }
}

/** Puts the parts of a record together: what `source` has goes into `target`. */
export const merge = (target: PlainDict, source: PlainDict): void => {
  for (const [key, value] of Object.entries(source)) {
    const known = Object.hasOwn(target, key) ? target[key] : undefined
    if (known !== undefined && known !== null && isPlainDict(known) && value !== null && isPlainDict(value)) {
      merge(known, value)
    } else target[key] = value
  }
}

const mergeKeyOf = (chunking: Component) => {
  const strategy = chunking.child("record_merge_strategy")
  if (strategy !== undefined && strategy.type !== "GroupByKeyMergeStrategy") {
    strategy.fail("type", `${strategy.type} is not there yet.`, "unsupported")
  }
  const given = strategy?.get("key") ?? "id"
  const keys = Array.isArray(given) ? given.map(str) : [str(given)]
  return (record: PlainDict): string | undefined => {
    const found: Array<string> = []
    for (const key of keys) {
      const value = Object.hasOwn(record, key) ? record[key] : undefined
      if (value === undefined || !truthy(value)) return undefined
      found.push(str(value))
    }
    return found.join(",")
  }
}

const chunked = (
  chunking: Component,
  fields: ReadonlyArray<string>,
  always: ReadonlyArray<string>,
  configured: ReadonlySet<string> | undefined
): ReadonlyArray<ReadonlyArray<string>> => {
  const limit = chunking.number("property_limit", 0)
  if (limit === 0) return [[...fields, ...always]]
  const isByLength = chunking.optionalText("property_limit_type") === "characters"
  const chunks: Array<Array<string>> = []
  let chunk = [...always]
  let size = 0
  for (const field of fields) {
    if (configured !== undefined && !configured.has(field)) continue
    const length = isByLength ? field.length + 3 : 1
    if (size + length > limit) {
      chunks.push(chunk)
      chunk = [...always]
      size = 0
    }
    chunk.push(field)
    size += length
  }
  return [...chunks, chunk]
}

/** The component `QueryProperties`. */
export const makeProperties = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  stream: string,
  retriever: (component: Component, isCached: boolean) => Effect.Effect<Retriever, RunError>
): Effect.fn.Return<Properties, RunError> {
  const endpoint = component.child("property_list")
  const always = component.texts("always_include_properties")
  const chunking = component.child("property_chunking")
  const selector = component.child("property_selector")
  const selectorChanges = yield* pure(() =>
    (selector?.children("transformations") ?? []).map((change) => transformationOf(change, run.expressions))
  )
  const mergeKey = chunking === undefined ? undefined : yield* pure(() => mergeKeyOf(chunking))
  const inner = endpoint === undefined ? undefined : yield* retriever(endpoint.needed("retriever"), true)
  let known: ReadonlyArray<string> | undefined
  const fields = Effect.gen(function* () {
    if (endpoint === undefined || inner === undefined) return component.texts("property_list")
    if (known !== undefined) return known
    const found: Array<string> = []
    const path = endpoint.texts("property_field_path").map((part) => run.expressions.value(part, endpoint.parameters))
    yield* inner.read(wholeSlice, (records) =>
      pure(() => {
        for (const { data } of records) found.push(str(Dpath.get(data, path) ?? []))
      })
    )
    known = found
    return found
  })
  const wanted = (): ReadonlySet<string> | undefined => {
    if (selector === undefined) return undefined
    const schema = run.configured.get(stream)?.schema["properties"]
    if (schema === undefined || !isPlainDict(schema)) return undefined
    const chosen = copyOfDict(schema)
    for (const change of selectorChanges) change(chosen, {})
    return new Set(Object.keys(chosen))
  }
  return {
    mergeKey,
    chunks: Effect.map(fields, (all) => {
      const configured = wanted()
      if (chunking !== undefined) return chunked(chunking, all, always, configured)
      return [[...always, ...all.filter((field) => configured === undefined || configured.has(field))]]
    })
  }
})
