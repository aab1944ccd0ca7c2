/** How the values of a column are checked. `text` of a JSON value other than a string is kept as it was sent. */
export type ColumnKind =
  | { readonly _tag: "Bool" }
  | { readonly _tag: "Integer"; readonly signed: boolean; readonly bits: number }
  | { readonly _tag: "Float" }
  | { readonly _tag: "Decimal"; readonly precision: number; readonly scale: number }
  | { readonly _tag: "Text" }
  | { readonly _tag: "Date"; readonly wide: boolean }
  | { readonly _tag: "Timestamp"; readonly digits: number; readonly wide: boolean }
  | { readonly _tag: "Uuid" }

export interface ColumnType {
  readonly kind: ColumnKind
  readonly nullable: boolean
}

const wrapped = (type: string, wrapper: string): string | undefined =>
  type.startsWith(`${wrapper}(`) && type.endsWith(")") ? type.slice(wrapper.length + 1, -1) : undefined

const simple: Readonly<Record<string, ColumnKind>> = {
  Bool: { _tag: "Bool" },
  Float64: { _tag: "Float" },
  String: { _tag: "Text" },
  Date: { _tag: "Date", wide: false },
  Date32: { _tag: "Date", wide: true },
  DateTime: { _tag: "Timestamp", digits: 0, wide: false },
  UUID: { _tag: "Uuid" }
}

/** Reads a type as ClickHouse writes it. `undefined` for types whose values the encoder cannot check: they are not loaded. */
export const parseColumnType = (type: string): ColumnType | undefined => {
  const plain = wrapped(type, "LowCardinality") ?? type
  const inner = wrapped(plain, "Nullable")
  const base = inner ?? plain
  const nullable = inner !== undefined
  const known = simple[base]
  if (known !== undefined) return { kind: known, nullable }
  const integer = /^(U?)Int(8|16|32|64|128|256)$/u.exec(base)
  if (integer !== null)
    return { kind: { _tag: "Integer", signed: integer[1] === "", bits: Number(integer[2]) }, nullable }
  const decimal = /^Decimal\((\d+), ?(\d+)\)$/u.exec(base)
  if (decimal !== null)
    return { kind: { _tag: "Decimal", precision: Number(decimal[1]), scale: Number(decimal[2]) }, nullable }
  const timestamp = /^DateTime64\((\d)(, ?'[^']*')?\)$/u.exec(base)
  if (timestamp !== null) return { kind: { _tag: "Timestamp", digits: Number(timestamp[1]), wide: true }, nullable }
  if (/^DateTime\('[^']*'\)$/u.test(base)) return { kind: { _tag: "Timestamp", digits: 0, wide: false }, nullable }
  return undefined
}

/** Whether two types hold the same values: `LowCardinality` and the time zone that values are shown in do not matter. */
export const sameColumnType = (a: string, b: string): boolean => {
  const strip = (type: string) =>
    (wrapped(type, "LowCardinality") ?? type)
      .replace(/(DateTime64\(\d), ?'[^']*'/u, "$1")
      .replace(/DateTime\('[^']*'\)/u, "DateTime")
  return strip(a) === strip(b)
}

export interface DeclaredType {
  /** ClickHouse type without `Nullable`. */
  readonly type: string
  readonly nullable: boolean
  /** The column holds JSON text, so that a string keeps its quotes. */
  readonly json: boolean
}

const declaredTypes: Readonly<Record<string, string>> = {
  bool: "Bool",
  float64: "Float64",
  string: "String",
  json: "String",
  date: "Date32",
  uuid: "UUID",
  timestamp: "DateTime64(6, 'UTC')"
}

/** Reads a `FieldType` of the connector file; `undefined` when it is none. */
export const parseFieldType = (field: string): DeclaredType | undefined => {
  const nullable = field.endsWith("?")
  const base = nullable ? field.slice(0, -1) : field
  const json = base === "json"
  const known = declaredTypes[base]
  if (known !== undefined) return { type: known, nullable, json }
  const integer = /^(u?)int(8|16|32|64)$/u.exec(base)
  if (integer !== null) return { type: `${integer[1] === "" ? "" : "U"}Int${integer[2]}`, nullable, json }
  const timestamp = /^timestamp\(([0369])\)$/u.exec(base)
  if (timestamp !== null) return { type: `DateTime64(${timestamp[1]}, 'UTC')`, nullable, json }
  const decimal = /^decimal\((\d{1,2}), ?(\d{1,2})\)$/u.exec(base)
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])]
    if (precision >= 1 && precision <= 76 && scale <= precision)
      return { type: `Decimal(${precision}, ${scale})`, nullable, json }
  }
  return undefined
}
