import { Schema } from "effect"
import { Charset, Csv, ErrorRule, Expand, Format } from "./AnswersFile.ts"
import { Job } from "./JobFile.ts"
import { ConnectorId, StreamName } from "./Names.ts"
import { Increments, Pagination, Partitions } from "./PagesFile.ts"
import { Auth } from "./PlainAuth.ts"
import { Headers, Http, Method, Parameters, RequestBody } from "./RequestFile.ts"
import { fallback, optional, required } from "./Setting.ts"
import {
  AnyObject,
  BaseAddress,
  ColumnName,
  Duration,
  FieldPath,
  FieldType,
  ManifestPath,
  StatePath,
  Poll,
  Positive,
  PositiveDuration,
  QueryText,
  RequestPath,
  ScriptPath,
  SecretReference,
  Selector,
  TableName,
  Text,
  TopicName,
  upTo,
  ViewName
} from "./SettingType.ts"
import { Webhook } from "./WebhookFile.ts"

/** Fields of a record; none twice. */
const Fields = Schema.Array(FieldPath)
  .check(Schema.isMinLength(1), Schema.isUnique())
  .annotate({ title: "list of fields", expected: "a list of at least one field, none twice" })
const Columns = Schema.Array(ColumnName)
  .check(Schema.isMinLength(1), Schema.isUnique())
  .annotate({ title: "list of columns", expected: "a list of at least one column, none twice" })
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
  path: RequestPath.pipe(optional("Path appended to base_url. Required, unless a module says it.", "/orders")),
  address: BaseAddress.pipe(
    optional(
      "Address for this stream, in place of http.base_url. It gets the same credentials.",
      "https://files.shop.example"
    )
  ),
  method: Method.pipe(optional("Method of the requests. Default: GET, or POST with a body.", "POST")),
  query: Parameters.pipe(fallback({}, "Query parameters sent with every request.", { per_page: 100 })),
  headers: Headers.pipe(
    fallback({}, "Headers of this stream, beside http.headers and in place of those with the same name.", {
      accept: "text/csv"
    })
  ),
  body: RequestBody.pipe(optional("Body of the requests. Default: none.", { json: { status: "open" } })),
  format: Format.pipe(
    fallback("json", "What answers are: JSON, lines of JSON, CSV, or XML (elements are members, attributes have an @).")
  ),
  charset: Charset.pipe(
    optional(
      "What the text of answers is written in, whatever they say themselves. Default: what `content-type` says (UTF-8 stays UTF-8 where that is a charset of single bytes), of XML also its first line, else UTF-8. A mark of the byte order outdoes all.",
      "iso-8859-1"
    )
  ),
  csv: Csv.pipe(optional("How the CSV is written. Default: commas, names in the first row.", { delimiter: ";" })),
  unpack: Schema.Literals(["gzip", "zip"]).pipe(
    optional("The body is a file of this kind. A Content-Encoding is undone in any case.", "gzip")
  ),
  records: Selector.pipe(fallback("$[*]", "Where the records stand in an answer.", "$.data[*]")),
  filter: Text.pipe(
    optional("Expression (CEL) over `record`; other records do not belong to the stream.", "record.type == 'order'")
  ),
  expand: Expand.pipe(optional("Makes the elements of a list in each record the records.", { list: "lines" })),
  add: Schema.Record(FieldPath, QueryText)
    .annotate({ expected: "texts by field" })
    .pipe(fallback({}, "Fields added to each record; {name} stands for the partition's value.", { shop: "{shop}" })),
  primary_key: Schema.Union([FieldPath, Fields]).pipe(
    optional("Field or fields that identify a record; they become the key in the topic.", "id")
  ),
  job: Job.pipe(
    optional(
      "Reads the result of a job that the API works on, such as a report. `path`, `pagination` and `format` are then those of the result.",
      {
        create: { path: "/reports" },
        poll: { path: "/reports/{job}" },
        status: "$.status",
        running: ["queued", "running"],
        done: ["done"],
        results: "$.files[*].url"
      }
    )
  ),
  webhook: Webhook.pipe(
    optional(
      "The API sends the records in signed requests, in place of being asked: neither `path` nor `poll` count then. A body is a record, unless `records` says more.",
      { signature: "github", secret: "${env:GITHUB_WEBHOOK}" }
    )
  ),
  pagination: Pagination.pipe(optional("How to get from one page to the next. Default: one page is all.")),
  partitions: Partitions.pipe(
    optional("Parts that are read each by itself, as one per record of another stream. Default: none.", {
      parent: "projects",
      values: { project: "id" }
    })
  ),
  concurrency: upTo(64).pipe(
    fallback(
      4,
      "How many partitions, or windows (`incremental.step`) of a stream without partitions, are read at a time; `rate_limit` holds in any case."
    )
  ),
  errors: Schema.Array(ErrorRule).pipe(
    fallback([], "What answers of this API mean, where it is not what HTTP says; the first rule that fits counts.", [
      { action: "ignore", status: [404] }
    ])
  ),
  incremental: Increments.pipe(optional("How to read only what is new. Default: each poll reads everything.")),
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

/** An object of the list that a stream was made of, by the values that the template takes. */
const FoundObject = Schema.Record(Text, Text)
  .annotate({ expected: "texts by name" })
  .annotate({ identifier: "FoundObject" })

/** Streams that an API's own list of objects makes, one each (`tributary discover --write`). */
export const StreamsFrom = Schema.Struct({
  list: SourceStream.pipe(
    required("Where the objects are listed, as a stream that is read by `tributary discover` only.", {
      path: "/objects",
      records: "$.objects[*]"
    })
  ),
  values: Schema.Record(Text, FieldPath)
    .annotate({ expected: "fields of the list's records by name" })
    .pipe(
      required("Fields of an object by name; {name} stands for the value in the settings below.", { object: "name" })
    ),
  name: Text.pipe(
    required(
      "Name of an object's stream. What a name may not hold becomes _, capitals become small letters.",
      "{object}"
    )
  ),
  stream: SourceStream.pipe(
    required("Settings of each stream. {name} is replaced in path, query, headers, body, add and primary_key.", {
      path: "/objects/{object}",
      primary_key: "id"
    })
  ),
  found: Schema.Array(FoundObject)
    .annotate({ expected: "a list of the objects that were found" })
    .pipe(
      fallback(
        [],
        "The objects that `tributary discover --write` found, each of which is a stream. One that vanished has `gone`, and is not read.",
        [{ object: "contacts" }]
      )
    )
}).annotate({ identifier: "StreamsFrom" })
export type StreamsFrom = typeof StreamsFrom.Type

/** One registered API, as its file states it. The decoded value is what every service runs. */
export const Connector = Schema.Struct({
  connector: ConnectorId.pipe(required("Identifier of the connector.", "shop")),
  auth: Auth.pipe(optional("How requests are authorized. Default: not at all.")),
  module: ScriptPath.pipe(
    optional(
      "File (relative to this one) whose export `connector` defines the streams in code; those that this file names are read.",
      "./shop.ts"
    )
  ),
  manifest: ManifestPath.pipe(
    optional(
      "File (relative to this one) with an Airbyte declarative manifest, which defines the streams.",
      "./manifest.yaml"
    )
  ),
  hooks: ScriptPath.pipe(
    optional(
      "File (relative to this one) whose export `hooks` has what takes the place of the manifest's components that are written in Python.",
      "./hooks.ts"
    )
  ),
  state: StatePath.pipe(
    optional(
      "File (relative to this one) with the state that Airbyte kept of the manifest's streams: where they begin that have read nothing here.",
      "./state.json"
    )
  ),
  config: AnyObject.pipe(
    optional("What the module or the manifest asks for; references are replaced.", { shop: "berlin" })
  ),
  http: Http.pipe(
    fallback({}, "Where the API is and how to speak to it.", {
      base_url: "https://api.shop.example/v1"
    })
  ),
  streams: Schema.Record(StreamName, SourceStream)
    .annotate({ expected: "streams by name", names: true })
    .pipe(
      fallback(
        {},
        "Kinds of records to read, by name. Of a manifest's or a module's streams a list of names will do; left out with a manifest: all of them.",
        { orders: { path: "/orders" } }
      )
    ),
  streams_from: Schema.Array(StreamsFrom)
    .annotate({ expected: "a list of templates" })
    .pipe(
      fallback([], "Streams that the API lists itself, as one for each of its objects or tables.", [
        {
          list: { path: "/objects", records: "$.objects[*]" },
          values: { object: "name" },
          name: "{object}",
          stream: { path: "/objects/{object}", primary_key: "id" }
        }
      ])
    ),
  transform: Schema.Array(TransformStep).pipe(
    fallback([], "Steps that every record passes before it is loaded, in order.")
  ),
  sink: Schema.Struct({
    clickhouse: ClickHouseSink.pipe(required("Table of each stream.", { table: "{connector}.{stream}" }))
  }).pipe(optional("Where records are loaded. Default: nowhere, the topics are the result."))
}).annotate({ identifier: "Connector" })
export type Connector = typeof Connector.Type
