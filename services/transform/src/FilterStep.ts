import { Environment } from "@marcbachmann/cel-js"
import { LosslessJson } from "@tributary/codec"
import type { JsonValue } from "./RecordTransform.ts"
import { Rejection, shown, type Step } from "./Step.ts"

// CEL has no arithmetic between int and double. In JSON a double may look like an int (`5` for 5.0), so that without these
// `record.price * 1.2` would fail for whole prices only.
const environment = new Environment({ homogeneousAggregateLiterals: false, enableOptionalTypes: true })
  .registerVariable("record", "map")
  .registerOperator("int + double", (a: bigint, b: number) => Number(a) + b)
  .registerOperator("double + int", (a: number, b: bigint) => a + Number(b))
  .registerOperator("int - double", (a: bigint, b: number) => Number(a) - b)
  .registerOperator("double - int", (a: number, b: bigint) => a - Number(b))
  .registerOperator("int * double", (a: bigint, b: number) => Number(a) * b)
  .registerOperator("double * int", (a: number, b: bigint) => a * Number(b))
  .registerOperator("int / double", (a: bigint, b: number) => Number(a) / b)
  .registerOperator("double / int", (a: number, b: bigint) => a / Number(b))

/**
 * A JSON value as CEL sees it: a number written without point and exponent is an int, any other a double; an object is a map.
 * Objects become `Map`s because the library tells types by `constructor`, which may be a field of a record.
 */
const toCel = (value: JsonValue): unknown => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value !== "object" || value === null) return value
  if (value instanceof LosslessJson.JsonNumber) return Number(value.text)
  if (Array.isArray(value)) return value.map(toCel)
  const map = new Map<string, unknown>()
  for (const [name, field] of Object.entries(value)) map.set(name, toCel(field))
  return map
}

const line = (text: string): string => text.split("\n", 1)[0]!

/** The library's errors: `summary` is the message without the excerpt of the source, `range` where it is in the expression. */
const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const summary = "summary" in error && typeof error.summary === "string" ? error.summary : line(error.message)
  const range: unknown = "range" in error ? error.range : undefined
  const start = typeof range === "object" && range !== null && "start" in range ? range.start : undefined
  return typeof start === "number" ? `${summary} (at character ${start + 1})` : summary
}

/**
 * Leaves out the records for which the expression (CEL, cel.dev) is false. `record` is the record; `has(record.x)` asks whether a
 * field is there. What cannot be decided rejects the record: a missing field, operands that do not fit, a result that is not a
 * boolean. Integers are 64 bits wide. Returns a sentence when the expression is wrong.
 */
export const filterStep = (expression: string): Step | string => {
  const checked = environment.check(expression)
  if (!checked.valid) return `The expression is wrong: ${describe(checked.error)}. Expression: ${expression}`
  if (checked.type !== undefined && checked.type !== "bool" && checked.type !== "dyn") {
    return `The expression gives ${checked.type}, expected true or false. Expression: ${expression}`
  }
  const evaluate = environment.parse(expression)
  return {
    changes: false,
    apply: (record) => {
      let result: unknown
      try {
        result = evaluate({ record: toCel(record) })
      } catch (error) {
        return new Rejection("filter", `Cannot decide ${shown(expression)}: ${describe(error)}.`)
      }
      if (result === true) return record
      if (result === false) return null
      const found = typeof result === "string" || result === null ? shown(result) : `a value of type ${typeof result}`
      return new Rejection("filter", `Cannot decide ${shown(expression)}: found ${found}, expected true or false.`)
    }
  }
}
