import { Schema } from "effect"
import { fallback, optional, required } from "./Setting.ts"
import {
  DateFormat,
  Duration,
  FieldPath,
  HeaderName,
  Natural,
  Positive,
  PositiveDuration,
  Selector,
  Template,
  Text
} from "./SettingType.ts"

/** Where in the request a parameter goes. */
const In = Schema.Literals(["query", "header", "body"])
const inSetting = fallback(
  "query",
  "Where the parameter goes: the query, a header, or a member of the body (a variable of GraphQL; dots lead inside).",
  "body"
)(In)
const inPageSetting = fallback(
  "query",
  "Where the parameter goes: the query, a header, a member of the body (a variable of GraphQL; dots lead inside), or `placeholder`: wherever the stream's path, query, headers or body have its name in braces.",
  "body"
)(Schema.Literals([...In.literals, "placeholder"]))

/** What says that a page is the last, beside the name of the next. */
const endSettings = {
  more: Selector.pipe(
    optional("Where the body says whether there is more; anything but true ends the walk.", "$.has_more")
  ),
  end: Selector.pipe(optional("Where the body says that this page is the last; true ends the walk.", "$.end_of_stream"))
}
const untilEmpty = Schema.Boolean.annotate({ title: "true or false" }).pipe(
  fallback(false, "The API names a next page whether or not there is one: the first empty page ends the walk.")
)

const sizeSettings = {
  size: Positive.pipe(
    optional(
      "Records per page; a shorter page ends the walk, unless `more` or `end` says it. Without it an empty page does.",
      100
    )
  ),
  size_param: Text.pipe(optional("Parameter that takes the page size.", "per_page"))
}

const restart = Positive.pipe(
  optional(
    "Most records that the API shows of one question. After so many the walk asks again from the highest value of `incremental` seen; the API must sort by it, ascending.",
    10_000
  )
)

const CursorPagination = Schema.Struct({
  cursor: Selector.pipe(required("Where the body names the next page; absent, null or empty ends the walk.", "$.next")),
  param: Text.pipe(required("Parameter that takes the cursor.", "cursor")),
  in: inPageSetting,
  ...endSettings,
  until_empty: untilEmpty
}).annotate({ identifier: "CursorPagination" })
const HeaderCursorPagination = Schema.Struct({
  header: HeaderName.pipe(
    required("Header of the answer that names the next page; without it the walk ends.", "x-next")
  ),
  param: Text.pipe(required("Parameter that takes the cursor.", "cursor")),
  in: inPageSetting,
  until_empty: untilEmpty
}).annotate({ identifier: "HeaderCursorPagination" })
const LastRecordPagination = Schema.Struct({
  last_record: FieldPath.pipe(
    required("Field of a page's last record after which the next page begins; an empty page ends the walk.", "id")
  ),
  param: Text.pipe(required("Parameter that takes its value.", "starting_after")),
  in: inPageSetting,
  ...endSettings,
  ...sizeSettings
}).annotate({ identifier: "LastRecordPagination" })
const PagePagination = Schema.Struct({
  page: Text.pipe(required("Parameter that takes the page number.", "page")),
  in: inPageSetting,
  start: Natural.pipe(fallback(1, "Number of the first page.")),
  ...endSettings,
  ...sizeSettings,
  restart_after: restart
}).annotate({ identifier: "PagePagination" })
const OffsetPagination = Schema.Struct({
  offset: Text.pipe(required("Parameter that takes the number of records to skip.", "offset")),
  in: inPageSetting,
  start: Natural.pipe(fallback(0, "Number of the first record.")),
  ...endSettings,
  limit: Positive.pipe(
    required("Records per page; a shorter page ends the walk, unless `more` or `end` says it.", 100)
  ),
  limit_param: Text.pipe(fallback("limit", "Parameter that takes the page size.")),
  restart_after: restart
}).annotate({ identifier: "OffsetPagination" })
const NextUrlPagination = Schema.Struct({
  next_url: Selector.pipe(
    required(
      "Where the body holds the next page's address, absolute or relative; absent, null or empty ends the walk.",
      "$.links.next"
    )
  ),
  ...endSettings,
  until_empty: untilEmpty
}).annotate({ identifier: "NextUrlPagination" })
const LinkPagination = Schema.Struct({
  link: Text.pipe(required("Relation in the Link header that names the next page (RFC 8288).", "next")),
  until_empty: untilEmpty
}).annotate({ identifier: "LinkPagination" })

export const Pagination = Schema.Union([
  CursorPagination,
  HeaderCursorPagination,
  LastRecordPagination,
  PagePagination,
  OffsetPagination,
  NextUrlPagination,
  LinkPagination
]).annotate({ identifier: "Pagination" })
export type Pagination = typeof Pagination.Type

export const Incremental = Schema.Struct({
  field: FieldPath.pipe(required("Field that grows when a record is created or changed.", "updated_at")),
  param: Text.pipe(
    optional(
      "Parameter that takes the value to read from. Not needed where a path, query or body holds {since}, or with `order` or `filter`.",
      "since"
    )
  ),
  until_param: Text.pipe(optional("Parameter that takes the end of each window, with `step`.", "until")),
  in: inSetting,
  type: Schema.Literals(["timestamp", "number"]).pipe(
    fallback("timestamp", "What the field holds: a time, or a number (an id, or seconds since 1970).")
  ),
  format: DateFormat.pipe(
    optional(
      "How times are sent and read, where it is not RFC 3339: codes as in strftime, %s for seconds and %ms for milliseconds since 1970. In UTC unless %z is in it.",
      "%Y-%m-%d %H:%M:%S"
    )
  ),
  param_format: DateFormat.pipe(optional("How times are sent, where they are read in another form.", "%s")),
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
  ),
  step: PositiveDuration.pipe(
    optional("Longest window to ask for at a time, from `start` up to now; each is read to its end.", "7 days")
  ),
  clamp: Schema.Literals(["day", "week", "month"]).pipe(
    optional("Windows begin and end with days, weeks (Monday) or months of UTC; with `step`.", "day")
  ),
  order: Schema.Literals(["any", "descending"]).pipe(
    fallback(
      "any",
      "Whether the API sends the newest first (`descending`): a walk then ends at the first page that has only what was read before, further back than the lookback.",
      "descending"
    )
  ),
  filter: Schema.Boolean.annotate({ title: "true or false" }).pipe(
    fallback(false, "Leaves out records before the value to read from, which the API sends all the same.")
  )
}).annotate({ identifier: "Incremental" })
export type Incremental = typeof Incremental.Type

const TokenIncremental = Schema.Struct({
  token: Selector.pipe(
    required("Where the last page names the token with which the next read asks for changes only.", "$.nextSyncToken")
  ),
  param: Text.pipe(required("Parameter that takes the token.", "syncToken")),
  in: inSetting
}).annotate({ identifier: "TokenIncremental" })
const NextUrlIncremental = Schema.Struct({
  next_url: Selector.pipe(
    required(
      "Where the last page names the address, absolute or relative, that the next read begins with.",
      "$['@odata.deltaLink']"
    )
  )
}).annotate({ identifier: "NextUrlIncremental" })
/** How to read only what is new: by a field that grows, or by what the API itself remembers. */
export const Increments = Schema.Union([Incremental, TokenIncremental, NextUrlIncremental]).annotate({
  identifier: "Increments"
})
/** `incremental` by what the API remembers. */
export type Remembered = typeof TokenIncremental.Type | typeof NextUrlIncremental.Type

const ListPartitions = Schema.Struct({
  list: Schema.Record(Text, Schema.Array(Text).check(Schema.isMinLength(1)).annotate({ expected: "a list of texts" }))
    .annotate({ expected: "lists by name" })
    .pipe(
      required("Values by name; with several names each combination is a partition. {name} stands for a value.", {
        region: ["eu", "us"]
      })
    )
}).annotate({ identifier: "ListPartitions" })
const ParentPartitions = Schema.Struct({
  parent: Text.pipe(required("Stream of this connector; each of its records is a partition.", "projects")),
  values: Schema.Record(Text, FieldPath)
    .annotate({ expected: "fields of the parent's records by name" })
    .pipe(required("Fields of the parent's record by name; {name} stands for the value.", { project: "id" })),
  incremental: Schema.Boolean.annotate({ title: "true or false" }).pipe(
    fallback(
      false,
      "Reads only partitions whose parent is new or changed, by the parent's own `incremental`: a change below must touch the parent."
    )
  )
}).annotate({ identifier: "ParentPartitions" })
export const Partitions = Schema.Union([ParentPartitions, ListPartitions]).annotate({ identifier: "Partitions" })
export type Partitions = typeof Partitions.Type
