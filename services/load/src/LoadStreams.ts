import { deadTopic, rawTopic, streamTopic } from "@tributary/domain"
import { syntheticId, syntheticRecord } from "@tributary/testkit"
import { Duration } from "effect"
import { crc32 } from "node:zlib"
import type { LoadOptions } from "./LoadOptions.ts"
import { castShape, plainShape, scriptShape, type Shape } from "./Shapes.ts"
import type { ExpectedRecord, Oracle } from "./TopicCheck.ts"

/** Variable in the environment of all workers by which the API knows its client. */
export const secretVariable = "TRIBUTARY_LOAD_SECRET"

/** A stream of the load test, with what must become of its records. */
export interface LoadStream {
  readonly connector: string
  readonly stream: string
  /** Its number at the API. */
  readonly number: number
  /** Number of its first record; no other stream has any of its records. */
  readonly first: number
  readonly partitions: number
  readonly recordSize: number
  readonly rawTopic: string
  /** The topic that its sink reads; the raw one if nothing is transformed. */
  readonly topic: string
  readonly deadTopic: string
  readonly table: string
  readonly shape: Shape
  readonly isDecoded: boolean
}

/** Records whose texts differ; then they repeat, but for number and time. */
export const variants = 64

const shapeOf = ({ recordSize, transform }: LoadOptions): Shape =>
  transform === "cast" ? castShape : transform === "script" ? scriptShape : plainShape(recordSize > 0)

/** Streams of a run under a name of its own; `span` is the most records that a stream can have. */
export const loadStreams = (run: string, options: LoadOptions, span: number): ReadonlyArray<LoadStream> => {
  const shape = shapeOf(options)
  return Array.from({ length: options.connectors * options.streams }, (_, number) => {
    const connector = `${run}_${Math.floor(number / options.streams) + 1}`
    const stream = `s${(number % options.streams) + 1}`
    const raw = rawTopic(connector, stream)
    return {
      connector,
      stream,
      number,
      first: number * span,
      partitions: options.partitions,
      recordSize: options.recordSize,
      rawTopic: raw,
      topic: shape.transform === "" ? raw : streamTopic(connector, stream),
      deadTopic: deadTopic(connector, stream),
      table: `${run}.${connector}_${stream}`,
      shape,
      isDecoded: options.format !== "json"
    }
  })
}

const streamText = ({ format, poll }: LoadOptions, { number, partitions, shape, stream }: LoadStream): string =>
  `  ${stream}:
    path: /records/${number}
    records: $.data[*]
    primary_key: id
    pagination: { cursor: $.next, param: cursor }
    incremental: { field: updated_at, param: since }
    poll: every ${Duration.toMillis(poll)} millis
    jitter: 0 seconds
    topic: { partitions: ${partitions}${format === "json" ? "" : `, format: ${format}`} }
${Object.keys(shape.schema).length === 0 ? "" : `    schema: ${JSON.stringify(shape.schema)}\n`}`

/** The connector files of a run, by their names, with the files that they name. */
export const connectorFiles = (
  run: string,
  options: LoadOptions,
  streams: ReadonlyArray<LoadStream>,
  url: string
): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  for (const { connector, shape } of streams) {
    const own = streams.filter((stream) => stream.connector === connector)
    files.set(
      `${connector}.yaml`,
      `connector: ${connector}
auth:
  oauth2: client_credentials
  token_url: ${url}/oauth/token
  client_id: client
  client_secret: \${env:${secretVariable}}
  scopes: [records.read]
http:
  base_url: ${url}
streams:
${own.map((stream) => streamText(options, stream)).join("")}${shape.transform}sink:
  clickhouse: { table: "${run}.{connector}_{stream}", order_by: [id] }
`
    )
    for (const [name, text] of Object.entries(shape.files)) files.set(name, text)
  }
  return files
}

/** Of each variant how many records one becomes. */
export const becomesOf = (stream: LoadStream): ReadonlyArray<number> =>
  Array.from(
    { length: variants },
    (_, variant) => stream.shape.become(syntheticRecord(variant)).filter((value) => value !== undefined).length
  )

/** Where the records of a stream begin, and their size (0: as they are). */
type Numbered = Pick<LoadStream, "first" | "recordSize">

/** What the raw topic of a stream must hold when its API had `count` records. */
export const rawOracle = ({ first, recordSize }: Numbered, count: number): Oracle => ({
  slots: count,
  slotOf: (value) => {
    // As the API writes it, the identifier comes first.
    const digits = value.startsWith('{"id":"evt_') ? value.slice(11, 21) : /"id":"evt_(\d{10})"/u.exec(value)?.[1]
    const index = Number(digits ?? Number.NaN) - first
    return index >= 0 && index < count ? index : undefined
  },
  expected: (slot): ExpectedRecord => {
    const id = syntheticId(first + slot)
    return { id, key: id, value: syntheticRecord(first + slot, recordSize) }
  }
})

const parts = ["a", "b"]

/** What the topic behind a stream's transform must hold. */
export const outputOracle = (
  { first, recordSize, shape }: Numbered & Pick<LoadStream, "shape">,
  count: number
): Oracle => {
  let last: { readonly index: number; readonly values: ReadonlyArray<string | undefined> } = { index: -1, values: [] }
  const valuesOf = (index: number) => {
    if (last.index !== index) last = { index, values: shape.become(syntheticRecord(first + index, recordSize)) }
    return last.values
  }
  return {
    slots: count * shape.fanOut,
    slotOf: (value) => {
      const [, digits, part = "a"] = /"id":"evt_(\d{10})(?:-([ab]))?"/u.exec(value) ?? []
      const index = Number(digits ?? Number.NaN) - first
      return index >= 0 && index < count ? index * shape.fanOut + parts.indexOf(part) : undefined
    },
    expected: (slot) => {
      const index = Math.floor(slot / shape.fanOut)
      const value = valuesOf(index)[slot % shape.fanOut]
      if (value === undefined) return undefined
      const key = syntheticId(first + index)
      return { id: shape.fanOut === 1 ? key : `${key}-${parts[slot % shape.fanOut]}`, key, value }
    }
  }
}

const separator = "\u0001"

/** SQL of the digest of a row. */
export const digestSql = ({ columns }: Shape): string =>
  `CRC32(arrayStringConcat([${columns.join(", ")}], '${separator}'))`

/** Digest of the row that a record of the stream's last topic becomes. */
export const digestOf = ({ row }: Shape, value: string): number => crc32(row(value).join(separator))
