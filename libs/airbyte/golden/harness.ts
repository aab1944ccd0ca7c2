/** Evaluates one case as the golden values have it: what the tests and the comparing scripts share. */
import { StreamSlice } from "../src/expression/Dict.ts"
import {
  interpolate,
  interpolateBoolean,
  interpolateMapping,
  interpolateNested,
  interpolateString
} from "../src/expression/Interpolation.ts"
import { ExpressionError } from "../src/expression/ExpressionError.ts"
import { repr } from "../src/expression/Repr.ts"
import type { Context, PlainDict, Value } from "../src/expression/Value.ts"

/** The frozen clock: 2024-02-29T13:14:15.167089Z. */
export const environment = {
  ports: {
    nowMicros: () => 1_709_212_455_167_089,
    uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f",
    random: () => 0
  }
}

interface RawSlice {
  readonly partition: PlainDict
  readonly cursor_slice: PlainDict
  readonly extra_fields: PlainDict
}

interface RawContext {
  readonly [name: string]: Value | RawSlice
}

const isSlice = (value: unknown): value is RawSlice =>
  typeof value === "object" &&
  value !== null &&
  Object.keys(value).toSorted().join() === "cursor_slice,extra_fields,partition"

/** A maker of contexts by name; each call makes a new one, for an expression may change it. */
export const loadContexts = (raw: { readonly [name: string]: RawContext }): ((name: string) => Context) => {
  return (name) => {
    const entries = Object.entries(structuredClone(raw[name] ?? {})).map(([key, value]): [string, Value] => [
      key,
      isSlice(value) ? new StreamSlice(value.partition, value.cursor_slice, value.extra_fields) : value
    ])
    return Object.fromEntries(entries)
  }
}

/** Names of exceptions that differ only in where they come from. */
const className: { readonly [kind: string]: string } = {
  "re.error": "error",
  "binascii.Error": "Error",
  UnsupportedInterpolation: "AirbyteTracedException"
}

const evaluate = (mode: string, expression: Value, context: Context): Value => {
  if (mode === "nested" || typeof expression !== "string") {
    if (mode === "nested") return interpolateNested(expression, context, environment)
    return interpolateMapping(JSON.parse(JSON.stringify(expression)), context, environment)
  }
  switch (mode) {
    case "plain":
      return interpolate(expression, context, environment)
    case "text":
      return interpolate(expression, context, environment, { validTypes: ["str"] })
    case "string":
      return interpolateString(expression, context, environment)
    default:
      return interpolateBoolean(expression, context, environment)
  }
}

export const evaluateCase = (mode: string, expression: Value, context: Context): ReadonlyArray<string> => {
  try {
    return ["v", repr(evaluate(mode, expression, context))]
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return ["e", className[error.kind] ?? error.kind, error.message]
  }
}
