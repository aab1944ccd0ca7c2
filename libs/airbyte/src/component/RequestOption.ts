import { equals } from "../expression/Compare.ts"
import { dictOf } from "../expression/Dict.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { Component } from "./Component.ts"
import { type Expressions, toData } from "./Expressions.ts"
import { copyOf } from "./copyOf.ts"
import { failure } from "./RunError.ts"

/** Where in a request a value goes. */
export type InjectInto = "request_parameter" | "header" | "body_data" | "body_json"

/** Puts a value into one part of a request. The component `RequestOption`. */
export class RequestOption {
  readonly into: string
  private readonly path: ReadonlyArray<string>
  private readonly parameters: PlainDict
  private readonly expressions: Expressions

  constructor(component: Component, expressions: Expressions) {
    this.into = component.text("inject_into")
    this.expressions = expressions
    this.parameters = component.parameters
    const name = component.optionalText("field_name")
    const path = component.has("field_path") ? component.texts("field_path") : undefined
    if (name === undefined && path === undefined) component.fail("", "field_name or field_path is missing.")
    if (name !== undefined && path !== undefined) component.fail("", "give either field_name or field_path, not both.")
    if (path !== undefined && this.into !== "body_json") {
      component.fail("field_path", "a path is possible in body_json only; use field_name.")
    }
    this.path = path ?? [name ?? ""]
  }

  inject(target: PlainDict, value: Value): void {
    const keys = this.path.map((part) => this.expressions.text(part, this.parameters))
    let node = target
    for (const key of keys.slice(0, -1)) {
      const inner = Object.hasOwn(node, key) ? node[key] : undefined
      if (inner !== undefined && isPlainDict(inner)) node = inner
      else {
        const made: PlainDict = {}
        node[key] = made
        node = made
      }
    }
    node[keys.at(-1) ?? ""] = value
  }
}

/** Options for one part of a request: a mapping, or the whole body as text. */
export type Options = PlainDict | string

const collision = (path: ReadonlyArray<string>) =>
  failure(
    `Request body collision, duplicate keys detected at key path: ${path.join(".")}. Please ensure that all keys in the request are unique.`
  )

const merge = (target: PlainDict, source: PlainDict, path: ReadonlyArray<string>, sameAllowed: boolean): void => {
  for (const [key, given] of Object.entries(source)) {
    // What an expression made is a mapping like those of the manifest.
    const value = toData(given)
    const at = [...path, key]
    const known = Object.hasOwn(target, key) ? target[key] : undefined
    if (known === undefined) {
      target[key] = copyOf(value)
      continue
    }
    const into = dictOf(known)
    const from = dictOf(value)
    if (into !== undefined && isPlainDict(into) && from !== undefined && isPlainDict(from)) {
      if (!sameAllowed) throw collision(at)
      merge(into, from, at, sameAllowed)
    } else if (!sameAllowed || !equals(known, value)) throw collision(at)
  }
}

/** Options of several components together; the same key twice is a mistake, but for equal values in a JSON body. */
export const combine = (all: ReadonlyArray<Options | undefined>, sameAllowed = false): Options => {
  const filled = all.filter(
    (options): options is Options =>
      options !== undefined && (typeof options === "string" || Object.keys(options).length > 0)
  )
  const texts = filled.filter((options) => typeof options === "string")
  if (texts.length > 1) throw failure("Cannot combine multiple string options")
  const [text] = texts
  if (text !== undefined) {
    if (filled.length > 1) throw failure("Cannot combine multiple options if one is a string")
    return text
  }
  const result: PlainDict = {}
  for (const options of filled) if (typeof options !== "string") merge(result, options, [], sameAllowed)
  return result
}

/** Everything that goes into a request besides what the requester itself says. */
export interface Extras {
  readonly request_parameter: Options
  readonly header: Options
  readonly body_data: Options
  readonly body_json: Options
}

/** What one option adds to one part. */
export const injected = (option: RequestOption | undefined, into: InjectInto, value: Value): PlainDict => {
  const target: PlainDict = {}
  if (option?.into === into) option.inject(target, value)
  return target
}
