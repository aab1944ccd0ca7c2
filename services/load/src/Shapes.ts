/** What a connector makes of the records of the synthetic API, as far as a load test does it: in YAML, and as it must turn out. */
export interface Shape {
  /** The connector's `transform`, as YAML; empty for none. */
  readonly transform: string
  /** Types that its file declares. */
  readonly schema: Readonly<Record<string, string>>
  /** Files beside the connector file. */
  readonly files: Readonly<Record<string, string>>
  /** Most records that one becomes. */
  readonly fanOut: number
  /** What a record becomes, as JSON; `undefined` in the place of one that is left out. */
  readonly become: (record: string) => ReadonlyArray<string | undefined>
  /** What a consumer decodes, as it was before the format that it is kept in: that has no zeros at the end of numbers. */
  readonly asSent: (value: string) => string
  /** Columns of a row as text, in SQL, and the same of a record of the topic. Together they make the row's digest. */
  readonly columns: ReadonlyArray<string>
  readonly row: (value: string) => ReadonlyArray<string>
}

export const shapeNames = ["none", "cast", "script"] as const
export type ShapeName = (typeof shapeNames)[number]

/** The digits of `seq`, which a double does not hold. */
export const digitsOf = (value: string): string => /"seq":(\d+)/u.exec(value)?.[1] ?? ""

/** The fields of a synthetic record. */
export interface Fields {
  readonly id: string
  readonly type: string
  readonly account_id: string
  readonly status: string
  readonly created_at: string
  readonly updated_at: string
  readonly amount: string
  readonly currency: string
  readonly description: string
  readonly customer: { readonly id: string; readonly name: string; readonly country: string }
  readonly tags: ReadonlyArray<string>
  readonly deleted: boolean
}
export const fieldsOf = (record: string): Fields & Readonly<Record<string, unknown>> => JSON.parse(record)

/** JSON text of an object in which a field stands as a placeholder for digits. */
export const withDigits = (value: object, digits: Readonly<Record<string, string>>): string => {
  let text = JSON.stringify(value)
  for (const [name, number] of Object.entries(digits)) text = text.replace(`"${name}":0`, `"${name}":${number}`)
  return text
}

export const sqlText = (column: string): string => `ifNull(toString(${column}), '-')`
/** ClickHouse's text of a time with milliseconds. */
export const sqlTime = (time: string): string => time.replace("T", " ").replace("Z", "")
/** ClickHouse's text of a decimal, which has no zeros at its end. */
export const sqlDecimal = (text: string): string => text.replace(/\.?0+$/u, "")

const plainColumns = [
  "id",
  "seq",
  "type",
  "account_id",
  "status",
  "created_at",
  "updated_at",
  "amount",
  "currency",
  "description",
  "customer",
  "tags",
  "deleted"
] as const

/** A row of a table that has all fields as the API sent them. */
const plainRow =
  (columns: ReadonlyArray<string>) =>
  (value: string): ReadonlyArray<string> => {
    const record = fieldsOf(value)
    return columns.map((name) => {
      if (name === "seq") return digitsOf(value)
      if (name === "_extra") return ""
      const field: unknown = record[name]
      return typeof field === "string" ? field : JSON.stringify(field)
    })
  }

/** Records as they are; `isPadded` when they have been filled up. */
export const plainShape = (isPadded = false): Shape => {
  const columns = [...plainColumns, ...(isPadded ? ["padding"] : []), "_extra"]
  return {
    transform: "",
    schema: {},
    files: {},
    fanOut: 1,
    become: (record) => [record],
    asSent: (value) => value,
    columns: columns.map(sqlText),
    row: plainRow(columns)
  }
}

const script = `
export const transform = (record) => {
  if (record.deleted === true) return null
  const { customer, tags, ...rest } = record
  const line = (part) => ({ ...rest, id: record.id + "-" + part, country: customer.country, twice: record.seq * 2n })
  return record.type.startsWith("invoice") ? [line("a"), line("b")] : line("a")
}
`

const scripted = (value: string): ReadonlyArray<string | undefined> => {
  const { customer, deleted, tags: _tags, ...rest } = fieldsOf(value)
  if (deleted) return [undefined, undefined]
  const digits = digitsOf(value)
  const line = (part: string) =>
    withDigits(
      { ...rest, seq: 0, deleted, id: `${rest.id}-${part}`, country: customer.country, twice: 0 },
      { seq: digits, twice: String(BigInt(digits) * 2n) }
    )
  return [line("a"), rest.type.startsWith("invoice") ? line("b") : undefined]
}

/** A script leaves records out, makes two of some, and computes beyond 2^53. */
export const scriptShape: Shape = {
  transform: "transform:\n  - typescript: ./script.ts\n",
  schema: {},
  files: { "script.ts": script },
  fanOut: 2,
  become: scripted,
  asSent: (value) => value,
  columns: ["id", "seq", "twice", "country", "status", "amount", "_extra"].map(sqlText),
  row: (value) => {
    const { amount, country, id, status } = fieldsOf(value)
    const digits = digitsOf(value)
    return [id, digits, String(BigInt(digits) * 2n), String(country), status, amount, ""]
  }
}

const castSteps = `transform:
  - filter: record.status != "archived"
  - drop: [tags, description]
  - rename: { customer.name: customer_name, account_id: account }
  - cast: { amount: "decimal(18, 2)", created_at: timestamp(3), deleted: string }
`

const cast = (value: string): ReadonlyArray<string | undefined> => {
  const { account_id, customer, deleted, description: _, tags: _tags, ...rest } = fieldsOf(value)
  if (rest.status === "archived") return [undefined]
  const { name, ...place } = customer
  const record = {
    ...rest,
    seq: 0,
    customer: place,
    customer_name: name,
    account: account_id,
    deleted: String(deleted)
  }
  return [withDigits(record, { seq: digitsOf(value) })]
}

const castFields = ["id", "seq", "account", "status", "customer_name", "type", "currency", "deleted", "_extra"] as const

/** Declared steps filter, drop, rename and cast; columns are decimals and times. */
export const castShape: Shape = {
  transform: castSteps,
  schema: { amount: "decimal(18, 2)", updated_at: "timestamp(3)", created_at: "timestamp(3)" },
  files: {},
  fanOut: 1,
  become: cast,
  asSent: (value) =>
    value
      .replace(
        /"amount":(\d+)(?:\.(\d*))?/u,
        (_, whole: string, rest = "") => `"amount":"${whole}.${rest.padEnd(2, "0")}"`
      )
      .replaceAll(
        /("(?:created|updated)_at":"[^".]*)(?:\.(\d*))?Z"/gu,
        (_, time: string, rest = "") => `${time}.${rest.padEnd(3, "0")}Z"`
      ),
  columns: [...castFields.map(sqlText), "toString(amount)", "toString(updated_at)", "toString(created_at)"],
  row: (value) => {
    const record = fieldsOf(value)
    return [
      ...castFields.map((name) => (name === "seq" ? digitsOf(value) : String(record[name] ?? ""))),
      sqlDecimal(record.amount),
      sqlTime(record.updated_at),
      sqlTime(record.created_at)
    ]
  }
}
