import { isPlainDict, type Context, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import { copyOfDict } from "./copyOf.ts"
import { type Extractor, isDropped } from "./Extractor.ts"
import { called, hookContext, hookOf, replaced } from "./Hooks.ts"
import { normalize } from "./Normalize.ts"
import type { Response } from "./Response.ts"
import { failure } from "./RunError.ts"
import type { Slice } from "./Slice.ts"
import { type Transformation, transformationOf } from "./Transformations.ts"

/** A record and the slice it was read for. */
export interface SourceRecord {
  readonly data: PlainDict
  readonly slice: Slice
  /** Its file, where the stream has a `file_uploader`. */
  readonly file?: FileReference | undefined
}

/** Where the file of a record is, in the words of Airbyte's protocol. */
export interface FileReference {
  readonly staging_file_url: string
  readonly source_file_relative_path: string
  readonly file_size_bytes: number
}

/** Makes records of what was extracted. Pure: what it changes are copies. */
export interface Selector {
  readonly select: (
    response: Response,
    slice: Slice,
    token: PlainDict | undefined,
    schema: PlainDict,
    /** What was extracted already. */
    extracted?: Iterable<Value>
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
  const custom =
    filterComponent?.type === "CustomRecordFilter" ? hookOf(filterComponent, expressions, "recordFilters") : undefined
  if (filterComponent !== undefined && custom === undefined && filterComponent.type !== "RecordFilter") {
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
  const normalizer = component.child("schema_normalization")
  const normalizing = normalizer === undefined ? undefined : hookOf(normalizer, expressions, "schemaNormalizations")
  const passes = (record: PlainDict, slice: Slice, token: PlainDict | undefined): boolean => {
    if (wanted !== undefined && !wanted(record, slice)) return false
    if (filterComponent !== undefined && custom !== undefined) {
      const context = { ...hookContext(filterComponent, expressions), slice: slice.value }
      return called(filterComponent, () => custom(record, context))
    }
    if (filterComponent === undefined || (condition === "" && wanted !== undefined)) return true
    return expressions.condition(condition, filterComponent.parameters, {
      record,
      stream_slice: slice.value,
      next_page_token: token ?? null,
      "stream_slice.extra_fields": slice.extra
    })
  }
  // The paginator reads the answer as it came, and so do other streams where answers are kept.
  const isChanged = transformations.length > 0 || normalization === "Default" || normalizing !== undefined
  const transform: Selector["transform"] = function* (extracted, slice, token, schema) {
    const context: Context = { stream_slice: slice.value }
    for (const value of extracted) {
      const original = recordOf(value)
      if (!isFirst && !passes(original, slice, token)) continue
      const record = isChanged ? copyOfDict(original) : original
      for (const change of transformations) change(record, context)
      if (isFirst && !passes(record, slice, token)) continue
      if (normalization === "Default" && Object.keys(schema).length > 0) normalize(record, schema)
      if (normalizer !== undefined && normalizing !== undefined) {
        const made = called(normalizer, () => normalizing(record, schema, hookContext(normalizer, expressions)))
        replaced(record, made)
      }
      yield record
    }
  }
  return {
    transform,
    select: function* (response, slice, token, schema, extracted = extractor(response)) {
      let count = 0
      const counted = function* () {
        for (const value of extracted) {
          count++
          if (!isDropped(value)) yield value
        }
      }
      yield* transform(counted(), slice, token, schema)
      response.extracted = count
    }
  }
}
