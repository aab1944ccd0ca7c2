import { Schema } from "effect"
import { ConnectorId, StreamName } from "./Names.ts"
import { Auth } from "./PlainAuth.ts"
import { fallback, optional, required } from "./Setting.ts"
import {
  BaseAddress,
  ColumnName,
  Duration,
  FieldPath,
  FieldType,
  HeaderName,
  HeaderValue,
  Natural,
  Poll,
  Positive,
  PositiveDuration,
  QueryText,
  RequestPath,
  ScriptPath,
  SecretReference,
  Selector,
  TableName,
  Template,
  Text,
  TopicName,
  upTo,
  ViewName
} from "./SettingType.ts"

/** Fields of a record; none twice. */
const Fields = Schema.Array(FieldPath)
  .check(Schema.isMinLength(1), Schema.isUnique())
  .annotate({ title: "list of fields", expected: "a list of at least one field, none twice" })
const Columns = Schema.Array(ColumnName)
  .check(Schema.isMinLength(1), Schema.isUnique())
  .annotate({ title: "list of columns", expected: "a list of at least one column, none twice" })
const QueryName = Text.annotate({ title: "parameter", expected: "the name of a parameter" })
const QueryValue = Schema.Union([
  QueryText,
  Schema.Finite.annotate({ title: "number", expected: "a number" }),
  Schema.Boolean.annotate({ title: "true or false", expected: "true or false" })
]).annotate({ title: "text, number, true or false", expected: "a text, a number, true or false", references: true })

export const RateLimit = Schema.Struct({
  requests: Positive.pipe(required("Requests allowed in each period.", 600)),
  per: PositiveDuration.pipe(required("Length of the period.", "1 minute")),
  key: Text.pipe(optional("Name of the budget; connectors with the same key share it. Default: the host.", "shop"))
}).annotate({ identifier: "RateLimit" })

export const Http = Schema.Struct({
  base_url: BaseAddress.pipe(
    required("Address that the streams' paths are appended to.", "https://api.shop.example/v1")
  ),
  headers: Schema.Record(HeaderName, HeaderValue)
    .annotate({ expected: "headers by name" })
    .pipe(fallback({}, "Headers sent with every request.", { "x-api-version": "2" })),
  rate_limit: RateLimit.pipe(
    optional("Largest rate of requests; throttling answers of the server are obeyed in any case.")
  ),
  connect_timeout: PositiveDuration.pipe(fallback("10 seconds", "Longest wait for a connection.")),
  headers_timeout: PositiveDuration.pipe(fallback("30 seconds", "Longest wait for the first byte of an answer.")),
  body_timeout: PositiveDuration.pipe(fallback("30 seconds", "Longest wait between two parts of a body.")),
  max_page_bytes: Positive.pipe(fallback(33_554_432, "Largest body accepted for one page, in bytes.")),
  retries: Natural.pipe(fallback(8, "How often a request that failed for a passing reason is repeated."))
}).annotate({ identifier: "Http" })

const CursorPagination = Schema.Struct({
  cursor: Selector.pipe(required("Where the body names the next page; absent, null or empty ends the walk.", "$.next")),
  param: Text.pipe(required("Query parameter that takes the cursor.", "cursor"))
}).annotate({ identifier: "CursorPagination" })
const PagePagination = Schema.Struct({
  page: Text.pipe(required("Query parameter that takes the page number.", "page")),
  start: Natural.pipe(fallback(1, "Number of the first page.")),
  size: Positive.pipe(optional("Records per page; a shorter page ends the walk. Without it an empty page does.", 100)),
  size_param: Text.pipe(optional("Query parameter that takes the page size.", "per_page"))
}).annotate({ identifier: "PagePagination" })
const OffsetPagination = Schema.Struct({
  offset: Text.pipe(required("Query parameter that takes the number of records to skip.", "offset")),
  limit: Positive.pipe(required("Records per page; a shorter page ends the walk.", 100)),
  limit_param: Text.pipe(fallback("limit", "Query parameter that takes the page size."))
}).annotate({ identifier: "OffsetPagination" })
const NextUrlPagination = Schema.Struct({
  next_url: Selector.pipe(
    required(
      "Where the body holds the next page's address, absolute or relative; absent, null or empty ends the walk.",
      "$.links.next"
    )
  )
}).annotate({ identifier: "NextUrlPagination" })
const LinkPagination = Schema.Struct({
  link: Text.pipe(required("Relation in the Link header that names the next page (RFC 8288).", "next"))
}).annotate({ identifier: "LinkPagination" })

export const Pagination = Schema.Union([
  CursorPagination,
  PagePagination,
  OffsetPagination,
  NextUrlPagination,
  LinkPagination
]).annotate({ identifier: "Pagination" })
export type Pagination = typeof Pagination.Type

export const Incremental = Schema.Struct({
  field: FieldPath.pipe(required("Field that grows when a record is created or changed.", "updated_at")),
  param: Text.pipe(required("Query parameter that takes the value to read from.", "since")),
  type: Schema.Literals(["timestamp", "number"]).pipe(
    fallback("timestamp", "What the field holds: an RFC 3339 time, or a number (an id, or seconds since 1970).")
  ),
  lookback: Duration.pipe(
    fallback(
      "0 seconds",
      "How far before the last value seen to read again; records read twice unchanged are published once.",
      "5 minutes"
    )
  ),
  window: Duration.pipe(
    optional(
      "How far before the last value seen records that come again unchanged are recognised, 32,768 at most; for an API that ignores `param`, or rounds it to days. Default: the lookback, and 4,096.",
      "2 days"
    )
  ),
  ahead: Duration.pipe(
    optional(
      "How far ahead of the clock a time in the field may be. A record with a later one is published, but what is read next does not begin there. Default: 1 day.",
      "1 hour"
    )
  ),
  start: Template.pipe(
    optional("Value to begin with; without it the first read asks for everything.", "2026-01-01T00:00:00Z")
  )
}).annotate({ identifier: "Incremental" })
export type Incremental = typeof Incremental.Type

export const TransformStep = Schema.Union([
  Schema.Struct({
    keep: Fields.pipe(required("Fields to keep; all others are dropped.", ["id", "total"]))
  }),
  Schema.Struct({ drop: Fields.pipe(required("Fields to drop.", ["internal_note"])) }),
  Schema.Struct({
    rename: Schema.Record(FieldPath, FieldPath)
      .annotate({ expected: "fields with their new names" })
      .pipe(required("Old names and new names.", { "customer.id": "customer_id" }))
  }),
  Schema.Struct({
    mask: Schema.Record(FieldPath, Schema.Literals(["sha256"]))
      .annotate({ expected: "fields with the word sha256" })
      .pipe(required("Fields replaced by a keyed hash of their value.", { "customer.email": "sha256" })),
    salt: SecretReference.pipe(required("Reference to the key of the hash.", "${env:MASK_SALT}"))
  }),
  Schema.Struct({
    cast: Schema.Record(FieldPath, FieldType)
      .annotate({ expected: "fields with their types" })
      .pipe(required("Fields and their new types.", { total: "decimal(18, 2)" }))
  }),
  Schema.Struct({
    filter: Text.pipe(
      required("Expression (CEL) over `record`; records for which it is false are left out.", "record.total > 0")
    )
  }),
  Schema.Struct({
    flatten: Text.pipe(required("Lifts the fields of nested objects to the top; the text joins their names.", "_"))
  }),
  Schema.Struct({
    typescript: ScriptPath.pipe(
      required(
        "File (relative to this one) whose export `transform` maps a record to none, one or many.",
        "./orders.ts"
      )
    )
  })
]).annotate({ identifier: "TransformStep" })
export type TransformStep = typeof TransformStep.Type

export const ClickHouseSink = Schema.Struct({
  table: TableName.pipe(
    fallback(
      "{connector}.{stream}",
      "Table to load, as database.table; {connector} and {stream} stand for their names.",
      "shop.orders"
    )
  ),
  order_by: Columns.pipe(optional("Sorting key of the table. Default: the primary key.", ["id"])),
  partition_by: Text.pipe(
    optional("Partition expression of the table (ClickHouse SQL). Default: none.", "toYYYYMM(updated_at)")
  ),
  mode: Schema.Literals(["append", "upsert"]).pipe(
    fallback(
      "append",
      "append keeps every version of a record; upsert keeps the last one per order_by (read it with FINAL)."
    )
  ),
  batch_rows: upTo(500_000).pipe(fallback(20_000, "Most rows in one insert.")),
  batch_bytes: upTo(134_217_728).pipe(fallback(8_388_608, "Most bytes in one insert.")),
  flush_every: Duration.pipe(
    fallback(
      "1 second",
      "Shortest time between two inserts that are not full, and so the longest time a record waits for its insert."
    )
  ),
  views: Schema.Record(ViewName, Text)
    .annotate({ expected: "views by name" })
    .pipe(
      fallback({}, "Views to keep beside the table: name and SELECT.", {
        late: "SELECT * FROM shop.orders FINAL WHERE total > 100"
      })
    )
}).annotate({ identifier: "ClickHouseSink" })
export type ClickHouseSink = typeof ClickHouseSink.Type

export const Topic = Schema.Struct({
  name: TopicName.pipe(
    optional("Name of the topic that sinks and other consumers read. Default: {connector}.{stream}.", "orders")
  ),
  partitions: upTo(256).pipe(fallback(1, "Partitions of the stream's topics.")),
  retention: PositiveDuration.pipe(fallback("7 days", "How long records stay in the stream's topics.")),
  retention_bytes: Positive.pipe(optional("How many bytes of records stay in each partition.", 10_737_418_240)),
  format: Schema.Literals(["json", "avro", "json_schema"]).pipe(
    fallback(
      "json",
      "How values stand in the topic that sinks and other consumers read: JSON as it is, or Avro or JSON with a registered schema (Confluent's wire format)."
    )
  ),
  compatibility: Schema.Literals(["backward", "forward", "full", "none"]).pipe(
    optional(
      "Which changes of the schema the registry accepts. Default: what the registry says of the subject, backward for a new one.",
      "backward"
    )
  )
}).annotate({ identifier: "Topic" })
export type Topic = typeof Topic.Type

const noTopic = { partitions: 1, retention: "7 days" } as const

export const SourceStream = Schema.Struct({
  path: RequestPath.pipe(required("Path appended to base_url.", "/orders")),
  query: Schema.Record(QueryName, QueryValue)
    .annotate({ expected: "parameters by name" })
    .pipe(fallback({}, "Query parameters sent with every request.", { per_page: 100 })),
  records: Selector.pipe(fallback("$[*]", "Where the records stand in an answer.", "$.data[*]")),
  primary_key: Schema.Union([FieldPath, Fields]).pipe(
    optional("Field or fields that identify a record; they become the key in the topic.", "id")
  ),
  pagination: Pagination.pipe(optional("How to get from one page to the next. Default: one page is all.")),
  incremental: Incremental.pipe(optional("How to read only what is new. Default: each poll reads everything.")),
  poll: Poll.pipe(
    fallback(
      "every 1 minute",
      "When to read: `every <duration>` or `cron <expression> [time zone]`.",
      "every 2 seconds"
    )
  ),
  jitter: Duration.pipe(
    optional(
      "Largest random delay added to each poll. Default: a tenth of the interval, at most 30 seconds.",
      "5 seconds"
    )
  ),
  schema: Schema.Record(FieldPath, FieldType)
    .annotate({ expected: "fields with their types" })
    .pipe(
      fallback({}, "Types of fields, as they are loaded; `?` allows null. Fields left out are inferred.", {
        id: "int64",
        total: "decimal(18, 2)?"
      })
    ),
  topic: Topic.pipe(fallback(noTopic, "Settings of the stream's topics.")),
  transform: Schema.Array(TransformStep).pipe(optional("Steps for this stream, in place of the connector's.")),
  sink: Schema.Struct({
    clickhouse: ClickHouseSink.pipe(required("Table of this stream.", { table: "shop.orders" }))
  }).pipe(optional("Sink of this stream, in place of the connector's."))
}).annotate({ identifier: "SourceStream" })
export type SourceStream = typeof SourceStream.Type

/** One registered API, as its file states it. The decoded value is what every service runs. */
export const Connector = Schema.Struct({
  connector: ConnectorId.pipe(required("Identifier of the connector.", "shop")),
  auth: Auth.pipe(optional("How requests are authorized. Default: not at all.")),
  http: Http.pipe(
    required("Where the API is and how to speak to it.", {
      base_url: "https://api.shop.example/v1"
    })
  ),
  streams: Schema.Record(StreamName, SourceStream)
    .annotate({ expected: "streams by name" })
    .pipe(required("Kinds of records to read, by name.", { orders: { path: "/orders" } })),
  transform: Schema.Array(TransformStep).pipe(
    fallback([], "Steps that every record passes before it is loaded, in order.")
  ),
  sink: Schema.Struct({
    clickhouse: ClickHouseSink.pipe(required("Table of each stream.", { table: "{connector}.{stream}" }))
  }).pipe(optional("Where records are loaded. Default: nowhere, the topics are the result."))
}).annotate({ identifier: "Connector" })
export type Connector = typeof Connector.Type
