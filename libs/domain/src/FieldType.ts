import { nearest } from "./Nearest.ts"

/** A field's declared type, read. `nullable` is the trailing `?`. */
export type FieldTypeInfo = { readonly nullable: boolean } & (
  | { readonly kind: "bool" | "string" | "date" | "uuid" | "json" }
  | { readonly kind: "int" | "uint"; readonly bits: 8 | 16 | 32 | 64 }
  | { readonly kind: "float"; readonly bits: 64 }
  /** `precision` digits in all (1 to 76), `scale` of them behind the point. */
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  /** `precision` is the number of decimals of a second. */
  | { readonly kind: "timestamp"; readonly precision: 0 | 3 | 6 | 9 }
)

const widths = { "8": 8, "16": 16, "32": 32, "64": 64 } as const
const precisions = { "0": 0, "3": 3, "6": 6, "9": 9 } as const
/** Decimals of a second of a `timestamp` that does not say: what most APIs send at most. */
const timestampPrecision = 6
const has = <T extends object>(table: T, key: string): key is Extract<keyof T, string> => Object.hasOwn(table, key)

/** Reads a field type; `undefined` when the text is none. */
export const readFieldType = (text: string): FieldTypeInfo | undefined => {
  const nullable = text.endsWith("?")
  const name = nullable ? text.slice(0, -1) : text
  switch (name) {
    case "bool":
    case "string":
    case "date":
    case "uuid":
    case "json":
      return { kind: name, nullable }
    case "float64":
      return { kind: "float", bits: 64, nullable }
    case "timestamp":
      return { kind: "timestamp", precision: timestampPrecision, nullable }
  }
  const width = /^u?int(\d+)$/u.exec(name)?.[1] ?? ""
  if (has(widths, width)) return { kind: name.startsWith("u") ? "uint" : "int", bits: widths[width], nullable }
  const decimals = /^timestamp\((\d)\)$/u.exec(name)?.[1] ?? ""
  if (has(precisions, decimals)) return { kind: "timestamp", precision: precisions[decimals], nullable }
  const digits = /^decimal\((\d{1,2}), ?(\d{1,2})\)$/u.exec(name)
  if (digits === null) return undefined
  const precision = Number(digits[1])
  const scale = Number(digits[2])
  return precision >= 1 && precision <= 76 && scale <= precision
    ? { kind: "decimal", precision, scale, nullable }
    : undefined
}

/** Reads the type of a field of a decoded connector; a text that the `FieldType` schema refuses is a defect. */
export const parseFieldType = (text: string): FieldTypeInfo => {
  const type = readFieldType(text)
  if (type === undefined) throw new TypeError(`Not a field type: ${text}`)
  return type
}

const otherNames: Readonly<Record<string, string>> = {
  boolean: "bool",
  int: "int64",
  integer: "int64",
  bigint: "int64",
  long: "int64",
  uint: "uint64",
  float: "float64",
  float32: "float64",
  double: "float64",
  number: "float64",
  numeric: "decimal(38, 9)",
  decimal: "decimal(38, 9)",
  text: "string",
  str: "string",
  varchar: "string",
  datetime: "timestamp",
  time: "timestamp",
  object: "json",
  array: "json",
  map: "json",
  any: "json"
}
const names = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"].concat(
  ["float64", "decimal(38, 9)", "string", "date", "timestamp", "uuid", "json"],
  Object.keys(otherNames)
)

/** Names the type that a wrong text most likely means. */
export const fieldTypeAdvice = (text: string): string | undefined => {
  if (/^decimal\(\d+$/u.test(text)) return `Put the type in quotes, so that its comma separates nothing: "${text}, 2)".`
  if (/^decimal\(.*\)\??$/u.test(text))
    return "A decimal has 1 to 76 digits, and not more behind the point than in all."
  if (/^timestamp\(.*\)\??$/u.test(text)) return "A timestamp has 0, 3, 6 or 9 decimals."
  const name = text.replace(/\?$/u, "").replace(/\(.*\)$/u, "")
  const lower = name.toLowerCase()
  const found = has(otherNames, lower) ? lower : nearest(name, names)
  if (found === undefined) return undefined
  return `Write ${otherNames[found] ?? found}${text.endsWith("?") ? "?" : ""}.`
}
