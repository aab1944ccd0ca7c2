import { LosslessJson } from "@tributary/codec"
import { Duration, Effect } from "effect"
import { stat } from "node:fs/promises"
import { basename, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { JsonObject, JsonValue } from "./RecordTransform.ts"
import { Rejection, setField, type Step } from "./Step.ts"

/** Why a file cannot be used, in one sentence. */
export class TypeScriptProblem {
  readonly sentence: string
  readonly cause: unknown
  constructor(sentence: string, cause?: unknown) {
    this.sentence = sentence
    this.cause = cause
  }
}

/** Deepest nesting that a result may have, as in the codec. */
const deepest = 512

/** Something in a result that JSON cannot hold. */
class NotJson {
  readonly where: string
  readonly found: string
  constructor(where: string, found: string) {
    this.where = where
    this.found = found
  }
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const classOf = (value: object): string => {
  const name: unknown = value.constructor?.name
  return typeof name === "string" && name !== "" ? name : "class"
}

const notJson = (value: unknown): string => {
  switch (typeof value) {
    case "undefined":
      return "undefined (leave the field out, or give null)"
    case "number":
      return String(value)
    case "object":
      return Object.prototype.toString.call(value) === "[object Date]"
        ? "a Date (use toISOString())"
        : `an object of class ${classOf(value ?? {})}`
    case "function":
    case "symbol":
      return `a ${typeof value}`
    default:
      return typeof value
  }
}

/**
 * Copies a result, so that the records of one result share nothing, and finds what is not JSON. `above` are the objects that
 * hold this one.
 */
const copyValue = (value: unknown, where: string, above: ReadonlyArray<object>): JsonValue | NotJson => {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value
    case "number":
      return Number.isFinite(value) ? value : new NotJson(where, notJson(value))
    case "object": {
      if (value === null || value instanceof LosslessJson.JsonNumber) return value
      if (above.includes(value)) return new NotJson(where, "a cycle")
      if (above.length >= deepest) return new NotJson(where, `more than ${deepest} levels of nesting`)
      if (Array.isArray(value)) {
        const inside = [...above, value]
        const copy: Array<JsonValue> = []
        for (let i = 0; i < value.length; i++) {
          const element = copyValue(value[i], `${where}[${i}]`, inside)
          if (element instanceof NotJson) return element
          copy.push(element)
        }
        return copy
      }
      return isPlain(value) ? copyRecord(value, where, above) : new NotJson(where, notJson(value))
    }
    default:
      return new NotJson(where, notJson(value))
  }
}

const copyRecord = (value: object, where: string, above: ReadonlyArray<object>): JsonObject | NotJson => {
  const copy: JsonObject = {}
  let inside: ReadonlyArray<object> | undefined
  for (const [name, field] of Object.entries(value)) {
    const kind = typeof field
    if (kind === "string" || kind === "boolean" || field === null || (kind === "number" && Number.isFinite(field))) {
      setField(copy, name, field)
      continue
    }
    const place = where === "" ? name : `${where}.${name}`
    const copied = copyValue(field, place, (inside ??= [...above, value]))
    if (copied instanceof NotJson) return copied
    setField(copy, name, copied)
  }
  return copy
}

/** `orders.ts:12:5` of the innermost place of the stack that is in the file. */
const location = (error: unknown, file: string): string => {
  if (!(error instanceof Error) || typeof error.stack !== "string") return file
  for (const line of error.stack.split("\n")) {
    const at = line.lastIndexOf(file)
    if (at < 0) continue
    const position = /:(\d+):(\d+)\)?$/u.exec(line)
    if (position !== null) return `${file}:${position[1]}:${position[2]}`
  }
  return file
}

const said = (error: unknown): string => {
  if (!(error instanceof Error)) return `threw ${typeof error === "string" ? JSON.stringify(error) : notJson(error)}`
  return error.message === "" ? error.name : error.message.split("\n", 1)[0]!
}

const isFunction = (value: unknown): value is (record: JsonObject) => unknown => typeof value === "function"
const isPromise = (value: object): boolean => "then" in value && typeof value.then === "function"

/** The step that runs a function of the user's. Whatever the function does wrong rejects the record. */
export const functionStep = (run: (record: JsonObject) => unknown, file: string): Step => {
  const reject = (reason: string) => new Rejection("typescript", `${file}: ${reason}`)
  const unusable = ({ found, where }: NotJson) =>
    reject(`transform returned ${found}${where === "" ? "" : ` at ${where}`}, expected a JSON value.`)
  const one = (value: unknown, where: string): JsonObject | Rejection => {
    if (
      typeof value !== "object" ||
      value === null ||
      Array.isArray(value) ||
      value instanceof LosslessJson.JsonNumber ||
      !isPlain(value)
    ) {
      const found = Array.isArray(value)
        ? "a list"
        : value === null
          ? "null"
          : typeof value === "object"
            ? notJson(value)
            : typeof value
      return reject(
        `transform returned ${found}${where}, expected a record${where === "" ? ", a list of records or null" : ""}.`
      )
    }
    const copy = copyRecord(value, "", [])
    return copy instanceof NotJson ? unusable(copy) : copy
  }
  return {
    changes: true,
    apply: (record) => {
      try {
        const result = run(record)
        if (result === null) return null
        if (Array.isArray(result)) {
          const records: Array<JsonObject> = []
          for (let i = 0; i < result.length; i++) {
            const copy = one(result[i], ` as element ${i} of the list`)
            if (copy instanceof Rejection) return copy
            records.push(copy)
          }
          return records
        }
        if (typeof result === "object" && result !== undefined && isPromise(result)) {
          // Nobody waits for it: without a handler its failure would end the process.
          Promise.resolve(result).catch(() => undefined)
          return reject("transform returned a promise, expected a record; a transform is synchronous.")
        }
        return one(result, "")
      } catch (error) {
        return new Rejection("typescript", `${location(error, file)}: ${said(error)}`)
      }
    }
  }
}

// Each load is a module of its own: the module cache of Node never forgets a URL.
let loads = 0

const slow = Duration.seconds(10)

/**
 * Loads a file whose export `transform` is a `RecordTransform`; Node strips the types. Loading it again reads it again (but not the
 * files that it imports).
 */
export const typeScriptStep = Effect.fnUntraced(function* (file: string, base: string) {
  const path = resolve(base, file)
  yield* Effect.tryPromise({
    try: () => stat(path),
    catch: (cause) => new TypeScriptProblem(`The file ${file} cannot be read (looked for ${path}).`, cause)
  })
  const module: unknown = yield* Effect.tryPromise({
    try: () => import(/* @vite-ignore */ `${pathToFileURL(path).href}?load=${++loads}`),
    catch: (cause) =>
      new TypeScriptProblem(
        `The file ${file} cannot be loaded: ${said(cause)} (${location(cause, basename(file))}).`,
        cause
      )
  }).pipe(
    Effect.timeoutOrElse({
      duration: slow,
      orElse: () =>
        Effect.fail(
          new TypeScriptProblem(
            `The file ${file} was not loaded within 10 seconds; its top level may not wait for anything.`
          )
        )
    })
  )
  const exports = typeof module === "object" && module !== null ? module : {}
  const run: unknown = "transform" in exports ? exports.transform : undefined
  if (!isFunction(run)) {
    const names = Object.keys(exports)
    const found = run !== undefined ? `transform is a ${typeof run}` : names.length === 0 ? "nothing" : names.join(", ")
    return yield* Effect.fail(
      new TypeScriptProblem(
        `The file ${file} does not export a function named transform (found: ${found}). ` +
          "Write: export const transform: RecordTransform = (record) => …"
      )
    )
  }
  if (Object.prototype.toString.call(run) === "[object AsyncFunction]") {
    return yield* Effect.fail(new TypeScriptProblem(`transform in ${file} is async, expected a synchronous function.`))
  }
  return functionStep(run, basename(file))
})
