import type { ValidType } from "../expression/Interpolation.ts"
import { type Context, isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import * as Dpath from "./Dpath.ts"
import { called, hookContext, hookOf, replaced } from "./Hooks.ts"
import { type Expressions, toData } from "./Expressions.ts"
import { snakeCase } from "./snakeCase.ts"

/** Changes a record in place. */
export type Transformation = (record: PlainDict, context: Context) => void

const validTypes: { readonly [name: string]: ReadonlyArray<ValidType> } = {
  string: ["str"],
  number: ["float"],
  integer: ["int"],
  boolean: ["bool"]
}

/** The Python type that a `value_type` stands for. */
export const validTypesOf = (component: Component): ReadonlyArray<ValidType> | undefined =>
  validTypes[component.optionalText("value_type") ?? ""]

/** Puts other contents into the same record. */
const replaceWith = (record: PlainDict, contents: PlainDict): void => {
  for (const key of Object.keys(record)) delete record[key]
  Object.assign(record, contents)
}

const addFields = (component: Component, expressions: Expressions): Transformation => {
  const condition = component.optionalText("condition") ?? ""
  const fields = component.children("fields").map((field) => ({
    path: field.texts("path"),
    value: field.get("value") ?? "",
    types: validTypesOf(field),
    parameters: field.parameters
  }))
  return (record, context) => {
    const extra: Context = { ...context, record }
    for (const { parameters, path, types, value: template } of fields) {
      const value = toData(expressions.value(template, parameters, extra, types))
      if (
        condition === "" ||
        expressions.condition(condition, component.parameters, { ...extra, value, path: [...path] })
      ) {
        Dpath.create(record, path, value)
      }
    }
  }
}

const removeFields = (component: Component, expressions: Expressions): Transformation => {
  const condition = component.optionalText("condition") ?? ""
  const given = component.get("field_pointers")
  const pointers: ReadonlyArray<ReadonlyArray<Value>> = Array.isArray(given)
    ? given.map((pointer) => (Array.isArray(pointer) ? pointer : [pointer]))
    : []
  return (record) => {
    for (const pointer of pointers) {
      const only =
        condition === ""
          ? undefined
          : (value: Value) => expressions.condition(condition, component.parameters, { property: value })
      Dpath.remove(record, pointer, only)
    }
  }
}

const keysReplace = (component: Component, expressions: Expressions): Transformation => {
  return (record, context) => {
    const extra: Context = { ...context, record }
    const old = expressions.text(component.text("old"), component.parameters, extra)
    const replacement = expressions.text(component.text("new"), component.parameters, extra)
    const replaced = (data: PlainDict): PlainDict =>
      Object.fromEntries(
        Object.entries(data).map(([key, value]): [string, Value] => [
          old === ""
            ? [replacement, ...Array.from(key).flatMap((char) => [char, replacement])].join("")
            : key.replaceAll(old, () => replacement),
          value !== null && isPlainDict(value) ? replaced(value) : value
        ])
      )
    replaceWith(record, replaced(record))
  }
}

const keysToLower: Transformation = (record) => {
  for (const [key, value] of Object.entries(record)) {
    delete record[key]
    record[key.toLowerCase()] = value
  }
}

const keysToSnake: Transformation = (record) => {
  const changed = (data: PlainDict): PlainDict =>
    Object.fromEntries(
      Object.entries(data).map(([key, value]): [string, Value] => [
        snakeCase(key),
        value !== null && isPlainDict(value) ? changed(value) : value
      ])
    )
  replaceWith(record, changed(record))
}

const flatten = (isListFlattened: boolean): Transformation => {
  return (record) => {
    const result: PlainDict = {}
    const stack: Array<readonly [Value, string]> = [[record, "_"]]
    let needsParent = false
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [value, name] = top
      if (value !== null && isPlainDict(value)) {
        for (const [key, item] of Object.entries(value)) {
          stack.push([item, Object.hasOwn(result, key) || needsParent ? `${name}.${key}` : key])
        }
      } else if (Array.isArray(value) && isListFlattened) {
        value.forEach((item, index) => {
          needsParent = true
          stack.push([item, `${name}.${index}`])
        })
      } else result[name] = value
    }
    replaceWith(record, result)
  }
}

const dpathFlatten = (component: Component, expressions: Expressions): Transformation => {
  const { parameters } = component
  const keys = component.child("key_transformation")
  const part = (name: string) => {
    const template = keys?.optionalText(name)
    return template === undefined ? "" : expressions.text(template, parameters)
  }
  const prefix = part("prefix")
  const suffix = part("suffix")
  return (record) => {
    const path = component.texts("field_path").map((segment) => expressions.value(segment, parameters))
    const found = path.includes("*") ? Dpath.values(record, path)[0] : Dpath.get(record, path)
    if (found === undefined || found === null || !isPlainDict(found)) return
    const extracted = Object.fromEntries(
      Object.entries(found).map(([key, value]): [string, Value] => [`${prefix}${key}${suffix}`, value])
    )
    if (component.isSet("replace_record") && Object.keys(extracted).length > 0) return replaceWith(record, extracted)
    if (Object.keys(extracted).some((key) => Object.hasOwn(record, key))) return
    if (component.isSet("delete_origin_value")) Dpath.remove(record, path)
    Object.assign(record, extracted)
  }
}

/** The transformation of a component. */
export const transformationOf = (component: Component, expressions: Expressions): Transformation => {
  switch (component.type) {
    case "AddFields":
      return addFields(component, expressions)
    case "RemoveFields":
      return removeFields(component, expressions)
    case "KeysReplace":
      return keysReplace(component, expressions)
    case "KeysToLower":
      return keysToLower
    case "KeysToSnakeCase":
      return keysToSnake
    case "FlattenFields":
      return flatten(component.get("flatten_lists") !== false)
    case "DpathFlattenFields":
      return dpathFlatten(component, expressions)
    case "CustomTransformation": {
      const hook = hookOf(component, expressions, "transformations")
      const context = hookContext(component, expressions)
      return (record, { stream_slice: slice = null }) =>
        replaced(
          record,
          called(component, () => hook(record, { ...context, slice }))
        )
    }
    default:
      return component.fail("type", `${component.type} is not a transformation.`, "unsupported")
  }
}
