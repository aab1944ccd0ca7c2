import {
  castShape,
  digitsOf,
  fieldsOf,
  type Oracle,
  outputOracle as oracleOfOutput,
  plainShape,
  rawOracle as oracleOfSource,
  scriptShape,
  type Shape,
  sqlDecimal,
  sqlText,
  sqlTime,
  withDigits
} from "@tributary/load"
import { syntheticRecord } from "@tributary/testkit"

export const partitions = 8

/** How the values of a stream's last topic are written. */
export type Format = "json" | "avro" | "json_schema"

/** Where a connector finds its API. */
export interface ApiPlace {
  readonly url: string
  readonly tokenUrl: string
}

/** A connector of the run with its one stream, and what must become of its records. */
export interface ChaosStream extends Shape {
  readonly connector: string
  /** Number of its first record; no other stream has any of its records. */
  readonly first: number
  readonly rawTopic: string
  /** The topic that its sink reads; the raw one if nothing is transformed. */
  readonly topic: string
  readonly format: Format
  readonly table: string
  readonly mode: "append" | "upsert"
  readonly text: (place: ApiPlace) => string
}

/** Records of one stream are numbered from a multiple of this on. */
const span = 10_000_000

interface Definition {
  readonly connector: string
  readonly pagination: string
  readonly format?: Format
  readonly mode?: "append" | "upsert"
  readonly shape?: Shape
}

const connectorText = (
  definition: Definition,
  shape: Shape,
  place: ApiPlace
): string => `connector: ${definition.connector}
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
${Object.keys(shape.schema).length === 0 ? "" : `    schema: ${JSON.stringify(shape.schema)}\n`}    topic: { partitions: ${partitions}${definition.format === undefined ? "" : `, format: ${definition.format}`} }
${shape.transform}sink:
  clickhouse: { table: chaos.${definition.connector}, order_by: [id], mode: ${definition.mode ?? "append"}, flush_every: 3 seconds }
`

const make = (definition: Definition, at: number): ChaosStream => {
  const { connector } = definition
  const shape = definition.shape ?? plainShape()
  const rawTopic = `raw.${connector}.events`
  return {
    ...shape,
    connector,
    first: at * span,
    rawTopic,
    topic: shape.transform === "" ? rawTopic : `${connector}.events`,
    format: definition.format ?? "json",
    table: `chaos.${connector}`,
    mode: definition.mode ?? "append",
    text: (place) => connectorText(definition, shape, place)
  }
}

/** What a record becomes that loses a field. */
const without =
  (name: string) =>
  (value: string): ReadonlyArray<string> => {
    const { [name]: _, ...rest } = fieldsOf(value)
    return [withDigits({ ...rest, seq: 0 }, { seq: digitsOf(value) })]
  }

/** Types that Avro and columns have and JSON has not. */
const avroShape: Shape = {
  files: {},
  fanOut: 1,
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
    return [id, digitsOf(value), sqlTime(updated_at), sqlDecimal(amount), type, status, ...nested, String(deleted), ""]
  }
}

const definitions: ReadonlyArray<Definition> = [
  { connector: "plain", pagination: "{ cursor: $.next, param: cursor }" },
  { connector: "upserted", pagination: "{ link: next }", mode: "upsert" },
  { connector: "avro", pagination: "{ next_url: $.links.next }", format: "avro", shape: avroShape },
  { connector: "cast", pagination: "{ page: page, size: 500, size_param: limit }", shape: castShape },
  { connector: "script", pagination: "{ offset: offset, limit: 500 }", shape: scriptShape },
  { connector: "schema", pagination: "{ cursor: $.next, param: cursor }", format: "json_schema" }
]

/** The streams of a run: every kind of pagination, both modes of loading, every format, transforms of both kinds. */
export const chaosStreams: ReadonlyArray<ChaosStream> = definitions.map((definition, at) => make(definition, at + 1))

/** A stream that goes to its table as it is; `at` tells its records from those of others. */
export const plainStream = (connector: string, at: number): ChaosStream =>
  make({ connector, pagination: "{ cursor: $.next, param: cursor }" }, at)

/** What the raw topic of a stream must hold when its API had `count` records. */
export const rawOracle = ({ first }: ChaosStream, count: number): Oracle =>
  oracleOfSource({ first, recordSize: 0 }, count)

/** What the topic behind a stream's transform must hold. */
export const outputOracle = (stream: ChaosStream, count: number): Oracle =>
  oracleOfOutput({ first: stream.first, recordSize: 0, shape: stream }, count)

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
