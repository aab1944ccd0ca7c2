import { equals, truthy } from "../expression/Compare.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import type { Decoder } from "./Decoder.ts"
import { called, hookContext, hookOf } from "./Hooks.ts"
import { expanderOf } from "./Expander.ts"
import * as Dpath from "./Dpath.ts"
import type { Expressions } from "./Expressions.ts"
import type { Response } from "./Response.ts"
import type { TruncatedLists } from "./TruncatedLists.ts"

/** Finds what a path leads to in an answer. */
export type Extractor = (response: Response) => Iterable<Value>

/** Stands for an empty record that was left out: it counts for the size of a page and is no record. */
const dropped: PlainDict = Object.freeze({})

/** Whether a value only stands for a record that was left out. */
export const isDropped = (value: Value): boolean => value === dropped

const isFilled = (value: Value): boolean =>
  value !== null &&
  value !== false &&
  value !== "" &&
  value !== 0 &&
  !(isPlainDict(value) && Object.keys(value).length === 0)

const dpathExtractor = (
  component: Component,
  expressions: Expressions,
  decoder: Decoder,
  lists: TruncatedLists | undefined
): Extractor => {
  const given = component.texts("field_path")
  const expanderComponent = component.child("record_expander")
  const expand = expanderComponent === undefined ? undefined : expanderOf(expanderComponent, expressions, lists)
  return function* (response) {
    // Evaluated when there is an answer: a path that cannot be evaluated fails its stream, not the others.
    const path = given.map((part) => expressions.value(part, component.parameters))
    const hasStar = path.some((part) => equals(part, "*"))
    for (const body of decoder.decode(response)) {
      const found = path.length === 0 ? body : hasStar ? Dpath.values(body, path) : (Dpath.get(body, path) ?? [])
      if (Array.isArray(found)) {
        if (expand === undefined) yield* found
        else for (const record of found) yield* expand(record)
      } else if (isFilled(found)) {
        if (expand === undefined) yield found
        else yield* expand(found)
      }
    }
  }
}

/** Several extractors on one answer: the records of all, or of the first that has any. */
const combinedExtractor = (
  component: Component,
  expressions: Expressions,
  decoder: Decoder,
  lists: TruncatedLists | undefined
): Extractor => {
  const extractors = component.children("extractors").map((inner) => extractorOf(inner, expressions, decoder, lists))
  const isFirst = component.optionalText("mode") === "first_match"
  const isSkipping = component.isSet("skip_empty_records")
  const kept = function* (values: Iterable<Value>): Generator<Value> {
    for (const value of values) yield !isSkipping || truthy(value) ? value : dropped
  }
  return function* (response) {
    for (const extractor of extractors) {
      const values = [...kept(extractor(response))]
      if (!isFirst) yield* values
      else if (values.some((value) => !isDropped(value))) {
        yield* values
        return
      }
    }
  }
}

/** The extractor of a component. `lists` hold what its expanders have to ask for. */
export const extractorOf = (
  component: Component,
  expressions: Expressions,
  decoder: Decoder,
  lists?: TruncatedLists
): Extractor => {
  switch (component.type) {
    case "DpathExtractor":
      return dpathExtractor(component, expressions, decoder, lists)
    case "CombinedExtractor":
      return combinedExtractor(component, expressions, decoder, lists)
    case "CustomRecordExtractor": {
      const hook = hookOf(component, expressions, "recordExtractors")
      const context = hookContext(component, expressions)
      return (response) => called(component, () => [...hook(response, context)])
    }
    default:
      return component.fail("type", `${component.type} is not there yet.`, "unsupported")
  }
}
