import { Duration as Duration_, Schema, SchemaAST, SchemaTransformation } from "effect"
import { fieldTypeAdvice, readFieldType } from "./FieldType.ts"
import { nearest } from "./Nearest.ts"
import { readPoll } from "./Poll.ts"
import { referenceForms, referenceProblem, referencesIn } from "./Reference.ts"

const isText = (value: unknown): value is string => typeof value === "string"

const fromText =
  (advice: (text: string) => string | undefined) =>
  (value: unknown): string | undefined =>
    isText(value) ? advice(value) : undefined

/** A secret is written as a reference, never as itself; paths of files are relative to the connector file. */
export const SecretReference = Schema.String.check(
  Schema.isPattern(
    /^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\s{}]([^{}\n]*[^\s{}])?|vault:[^\s{}#/]+\/[^\s{}#]+#[^\s{}#]+|(aws|gcp):[^\s{}#]+(#[^\s{}#]+)?)\}$/u
  )
).annotate({
  identifier: "SecretReference",
  title: "secret reference",
  expected: `a reference to the secret: ${referenceForms}`,
  description: `A reference to a secret: ${referenceForms}.`,
  secret: true
})

const units: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(ns|nsecs?|nanoseconds?)$/iu, "nanos"],
  [/^(us|µs|usecs?|microseconds?)$/iu, "micros"],
  [/^(ms|msecs?|milliseconds?)$/iu, "millis"],
  [/^(s|secs?|seconds?)$/iu, "seconds"],
  [/^(m|mins?|minutes?)$/iu, "minutes"],
  [/^(h|hrs?|hours?)$/iu, "hours"],
  [/^(d|days?)$/iu, "days"],
  [/^(w|wks?|weeks?)$/iu, "weeks"]
]

const unitNames = units.flatMap(([, name]) => [name, name.slice(0, -1)])

/** How a length of time is written that looks like one but is not. */
const durationAdvice = (value: unknown): string | undefined => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zµ]*)\s*$/iu.exec(String(value))
  if (match === null) return undefined
  const [, amount = "", unit = ""] = match
  if (unit === "") return `Add the unit: ${amount} seconds.`
  const known = units.find(([pattern]) => pattern.test(unit))?.[1] ?? nearest(unit, unitNames)
  return known === undefined ? undefined : `Write ${amount} ${amount === "1" ? known.replace(/s$/u, "") : known}.`
}

const durationPattern = /^\d+(\.\d+)?\s+(nano|micro|milli|second|minute|hour|day|week)s?$/u

/** A length of time: `500 millis`, `30 seconds`, `1 minute`, `7 days`. */
export const Duration = Schema.String.check(Schema.isPattern(durationPattern)).pipe(
  Schema.decodeTo(Schema.Duration, SchemaTransformation.durationFromString),
  Schema.check(
    Schema.makeFilter((duration: Duration_.Duration) => Duration_.isFinite(duration) && !Duration_.isNegative(duration))
  ),
  (schema) =>
    schema.annotate({
      title: "duration",
      expected: "a duration such as 30 seconds, 1 minute or 7 days",
      advice: durationAdvice
    })
)

/** A length of time longer than none. */
export const PositiveDuration = Duration.check(
  Schema.makeFilter((duration: Duration_.Duration) => Duration_.isPositive(duration))
).annotate({
  title: "duration",
  expected: "a duration longer than zero, such as 30 seconds or 1 minute",
  advice: durationAdvice
})

const numberAdvice = fromText((text) =>
  /^[\d_,. ]+$/u.test(text)
    ? `Write the number without quotes or separators: ${text.replace(/[^\d]/gu, "")}.`
    : undefined
)

export const Positive = Schema.Int.check(Schema.isGreaterThan(0)).annotate({
  title: "whole number > 0",
  expected: "a whole number greater than zero",
  advice: numberAdvice
})

export const Natural = Schema.Natural.annotate({
  title: "whole number",
  expected: "a whole number, zero or more",
  advice: numberAdvice
})

/** A part of a whole. */
export const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 1 })).annotate({
  title: "number, 0.01 to 1",
  expected: "a number from 0.01 to 1"
})

/** A whole number from 1 to `most`. */
export const upTo = (most: number) =>
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: most })).annotate({
    title: `whole number, 1 to ${most}`,
    expected: `a whole number from 1 to ${most}`,
    advice: numberAdvice
  })

/** A text in which references are not replaced. */
export const Text = Schema.NonEmptyString.annotate({ title: "text", expected: "a text that is not empty" })

const templateIsWellFormed = Schema.makeFilter(
  (text: string) => referencesIn(text).every((reference) => referenceProblem(reference) === undefined),
  { toJsonSchema: () => ({}) }
)

/** A text in which references are replaced when the connector starts. */
export const Template = Schema.NonEmptyString.check(templateIsWellFormed).annotate({
  title: "text, may hold references",
  expected: "a text that is not empty; references such as ${env:NAME} and ${file:path} are replaced in it",
  references: true
})

const isAddress = (text: string) =>
  referencesIn(text).length > 0 || (URL.canParse(text) && new URL(text).hash === "" && /^https?:\/\/[^/?#]/u.test(text))

const addressAdvice = fromText((text) => {
  if (URL.canParse(text) && /^https?:/u.test(text) && new URL(text).hash !== "") return "Leave out the part from # on."
  return /^[\w-]+(\.[\w-]+)+(:\d+)?(\/|$)/u.test(text) ? `Write https://${text}.` : undefined
})

/** Address of an HTTP server; only its syntax is known before references are replaced. */
export const Address = Template.check(
  Schema.isPattern(/^https?:\/\/[^\s]+$|\$\{[^}]+\}/u),
  Schema.makeFilter(isAddress)
).annotate({
  title: "address, may hold references",
  expected: "an address that begins with https:// or http://",
  advice: addressAdvice,
  references: true
})

/** The address that paths are appended to, so without a query. */
export const BaseAddress = Address.check(Schema.isPattern(/^[^?#]*$/u)).annotate({
  title: "address, may hold references",
  expected: "an address that begins with https:// or http:// and has no query",
  advice: (value) =>
    isText(value) && value.includes("?") ? "Put query parameters under `query` of the streams." : addressAdvice(value),
  references: true
})

/** Any members, as an API wants them; references in texts are replaced. */
export const AnyObject = Schema.Record(Schema.String, Schema.Json).annotate({
  title: "any members",
  expected: "members by name, of any kind",
  anything: true,
  references: true
})

/** Path of a stream below the base address. */
export const RequestPath = Template.check(Schema.isPattern(/^\/[^\s?#]*$/u)).annotate({
  title: "path, may hold references",
  expected: "a path that begins with / and has no query",
  advice: fromText((text) => {
    if (/^https?:\/\//u.test(text)) return "The address belongs in http.base_url; write only what comes after it."
    if (text.includes("?")) return "Put query parameters under `query`."
    return text === "" || text.startsWith("/") || /[\s#]/u.test(text) ? undefined : `Write /${text}.`
  }),
  references: true
})

/** Name of an HTTP header (RFC 9110, section 5.1). */
export const HeaderName = Schema.String.check(Schema.isPattern(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/u)).annotate({
  title: "header name",
  expected: "the name of a header, without spaces or a colon"
})

/** Value of an HTTP header: visible characters, spaces and tabs. */
export const HeaderValue = Schema.String.check(
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be in it
  Schema.isPattern(/^[^\x00-\x08\x0a-\x1f\x7f]*$/u),
  templateIsWellFormed
).annotate({
  title: "text on one line, may hold references",
  expected: "a text on one line; references such as ${env:NAME} and ${file:path} are replaced in it",
  references: true
})

/** Value of a query parameter that is a text. */
export const QueryText = Schema.String.check(templateIsWellFormed).annotate({
  title: "text, may hold references",
  expected: "a text; references such as ${env:NAME} and ${file:path} are replaced in it",
  references: true
})

/** A place in a JSON document: `$` is the document, `.name` a key, `.*` each member, `[0]` an element, `[*]` each element. */
export const Selector = Schema.String.check(
  Schema.isPattern(/^\$(\.[A-Za-z_][\w-]*|\.\*|\['[^']+'\]|\[\d+\]|\[\*\])*$/u)
).annotate({
  title: "selector",
  expected: "a selector: $ is the document, then .name, .*, ['any name'], [0] or [*], as in $.data[*]",
  advice: fromText((text) => {
    if (/^[A-Za-z_][\w-]*([.[].*)?$/u.test(text)) return `Write $.${text}.`
    if (/^[.[]/u.test(text)) return `Write $${text}.`
    if (text.includes("..")) return "Searching at any depth (..) is not possible; name each key on the way."
    if (text.includes("?(")) return "Filters are not possible here; use a `filter` step under `transform`."
    return undefined
  })
})

const isPattern = (text: string): boolean => {
  try {
    return new RegExp(text, "u").source !== ""
  } catch {
    return false
  }
}

/** A regular expression of JavaScript, without slashes around it. */
export const Pattern = Schema.NonEmptyString.check(Schema.makeFilter(isPattern, { toJsonSchema: () => ({}) })).annotate(
  {
    title: "pattern",
    expected: "a regular expression, without slashes around it",
    advice: fromText((text) => (/^\/.*\/[a-z]*$/u.test(text) ? "Leave out the slashes." : undefined))
  }
)

/** A status code, or a class of them. */
export const Status = Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 599 })).annotate({
    title: "status code",
    expected: "a status code"
  }),
  Schema.Literals(["1xx", "2xx", "3xx", "4xx", "5xx"])
]).annotate({ title: "status code", expected: "a status code from 100 to 599, or 4xx or 5xx" })

/** A form of times: strftime's codes. */
export const DateFormat = Schema.NonEmptyString.check(
  Schema.isPattern(/^(%(Y|m|d|H|M|S|f|z|Z|b|B|y|e|j|I|p|s|ms|_ms|epoch_microseconds|a|A|%)|[^%])+$/u)
).annotate({
  title: "form of times",
  expected: "a form of times in strftime's codes: %Y %m %d %H %M %S %f %z %b %y %j %I %p, or %s, %ms",
  advice: fromText((text) => (/YYYY|yyyy/u.test(text) ? "Write %Y-%m-%d %H:%M:%S." : undefined))
})

/** A field of a record: keys joined by dots (`customer.email`). */
export const FieldPath = Schema.String.check(Schema.isPattern(/^[^.\s]+(\.[^.\s]+)*$/u)).annotate({
  title: "field",
  expected: "a field: keys joined by dots, as in customer.email",
  advice: fromText((text) => (text.startsWith("$.") ? `Write ${text.slice(2)}.` : undefined))
})

/** Types a field can be declared as, and so the column it becomes (`parseFieldType` reads them). */
export const FieldType = Schema.String.check(
  Schema.isPattern(
    /^(bool|u?int(8|16|32|64)|float64|decimal\(\d{1,2}, ?\d{1,2}\)|string|date|timestamp(\([0369]\))?|uuid|json)\??$/u
  ),
  Schema.makeFilter((text: string) => readFieldType(text) !== undefined)
).annotate({
  title: "field type",
  expected:
    "a field type: bool, int8 to int64, uint8 to uint64, float64, decimal(digits, scale), string, date, timestamp, uuid or json, with ? where null is allowed",
  advice: fromText(fieldTypeAdvice)
})

/** `every <duration>` or `cron <expression> [time zone]` (`parsePoll` reads it). */
export const Poll = Schema.String.check(
  Schema.isPattern(/^(every|cron)\s+\S.*$/u),
  Schema.makeFilter((text: string) => readPoll(text)._tag === "Success")
).annotate({
  title: "poll",
  expected: "every <duration> or cron <expression> [time zone]",
  advice: fromText((text) => {
    const reading = readPoll(text)
    return reading._tag === "Failure" ? reading.failure : undefined
  })
})

/** Table of ClickHouse, in which `{connector}` and `{stream}` stand for their names. */
export const TableName = Schema.String.check(
  Schema.isPattern(/^([A-Za-z0-9_-]|\{connector\}|\{stream\})+\.([A-Za-z0-9_-]|\{connector\}|\{stream\})+$/u)
).annotate({
  title: "table",
  expected: "a table as database.table; only {connector} and {stream} are replaced in it",
  advice: fromText((text) => (/^[\w{}-]+$/u.test(text) ? `Name the database too: {connector}.${text}.` : undefined))
})

/** Column of a table. */
export const ColumnName = Schema.String.check(Schema.isPattern(/^[^\s.(),`"'\\]+(\.[^\s.(),`"'\\]+)*$/u)).annotate({
  title: "column",
  expected: "the name of a column",
  advice: fromText((text) =>
    /[(),]/u.test(text) ? "Name one column per entry; expressions are not possible here." : undefined
  )
})

/** Name of a view, in the table's database unless it names another. */
export const ViewName = Schema.String.check(
  Schema.isPattern(/^([A-Za-z0-9_-]|\{connector\}|\{stream\})+(\.([A-Za-z0-9_-]|\{connector\}|\{stream\})+)?$/u)
).annotate({ title: "view", expected: "the name of a view, as view or database.view" })

/** Name of a topic, as Kafka allows it; the platform's own prefixes are not free. */
export const TopicName = Schema.String.check(
  Schema.isPattern(/^(?!\.{1,2}$)(?!raw\.|dead\.|inbox\.|_tributary\.)[A-Za-z0-9._-]{1,200}$/u)
).annotate({
  title: "topic",
  expected: "the name of a topic: at most 200 letters, digits, dots, - and _",
  advice: fromText((text) =>
    /^(raw|dead|inbox|_tributary)\./u.test(text)
      ? "Names that begin with raw., dead., inbox. or _tributary. belong to the platform; choose another."
      : undefined
  )
})

/** A TypeScript or JavaScript module beside the connector file. */
export const ScriptPath = Schema.String.check(Schema.isPattern(/^[^\s].*\.(ts|mts|js|mjs)$/u)).annotate({
  title: "file",
  expected: "the path of a module that ends in .ts, .mts, .js or .mjs",
  advice: fromText((text) => (/\.(tsx|jsx|cjs|cts)$/u.test(text) ? "Write the module as .ts." : undefined))
})

/** A file that is no module. */
export const ManifestPath = Schema.String.check(Schema.isPattern(/^[^\s].*\.ya?ml$/u)).annotate({
  title: "YAML file",
  expected: "the path of a file that ends in .yaml or .yml"
})

export const StatePath = Schema.String.check(Schema.isPattern(/^[^\s].*\.json$/u)).annotate({
  title: "JSON file",
  expected: "the path of a file that ends in .json"
})

/** Whether the setting holds a secret, which is never shown. */
export const isSecret = (ast: SchemaAST.AST): boolean => SchemaAST.resolve(ast)?.["secret"] === true
/** Whether references are replaced in the setting. */
export const takesReferences = (ast: SchemaAST.AST): boolean => SchemaAST.resolve(ast)?.["references"] === true
