import { DateTime, Duration, Option } from "effect"
import type { Connector, SourceStream } from "./ConnectorFile.ts"
import type { Report } from "./Conflict.ts"
import { parseFieldType } from "./FieldType.ts"
import type { Pagination } from "./PagesFile.ts"
import { referencesIn } from "./Reference.ts"
import { primaryKey } from "./StreamPlan.ts"
import type { SettingPath } from "./YamlSource.ts"

/** Parameters in the query or the body that the walk from page to page sets, with the setting that names each. */
const pageParameters = (
  pagination: Pagination | undefined,
  place: "query" | "body"
): ReadonlyArray<readonly [setting: string, name: string]> => {
  if (pagination === undefined || !("in" in pagination) || pagination.in !== place) return []
  const found: Array<readonly [string, string | undefined]> =
    "page" in pagination
      ? [
          ["page", pagination.page],
          ["size_param", pagination.size_param]
        ]
      : "offset" in pagination
        ? [
            ["offset", pagination.offset],
            ["limit_param", pagination.limit_param]
          ]
        : [
            ["param", pagination.param],
            ["size_param", "last_record" in pagination ? pagination.size_param : undefined]
          ]
  return found.flatMap(([setting, name]) => (name === undefined ? [] : [[setting, name] as const]))
}

export const checkParameters = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental, job, pagination } = stream
  if (
    pagination !== undefined &&
    ("page" in pagination || "last_record" in pagination) &&
    pagination.size_param !== undefined &&
    pagination.size === undefined
  ) {
    report(
      "error",
      [...path, "pagination", "size_param"],
      "`size_param` without `size`",
      "both",
      "Add `size: 100`, or remove `size_param`."
    )
  }
  const paging: ReadonlyArray<readonly [SettingPath, string]> = pageParameters(pagination, "query").map(
    ([setting, name]) => [[...path, "pagination", setting], name]
  )
  const reading: Array<readonly [SettingPath, string]> = []
  const isToken = incremental !== undefined && "token" in incremental
  if (incremental !== undefined && "in" in incremental && incremental.in === "query") {
    if (incremental.param !== undefined) reading.push([[...path, "incremental", "param"], incremental.param])
    if ("field" in incremental && incremental.until_param !== undefined) {
      reading.push([[...path, "incremental", "until_param"], incremental.until_param])
    }
  }
  const check = (
    query: SourceStream["query"],
    from: string,
    setters: ReadonlyArray<readonly [SettingPath, string]>
  ) => {
    const seen = new Map<string, string>(Object.keys(query).map((name) => [name, from]))
    for (const [at, name] of setters) {
      const other = seen.get(name)
      const setting = at.slice(path.length).join(".")
      // The last walk's token and this one's cursors may go the same way: there is one of them at a time.
      if (other !== undefined && !(isToken && setting === "incremental.param" && other !== from)) {
        report(
          "error",
          at,
          `the query parameter \`${name}\`, which \`${other}\` also sets`,
          "each parameter from one setting",
          other === from ? `Remove it from \`${from}\`.` : "Give one of them another name."
        )
      }
      seen.set(name, setting)
    }
  }
  if (job === undefined) return check(stream.query, "query", [...paging, ...reading])
  // What is read from goes into the request that makes the job, pages are those of its result.
  check(stream.query, "query", paging)
  check(job.create.query, "job.create.query", reading)
}

/** What is put into the body of a GraphQL request are its variables: one that the query does not have, the API passes over. */
const checkVariables = ({ body, incremental, job, pagination }: SourceStream, path: SettingPath, report: Report) => {
  if (body === undefined || !("graphql" in body) || job !== undefined || referencesIn(body.graphql).length > 0) return
  const { graphql } = body
  const setters: Array<readonly [SettingPath, string]> = pageParameters(pagination, "body").map(([setting, name]) => [
    [...path, "pagination", setting],
    name
  ])
  if (incremental !== undefined && "in" in incremental && incremental.in === "body") {
    const until = "field" in incremental ? incremental.until_param : undefined
    if (incremental.param !== undefined) setters.push([[...path, "incremental", "param"], incremental.param])
    if (until !== undefined) setters.push([[...path, "incremental", "until_param"], until])
  }
  for (const [at, name] of setters) {
    const [variable = ""] = name.split(".")
    if (new Set(graphql.match(/\$[_A-Za-z]\w*/gu)).has(`$${variable}`)) continue
    const inner = name.startsWith("variables.") ? ` Write ${name.slice("variables.".length)}.` : ""
    report(
      "error",
      at,
      `\`${name}\`, but no $${variable} in the query`,
      "the name of a variable of the GraphQL query (dots lead inside it)",
      `The query has to declare it and use it.${inner}`
    )
  }
}

/** Whether a request has a placeholder of this name. */
const hasPlaceholder = ({ body, headers, job, path, query }: SourceStream, name: string): boolean =>
  JSON.stringify([body, headers, path, query, job?.create]).includes(`{${name}}`)

export const checkPages = (stream: SourceStream, path: SettingPath, report: Report) => {
  checkVariables(stream, path, report)
  const { format, incremental, pagination } = stream
  if (pagination === undefined) return
  const at = [...path, "pagination"]
  const param = incremental !== undefined && "field" in incremental ? incremental.param : undefined
  if ("restart_after" in pagination && pagination.restart_after !== undefined && param === undefined) {
    report(
      "error",
      [...at, "restart_after"],
      "`restart_after` without `incremental`",
      "a value from which the walk can ask again",
      "Add `incremental` with `param`, by which the API sorts."
    )
  }
  const name =
    "page" in pagination
      ? pagination.page
      : "offset" in pagination
        ? pagination.offset
        : "param" in pagination
          ? pagination.param
          : undefined
  if ("in" in pagination && pagination.in === "placeholder" && name !== undefined && !hasPlaceholder(stream, name)) {
    report(
      "error",
      [...at, "in"],
      `\`placeholder\`, but no {${name}} in the request`,
      `{${name}} in the path, a query parameter, a header or the body`,
      "Write it where the value goes, or say with `in` where that is."
    )
  }
  const selects =
    "cursor" in pagination ||
    "next_url" in pagination ||
    ("more" in pagination && (pagination.more !== undefined || pagination.end !== undefined))
  if ((format === "ndjson" || format === "csv") && selects) {
    report(
      "error",
      at,
      `a value of the body, which is ${format}`,
      "a header, a page number, an offset or the last record",
      "Lines and rows hold records only; use `header`, `link`, `page`, `offset` or `last_record`."
    )
  }
}

export const checkPartitions = (
  { streams }: Connector,
  name: string,
  stream: SourceStream,
  path: SettingPath,
  report: Report
) => {
  const { partitions } = stream
  if (partitions === undefined || !("parent" in partitions)) return
  const at = [...path, "partitions", "parent"]
  const known = Object.keys(streams)
  if (!known.includes(partitions.parent)) {
    report(
      "error",
      at,
      `the stream ${partitions.parent}, which is not there`,
      `one of ${known.join(", ")}`,
      "Name a stream of this connector."
    )
    return
  }
  const met = new Set([name])
  for (let next: string | undefined = partitions.parent; next !== undefined;) {
    if (met.has(next)) {
      report(
        "error",
        at,
        `the stream ${partitions.parent}, which is below this one`,
        "a stream that can be read first",
        "Parents must not form a circle."
      )
      return
    }
    met.add(next)
    const above: SourceStream["partitions"] = Object.entries(streams).find(([other]) => other === next)?.[1].partitions
    next = above !== undefined && "parent" in above ? above.parent : undefined
  }
  const parent = Object.entries(streams).find(([other]) => other === partitions.parent)?.[1]
  if (partitions.incremental && parent?.incremental === undefined) {
    report(
      "error",
      [...path, "partitions", "incremental"],
      `\`incremental\` with the parent ${partitions.parent}, which has none`,
      "a parent that is read incrementally",
      "Add `incremental` to the parent, or remove it here."
    )
  }
}

/** What `incremental` asks for when the API itself remembers what was read. */
const checkRemembered = ({ format }: SourceStream, path: SettingPath, report: Report) => {
  if (format !== "ndjson" && format !== "csv") return
  report(
    "error",
    [...path, "incremental"],
    `a value of the body, which is ${format}`,
    "`field`: a field of the records",
    "Lines and rows hold records only; read by a field that grows."
  )
}

const isTimestamp = (text: string) =>
  /^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})?)?$/u.test(text) &&
  Option.isSome(DateTime.make(text))

export const checkIncremental = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental } = stream
  if (incremental === undefined) return
  if (!("field" in incremental)) return checkRemembered(stream, path, report)
  const at = [...path, "incremental"]
  const { field, format, lookback, param_format: sent, start, step, type, until_param: until } = incremental
  if (step !== undefined && type !== "timestamp") {
    report(
      "error",
      [...at, "step"],
      "`step` with `type: number`",
      "windows of time",
      'For seconds since 1970 write `format: "%s"` in place of `type: number`.'
    )
  }
  if (step !== undefined && start === undefined) {
    report("error", [...at, "step"], "`step` without `start`", "both", "Add `start`, the time of the first window.")
  }
  if (until !== undefined && step === undefined) {
    report("error", [...at, "until_param"], "`until_param` without `step`", "both", "Add `step: 7 days`, or remove it.")
  }
  if (incremental.clamp !== undefined && step === undefined) {
    report("error", [...at, "clamp"], "`clamp` without `step`", "both", "Add `step: 7 days`, or remove it.")
  }
  if (
    incremental.param === undefined &&
    incremental.order === "any" &&
    !incremental.filter &&
    !hasPlaceholder(stream, "since")
  ) {
    report(
      "error",
      at,
      "no `param`",
      "`param`: the parameter that takes the value to read from",
      "Add it, or say with `order: descending` or `filter: true` that the API has none."
    )
  }
  // In a form of the API's own it is read when the stream starts.
  if (start !== undefined && referencesIn(start).length === 0 && format === undefined && sent === undefined) {
    const fits = type === "timestamp" ? isTimestamp(start) : /^-?\d+(\.\d+)?$/u.test(start)
    if (!fits) {
      report(
        "error",
        [...at, "start"],
        JSON.stringify(start.slice(0, 40)),
        type === "timestamp" ? "a time (RFC 3339) such as 2026-01-01T00:00:00Z" : 'a number in quotes, such as "0"',
        type === "timestamp" ? "Write a time, or set `type: number`." : "Write a number, or set `type: timestamp`."
      )
    }
  }
  const declared = Object.entries(stream.schema).find(([name]) => name === field)?.[1]
  const kind = declared === undefined ? undefined : parseFieldType(declared).kind
  const kinds = type === "timestamp" ? ["timestamp", "date", "string"] : ["int", "uint", "float", "decimal"]
  if (kind !== undefined && !kinds.includes(kind)) {
    report(
      "error",
      [...at, "field"],
      `the field ${field} of type ${declared}, read as ${type}`,
      type === "timestamp" ? "a timestamp" : "a number",
      `Set \`type: ${type === "timestamp" ? "number" : "timestamp"}\`, or correct the field's type under \`schema\`.`
    )
  }
  if (primaryKey(stream).length === 0 && Duration.isPositive(lookback)) {
    report(
      "warning",
      [...at, "lookback"],
      "`lookback` without `primary_key`",
      "a key that tells records apart",
      "Add `primary_key`; without it a record that changed cannot be told from a new one."
    )
  }
}
