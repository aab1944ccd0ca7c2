import { syntheticRecord } from "@tributary/testkit"
import { crc32 } from "node:zlib"
import type { ExpectedRecord, Oracle } from "./TopicCheck.ts"

export const partitions = 8

/** How the values of a stream's last topic are written. */
export type Format = "json" | "avro" | "json_schema"

/** Where a connector finds its API. */
export interface ApiPlace {
  readonly url: string
  readonly tokenUrl: string
}

/** A connector of the run with its one stream, and what must become of its records. */
export interface ChaosStream {
  readonly connector: string
  /** Number of its first record; no other stream has any of its records. */
  readonly first: number
  readonly rawTopic: string
  /** The topic that its sink reads; the raw one if nothing is transformed. */
  readonly topic: string
  readonly format: Format
  readonly table: string
  readonly mode: "append" | "upsert"
  /** Declared types. */
  readonly schema: Readonly<Record<string, string>>
  readonly text: (place: ApiPlace) => string
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

/** Records of one stream are numbered from a multiple of this on. */
const span = 10_000_000

const digitsOf = (value: string): string => /"seq":(\d+)/u.exec(value)?.[1] ?? ""

/** The fields of a synthetic record, and the text of `seq`, which a double does not hold. */
interface Fields {
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
const fieldsOf = (record: string): Fields & Readonly<Record<string, unknown>> => JSON.parse(record)

/** JSON text of an object in which a field stands as a placeholder for digits. */
const withDigits = (value: object, digits: Readonly<Record<string, string>>): string => {
  let text = JSON.stringify(value)
  for (const [name, number] of Object.entries(digits)) text = text.replace(`"${name}":0`, `"${name}":${number}`)
  return text
}

const sqlText = (column: string): string => `ifNull(toString(${column}), '-')`
/** ClickHouse's text of a time with milliseconds. */
const sqlTime = (time: string): string => time.replace("T", " ").replace("Z", "")

/** ClickHouse's text of a decimal, which has no zeros at its end. */
const sqlDecimal = (text: string): string => text.replace(/\.?0+$/u, "")

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
  "deleted",
  "_extra"
] as const

/** A row of a table that has all fields as the API sent them. */
const plainRow = (value: string): ReadonlyArray<string> => {
  const record = fieldsOf(value)
  return plainColumns.map((name) => {
    if (name === "seq") return digitsOf(value)
    if (name === "_extra") return ""
    const field: unknown = record[name]
    return typeof field === "string" ? field : JSON.stringify(field)
  })
}

interface Definition {
  readonly connector: string
  readonly pagination: string
  readonly format?: Format
  readonly mode?: "append" | "upsert"
  readonly schema?: Readonly<Record<string, string>>
  readonly transform?: string
  readonly files?: Readonly<Record<string, string>>
  readonly fanOut?: number
  readonly become?: ChaosStream["become"]
  readonly asSent?: ChaosStream["asSent"]
  readonly columns?: ReadonlyArray<string>
  readonly row?: ChaosStream["row"]
}

const connectorText = (definition: Definition, place: ApiPlace): string => `connector: ${definition.connector}
auth:
  oauth2: client_credentials
  token_url: ${place.tokenUrl}
  client_id: client
  client_secret: \${env:CHAOS_SECRET}
  scopes: [records.read]
http:
  base_url: ${place.url}
streams:
  events:
    path: /records
    records: $.data[*]
    primary_key: id
    pagination: ${definition.pagination}
    incremental: { field: updated_at, param: since }
    poll: every 2 seconds
${definition.schema === undefined ? "" : `    schema: ${JSON.stringify(definition.schema)}\n`}    topic: { partitions: ${partitions}${definition.format === undefined ? "" : `, format: ${definition.format}`} }
${definition.transform ?? ""}sink:
  clickhouse: { table: chaos.${definition.connector}, order_by: [id], mode: ${definition.mode ?? "append"}, flush_every: 3 seconds }
`

const make = (definition: Definition, at: number): ChaosStream => {
  const { connector } = definition
  const rawTopic = `raw.${connector}.events`
  return {
    connector,
    first: at * span,
    rawTopic,
    topic: definition.transform === undefined ? rawTopic : `${connector}.events`,
    format: definition.format ?? "json",
    table: `chaos.${connector}`,
    mode: definition.mode ?? "append",
    schema: definition.schema ?? {},
    text: (place) => connectorText(definition, place),
    files: definition.files ?? {},
    fanOut: definition.fanOut ?? 1,
    become: definition.become ?? ((record) => [record]),
    asSent: definition.asSent ?? ((value) => value),
    columns: definition.columns ?? plainColumns.map(sqlText),
    row: definition.row ?? plainRow
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

/** What a record becomes that loses a field. */
const without =
  (name: string) =>
  (value: string): ReadonlyArray<string> => {
    const { [name]: _, ...rest } = fieldsOf(value)
    return [withDigits({ ...rest, seq: 0 }, { seq: digitsOf(value) })]
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

const definitions: ReadonlyArray<Definition> = [
  { connector: "plain", pagination: "{ cursor: $.next, param: cursor }" },
  { connector: "upserted", pagination: "{ link: next }", mode: "upsert" },
  {
    connector: "avro",
    pagination: "{ next_url: $.links.next }",
    format: "avro",
    transform: "transform:\n  - drop: [description]\n",
    become: without("description"),
    asSent: (value) =>
      value
        .replace(
          /"amount":(\d+)(?:\.(\d*))?/u,
          (_, whole: string, rest = "") => `"amount":"${whole}.${rest.padEnd(2, "0")}"`
        )
        .replace(
          /("updated_at":"[^".]*)(?:\.(\d*))?Z"/u,
          (_, time: string, rest = "") => `${time}.${rest.padEnd(3, "0")}Z"`
        ),
    schema: { id: "string", seq: "int64", updated_at: "timestamp(3)", amount: "decimal(18, 2)" },
    columns: [
      ...["id", "seq", "updated_at", "amount", "type", "status", "customer", "tags", "deleted"].map(sqlText),
      "_extra"
    ],
    row: (value) => {
      const { amount, customer, deleted, id, status, tags, type, updated_at } = fieldsOf(value)
      const nested = [JSON.stringify(customer), JSON.stringify(tags)]
      return [
        id,
        digitsOf(value),
        sqlTime(updated_at),
        sqlDecimal(amount),
        type,
        status,
        ...nested,
        String(deleted),
        ""
      ]
    }
  },
  {
    connector: "cast",
    pagination: "{ page: page, size: 500, size_param: limit }",
    schema: { amount: "decimal(18, 2)", updated_at: "timestamp(3)", created_at: "timestamp(3)" },
    transform: castSteps,
    become: cast,
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
  },
  {
    connector: "script",
    pagination: "{ offset: offset, limit: 500 }",
    transform: "transform:\n  - typescript: ./script.ts\n",
    files: { "script.ts": script },
    fanOut: 2,
    become: scripted,
    columns: ["id", "seq", "twice", "country", "status", "amount", "_extra"].map(sqlText),
    row: (value) => {
      const { amount, country, id, status } = fieldsOf(value)
      const digits = digitsOf(value)
      return [id, digits, String(BigInt(digits) * 2n), String(country), status, amount, ""]
    }
  },
  {
    connector: "schema",
    pagination: "{ cursor: $.next, param: cursor }",
    format: "json_schema"
  }
]

/** The streams of a run: every kind of pagination, both modes of loading, every format, transforms of both kinds. */
export const chaosStreams: ReadonlyArray<ChaosStream> = definitions.map((definition, at) => make(definition, at + 1))

/** A stream that goes to its table as it is; `at` tells its records from those of others. */
export const plainStream = (connector: string, at: number): ChaosStream =>
  make({ connector, pagination: "{ cursor: $.next, param: cursor }" }, at)

/** What the raw topic of a stream must hold when its API had `count` records. */
export const rawOracle = (stream: ChaosStream, count: number): Oracle => ({
  slots: count,
  slotOf: (value) => {
    const index = Number(/"id":"evt_(\d{10})"/u.exec(value)?.[1] ?? Number.NaN) - stream.first
    return index >= 0 && index < count ? index : undefined
  },
  expected: (slot): ExpectedRecord => {
    const value = syntheticRecord(stream.first + slot)
    const id = value.slice(7, 21)
    return { id, key: id, value }
  }
})

/** What the topic behind a stream's transform must hold. */
export const outputOracle = (stream: ChaosStream, count: number): Oracle => {
  let last: { readonly index: number; readonly values: ReadonlyArray<string | undefined> } = { index: -1, values: [] }
  const valuesOf = (index: number) => {
    if (last.index !== index) last = { index, values: stream.become(syntheticRecord(stream.first + index)) }
    return last.values
  }
  const parts = ["a", "b"]
  return {
    slots: count * stream.fanOut,
    slotOf: (value) => {
      const [, digits, part = "a"] = /"id":"evt_(\d{10})(?:-([ab]))?"/u.exec(value) ?? []
      const index = Number(digits ?? Number.NaN) - stream.first
      return index >= 0 && index < count ? index * stream.fanOut + parts.indexOf(part) : undefined
    },
    expected: (slot) => {
      const index = Math.floor(slot / stream.fanOut)
      const value = valuesOf(index)[slot % stream.fanOut]
      if (value === undefined) return undefined
      const key = `evt_${String(stream.first + index).padStart(10, "0")}`
      return { id: stream.fanOut === 1 ? key : `${key}-${parts[slot % stream.fanOut]}`, key, value }
    }
  }
}

const separator = "\u0001"

/** SQL of the digest of a row. */
export const digestSql = (stream: ChaosStream): string =>
  `CRC32(arrayStringConcat([${stream.columns.join(", ")}], '${separator}'))`

/** Digest of the row that a record of the stream's last topic becomes. */
export const digestOf = (stream: ChaosStream, value: string): number => crc32(stream.row(value).join(separator))

/** Records of the synthetic API whose texts differ; then they repeat. */
const variants = 64

/** Rows that the table of a stream must have when its API had `count` records. */
export const rowsOfStream = (stream: ChaosStream, count: number): number => {
  let rows = 0
  for (let variant = 0; variant < Math.min(variants, count); variant++) {
    const became = stream.become(syntheticRecord(stream.first + variant)).filter((value) => value !== undefined)
    rows += became.length * Math.ceil((count - variant) / variants)
  }
  return rows
}
