import { truthy } from "../expression/Compare.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { copyOf, copyOfDict } from "./copyOf.ts"
import * as Dpath from "./Dpath.ts"
import type { Expressions } from "./Expressions.ts"
import type { TruncatedLists } from "./TruncatedLists.ts"

const globs = /[*?[]/

const pathOf = (component: Component, name: string, expressions: Expressions): ReadonlyArray<Value> =>
  component.texts(name).map((part) => expressions.value(part, component.parameters))

/** A path that stands for one field. */
const plainPath = (component: Component, name: string, expressions: Expressions): ReadonlyArray<Value> => {
  const path = pathOf(component, name, expressions)
  if (path.length === 0) component.fail(name, "it is empty.")
  if (path.some((part) => typeof part === "string" && globs.test(part))) {
    component.fail(name, "it must stand for one field, without *, ? or [.")
  }
  return path
}

/** The record without the lists at a path. */
const withoutLists = (record: PlainDict, path: ReadonlyArray<Value>): PlainDict => {
  const copy = copyOfDict(record)
  const lists = new Set<Value>(Dpath.values(copy, path).filter((value) => Array.isArray(value)))
  const strip = (value: Value): void => {
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index--) {
        const item = value[index] ?? null
        if (lists.has(item)) value.splice(index, 1)
        else strip(item)
      }
    } else if (value !== null && isPlainDict(value)) {
      for (const [key, item] of Object.entries(value)) {
        if (lists.has(item)) delete value[key]
        else strip(item)
      }
    }
  }
  strip(copy)
  return copy
}

/** Makes a record of each item of a list inside a record: the component `RecordExpander`. */
export const expanderOf = (
  component: Component,
  expressions: Expressions,
  lists: TruncatedLists | undefined
): ((record: Value) => Iterable<Value>) => {
  const path = pathOf(component, "expand_records_from_field", expressions)
  const keepsParent = component.isSet("remain_original_record")
  const mergesParent = component.isSet("merge_parent")
  const emitsParent = component.optionalText("on_no_records") === "emit_parent"
  const fields = component.children("parent_fields").map((field) => ({
    from: plainPath(field, "parent_path", expressions),
    to: plainPath(field, "record_path", expressions)
  }))
  const isInContext = keepsParent || mergesParent || fields.length > 0
  const whole = component.child("truncated_list_retriever")
  const indicator = component.has("truncation_indicator_path")
    ? plainPath(component, "truncation_indicator_path", expressions)
    : []
  if (whole !== undefined) {
    if (indicator.length === 0) component.fail("truncation_indicator_path", "it is missing.")
    plainPath(component, "expand_records_from_field", expressions)
    for (const name of ["partition_router", "pagination_reset"]) {
      if (whole.has(name)) whole.fail(name, "it is not for a truncated_list_retriever.")
    }
    if (lists === undefined) {
      return component.fail(
        "truncated_list_retriever",
        "it is for the record_selector of a SimpleRetriever only.",
        "unsupported"
      )
    }
  }
  /** How many items the record says that its list has. */
  const totalOf = (record: PlainDict): number | undefined => {
    const total = Dpath.get(record, [...indicator.slice(0, -1), "total_count"])
    return typeof total === "number" ? total : undefined
  }
  const withParent = (record: PlainDict, item: Value, base: PlainDict | undefined): Value => {
    if (!isInContext) return item !== null && isPlainDict(item) ? { ...item } : item
    const own = item !== null && isPlainDict(item) ? { ...item } : { value: item }
    const child: PlainDict = base === undefined ? own : { ...copyOfDict(base), ...own }
    for (const { from, to } of fields) Dpath.create(child, to, copyOf(Dpath.get(record, from) ?? null))
    if (keepsParent) child["original_record"] = copyOfDict(record)
    return child
  }
  return function* (record) {
    if (record === null || !isPlainDict(record) || path.length === 0) {
      yield record
      return
    }
    const base = mergesParent ? withoutLists(record, path) : undefined
    const isTruncated = indicator.length > 0 && truthy(Dpath.get(record, indicator) ?? null)
    if (isTruncated && whole !== undefined && lists !== undefined) {
      const items = lists.of(component.path, record)
      const total = totalOf(record)
      if (total !== undefined && items.length < total) {
        lists.warn(
          `${component.path} fetched`,
          `The truncated_list_retriever of ${path.join(".")} gave ${items.length} of ${total} items; check its paginator and its request.`
        )
      }
      for (const item of items) yield withParent(record, item, base)
      if (items.length > 0) return
    }
    let count = 0
    for (const list of Dpath.values(record, path)) {
      if (!Array.isArray(list)) continue
      for (const item of list) {
        count++
        yield withParent(record, item, base)
      }
    }
    if (isTruncated && whole === undefined) {
      const total = totalOf(record)
      lists?.warn(
        `${component.path} embedded`,
        `The list at ${path.join(".")} is truncated: ${count} items${total === undefined ? "" : ` of ${total}`} are there. Add a truncated_list_retriever.`
      )
    }
    if (count === 0 && emitsParent) yield record
  }
}
