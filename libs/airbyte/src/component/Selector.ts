import { isPlainDict, type Context, type PlainDict, type Value } from "../expression/Value.ts"
import { equals } from "../expression/Compare.ts"
import type { Component } from "./Component.ts"
import type { Decoder } from "./Decoder.ts"
import * as Dpath from "./Dpath.ts"
import type { Expressions } from "./Expressions.ts"
import { normalize } from "./Normalize.ts"
import type { Response } from "./Response.ts"
import { failure } from "./RunError.ts"
import type { Slice } from "./Slice.ts"
import { type Transformation, transformationOf } from "./Transformations.ts"

/** Finds what a path leads to in an answer. */
export type Extractor = (response: Response) => Iterable<Value>

/** The component `DpathExtractor`. */
export const dpathExtractor = (component: Component, expressions: Expressions, decoder: Decoder): Extractor => {
  if (component.type !== "DpathExtractor") {
    return component.fail("type", `${component.type} is not there yet.`, "unsupported")
  }
  if (component.has("record_expander")) {
    component.fail("record_expander", "RecordExpander is not there yet.", "unsupported")
  }
  const given = component.texts("field_path")
  const path = given.map((part) => expressions.value(part, component.parameters))
  const hasStar = path.some((part) => equals(part, "*"))
  return function* (response) {
    for (const body of decoder.decode(response)) {
      const found = path.length === 0 ? body : hasStar ? Dpath.values(body, path) : (Dpath.get(body, path) ?? [])
      if (Array.isArray(found)) yield* found
      else if (isFilled(found)) yield found
    }
  }
}

const isFilled = (value: Value): boolean =>
  value !== null &&
  value !== false &&
  value !== "" &&
  value !== 0 &&
  !(isPlainDict(value) && Object.keys(value).length === 0)

/** A record and the slice it was read for. */
export interface SourceRecord {
  readonly data: PlainDict
  readonly slice: Slice
}

/** Makes records of what was extracted. Pure but for the records, which it changes in place. */
export interface Selector {
  readonly select: (
    response: Response,
    slice: Slice,
    token: PlainDict | undefined,
    schema: PlainDict
  ) => Iterable<PlainDict>
  readonly transform: (
    extracted: Iterable<Value>,
    slice: Slice,
    token: PlainDict | undefined,
    schema: PlainDict
  ) => Iterable<PlainDict>
}

export interface SelectorOptions {
  readonly component: Component
  readonly expressions: Expressions
  readonly extractor: Extractor
  readonly transformations: ReadonlyArray<Component>
  /** Leaves out what the cursor does not want, for streams that filter on the client's side. */
  readonly wanted: ((record: PlainDict, slice: Slice) => boolean) | undefined
  /** Whether transformations come before the filter unless the selector says otherwise. */
  readonly isTransformedFirst: boolean
}

const recordOf = (value: Value): PlainDict => {
  if (value !== null && isPlainDict(value)) return value
  throw failure(
    `A record is ${value === null ? "nothing" : Array.isArray(value) ? "a list" : "a single value"}, expected a mapping. Check the extractor's field_path.`
  )
}

/** The component `RecordSelector`. */
export const selectorOf = (options: SelectorOptions): Selector => {
  const { component, expressions, extractor, wanted } = options
  const filterComponent = component.child("record_filter")
  if (filterComponent !== undefined && filterComponent.type !== "RecordFilter") {
    filterComponent.fail("type", `${filterComponent.type} is not there yet.`, "unsupported")
  }
  const condition = filterComponent?.optionalText("condition") ?? ""
  const transformations: ReadonlyArray<Transformation> = options.transformations.map((transformation) =>
    transformationOf(transformation, expressions)
  )
  const isFirst =
    component.get("transform_before_filtering") === undefined
      ? options.isTransformedFirst
      : component.isSet("transform_before_filtering")
  const normalization = component.get("schema_normalization") ?? "None"
  if (typeof normalization !== "string") {
    component.fail("schema_normalization", "custom normalization needs Python; it is not there.", "unsupported")
  }
  const passes = (record: PlainDict, slice: Slice, token: PlainDict | undefined): boolean => {
    if (wanted !== undefined && !wanted(record, slice)) return false
    if (filterComponent === undefined || (condition === "" && wanted !== undefined)) return true
    return expressions.condition(condition, filterComponent.parameters, {
      record,
      stream_slice: slice.value,
      next_page_token: token ?? null,
      "stream_slice.extra_fields": slice.extra
    })
  }
  const transform: Selector["transform"] = function* (extracted, slice, token, schema) {
    const context: Context = { stream_slice: slice.value }
    for (const value of extracted) {
      const record = recordOf(value)
      if (!isFirst && !passes(record, slice, token)) continue
      for (const change of transformations) change(record, context)
      if (isFirst && !passes(record, slice, token)) continue
      if (normalization === "Default" && Object.keys(schema).length > 0) normalize(record, schema)
      yield record
    }
  }
  return {
    transform,
    select: function* (response, slice, token, schema) {
      let count = 0
      const counted = function* () {
        for (const value of extractor(response)) {
          count++
          yield value
        }
      }
      yield* transform(counted(), slice, token, schema)
      response.extracted = count
    }
  }
}
