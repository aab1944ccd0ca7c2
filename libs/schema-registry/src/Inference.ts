import { isExactDouble } from "@tributary/codec"
import type { ValueType } from "./ValueType.ts"

/** What the values of a field looked like. */
interface Seen {
  bool: boolean
  integer: boolean
  fraction: boolean
  text: boolean
  nested: boolean
  /** All numbers are doubles without loss, or 64-bit integers. */
  exact: boolean
  small: boolean
}

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const longest = 25

const typeOf = (seen: Seen): ValueType => {
  const number = seen.integer || seen.fraction
  if (seen.nested || Number(seen.text) + Number(seen.bool) + Number(number) > 1) return { kind: "json" }
  if (seen.text) return { kind: "string" }
  if (seen.bool) return { kind: "bool" }
  if (seen.fraction) return { kind: seen.exact ? "float" : "json" }
  return seen.small ? { kind: "int", signed: true, bits: 64 } : { kind: "json" }
}

/**
 * Types of fields by their values, by the rules by which tables get their columns (libs/clickhouse, InferColumns): whole numbers
 * of 64 bits, numbers with a fraction if a double loses none of them, true and false, texts; all else is JSON as it is.
 */
export class Inference {
  readonly #fields = new Map<string, Seen>()

  get size(): number {
    return this.#fields.size
  }

  /** Looks at the JSON text of a value that is not null. */
  look(key: string, json: string): void {
    let seen = this.#fields.get(key)
    if (seen === undefined) {
      seen = { bool: false, integer: false, fraction: false, text: false, nested: false, exact: true, small: true }
      this.#fields.set(key, seen)
    }
    const c = json.charCodeAt(0)
    if (c === 0x22) seen.text = true
    else if (c === 0x74 || c === 0x66) seen.bool = true
    else if (c === 0x7b || c === 0x5b) seen.nested = true
    else {
      seen.exact &&= isExactDouble(json)
      if (json === "-0" || /[.eE]/u.test(json)) seen.fraction = true
      else {
        seen.integer = true
        if (json.length > longest) seen.small = false
        else if (json.length > 15) {
          const value = BigInt(json)
          seen.small &&= value >= int64.min && value <= int64.max
        }
      }
    }
  }

  /** Types in the order in which the fields were met. */
  get types(): ReadonlyArray<readonly [key: string, type: ValueType]> {
    return [...this.#fields].map(([key, seen]) => [key, typeOf(seen)])
  }
}
