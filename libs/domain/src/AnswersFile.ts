import { Schema } from "effect"
import { fallback, optional, required } from "./Setting.ts"
import { Duration, FieldPath, HeaderName, Pattern, PositiveDuration, Selector, Status, Text } from "./SettingType.ts"

/** How rows of a CSV body are written (RFC 4180, and what else there is). */
export const Csv = Schema.Struct({
  delimiter: Text.pipe(fallback(",", "What stands between two values.", ";")),
  quote: Text.pipe(fallback('"', "What stands around a value that has a delimiter in it.")),
  columns: Schema.Array(Text)
    .check(Schema.isMinLength(1), Schema.isUnique())
    .annotate({ title: "list of names", expected: "a list of names, none twice" })
    .pipe(optional("Names of the columns. Default: those in the first row.", ["id", "total"])),
  skip: Schema.Natural.annotate({ title: "whole number", expected: "a whole number" }).pipe(
    fallback(0, "Lines before the first row.")
  )
}).annotate({ identifier: "Csv" })
export type Csv = typeof Csv.Type

const isCharset = (name: string): boolean => {
  try {
    return new TextDecoder(name).encoding !== ""
  } catch {
    return false
  }
}

/** A charset by any of its names in the WHATWG's Encoding Standard. */
export const Charset = Schema.NonEmptyString.check(Schema.makeFilter(isCharset, { toJsonSchema: () => ({}) })).annotate(
  {
    title: "charset",
    expected:
      "a charset of the WHATWG's Encoding Standard, such as utf-8, iso-8859-1, windows-1252, shift_jis or utf-16le"
  }
)

export const Format = Schema.Literals(["json", "ndjson", "csv", "xml"])

/** How a list inside each record becomes records of its own. */
export const Expand = Schema.Struct({
  list: FieldPath.pipe(required("List in each record whose elements become the records.", "lines")),
  parent: Text.pipe(optional("Member of each element that takes the rest of the record it was in.", "order"))
}).annotate({ identifier: "Expand" })
export type Expand = typeof Expand.Type

const Wait = Schema.Struct({
  constant: PositiveDuration.pipe(optional("The same time each time.", "30 seconds")),
  exponential: PositiveDuration.pipe(optional("This long at first, twice as long each time after.", "1 second")),
  header: HeaderName.pipe(optional("Header that says how long, in seconds or as a time.", "x-retry-in")),
  pattern: Pattern.pipe(
    optional(
      "Pattern whose first group is the number of seconds, in that header or, without it, in the body.",
      "in (\\d+) seconds"
    )
  ),
  at_least: Duration.pipe(fallback("0 seconds", "Least wait, whatever was found.")),
  at_most: PositiveDuration.pipe(fallback("15 minutes", "Longest wait, whatever was found."))
}).annotate({ identifier: "Wait" })

/** What an answer means. The first rule that fits counts. */
export const ErrorRule = Schema.Struct({
  action: Schema.Literals(["ignore", "fail", "retry", "throttle", "refresh-token", "success", "restart", "reset"]).pipe(
    required(
      "What to do. `ignore`: no records, and the end of the walk or partition. `fail`: the stream stops. `retry`: again, after a wait. `throttle`: again, and the whole rate limit waits. `refresh-token`: again with a new token, once. `success`: a page like any other. `restart`: the walk or partition begins again. `reset`: so it does, without what `incremental` knows, and reads everything.",
      "retry"
    )
  ),
  status: Schema.Array(Status)
    .check(Schema.isMinLength(1))
    .annotate({ title: "list of status codes", expected: "a list of status codes, such as [404] or [5xx]" })
    .pipe(optional("Status codes; 4xx and 5xx stand for all of them. Default: any that is no success.", [404, 410])),
  header: Schema.Record(HeaderName, Pattern)
    .annotate({ expected: "patterns by name of a header" })
    .pipe(optional("Headers whose values all match.", { "x-error": "quota" })),
  body: Pattern.pipe(optional("Pattern that the body matches.", "rate limit")),
  value: Selector.pipe(optional("Place in a JSON body that has a value (not null, false or empty).", "$.error")),
  equals: Text.pipe(optional("The text that the value has.", "RATE_LIMITED")),
  message: Text.pipe(optional("What to say. Default: what the answer begins with.", "The shop is closed.")),
  wait: Wait.pipe(optional("How long to wait. Default: what the API asks for, else longer each time."))
}).annotate({ identifier: "ErrorRule" })
export type ErrorRule = typeof ErrorRule.Type
