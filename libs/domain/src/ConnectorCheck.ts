import { DateTime, Duration, Option } from "effect"
import { checkOAuth2, checkPlainAuth, plainHeaders } from "./AuthCheck.ts"
import type { Connector, SourceStream } from "./ConnectorFile.ts"
import type { Pagination } from "./PagesFile.ts"
import { streamTopic } from "./Names.ts"
import { parseFieldType } from "./FieldType.ts"
import { referencesIn } from "./Reference.ts"
import { outputTopic, primaryKey, sinkFor } from "./StreamPlan.ts"
import type { SettingPath } from "./YamlSource.ts"

/** Something that is wrong between settings, each of which is right for itself. */
export interface Conflict {
  readonly severity: "error" | "warning"
  readonly path: SettingPath
  readonly found: string
  readonly expected: string
  readonly advice: string
}

type Report = (
  severity: Conflict["severity"],
  path: SettingPath,
  found: string,
  expected: string,
  advice: string
) => void

/** Checks what no single setting can tell. Works on any connector, wherever its definition came from. */
export const checkConnector = (connector: Connector): ReadonlyArray<Conflict> => {
  const conflicts: Array<Conflict> = []
  const report: Report = (severity, path, found, expected, advice) => {
    conflicts.push({ severity, path, found, expected, advice })
  }
  checkAuth(connector, report)
  if (Object.keys(connector.streams).length === 0) {
    report(
      "error",
      ["streams"],
      "no streams",
      "at least one stream",
      "Add a stream, for example orders: { path: /orders }."
    )
  }
  for (const [name, stream] of Object.entries(connector.streams)) {
    const path = ["streams", name]
    checkAddress(connector, stream, path, report)
    checkParameters(stream, path, report)
    checkIncremental(stream, path, report)
    checkPages(stream, path, report)
    checkPartitions(connector, name, stream, path, report)
    checkSink(connector, name, stream, report)
  }
  checkTopics(connector, report)
  checkTables(connector, report)
  return conflicts
}

/** What a module says in code, a file without one has to say itself. */
const checkAddress = ({ http, module }: Connector, stream: SourceStream, path: SettingPath, report: Report) => {
  if (module !== undefined) return
  if (http.base_url === undefined && stream.address === undefined) {
    report(
      "error",
      ["http", "base_url"],
      "no `base_url`",
      "`base_url`: an address that begins with https:// or http:// and has no query",
      "Add it, for example base_url: https://api.shop.example/v1."
    )
  }
  if (stream.path === undefined) {
    report(
      "error",
      [...path, "path"],
      "no `path`",
      "`path`: a path that begins with / and has no query",
      "Add it, for example path: /orders."
    )
  }
  if (stream.body !== undefined && stream.method === "GET") {
    report(
      "error",
      [...path, "method"],
      "the method GET with a `body`",
      "POST, PUT or PATCH",
      "Remove `method`: a stream with a body sends POST."
    )
  }
}

const isPlainHttp = (address: string): boolean => {
  if (referencesIn(address).length > 0 || !URL.canParse(address)) return false
  const { hostname, protocol } = new URL(address)
  return protocol === "http:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/u.test(hostname)
}

const checkAuth = ({ auth, http, streams }: Connector, report: Report) => {
  const addresses: Array<readonly [SettingPath, string | undefined]> = []
  if (auth !== undefined) {
    const own = "oauth2" in auth ? ["authorization", "dpop"] : plainHeaders(auth)
    const header = Object.keys(http.headers).find((name) => own.includes(name.toLowerCase()))
    if (header !== undefined) {
      report(
        "error",
        ["http", "headers", header],
        `the header ${header} beside \`auth\``,
        "one of them",
        "Remove the header; `auth` sends it with each request."
      )
    }
    addresses.push([["http", "base_url"], http.base_url])
    for (const [name, { address }] of Object.entries(streams)) addresses.push([["streams", name, "address"], address])
  }
  if (auth !== undefined && !("oauth2" in auth)) {
    checkPlainAuth(auth, streams, (...problem) => report("error", ...problem))
  }
  if (auth !== undefined && "oauth2" in auth) {
    checkOAuth2(auth, (...problem) => report("error", ...problem))
    addresses.unshift(
      [["auth", "issuer"], auth.issuer],
      [["auth", "token_url"], auth.token_url],
      [["auth", "revocation_url"], auth.revocation_url],
      [["auth", "introspection_url"], auth.introspection_url]
    )
  }
  for (const [path, address] of addresses) {
    if (address === undefined || !isPlainHttp(address)) continue
    report(
      "warning",
      path,
      "an address without encryption",
      "https://",
      "Tokens can be read on the way; use https:// unless the network is your own."
    )
  }
}

/** Query parameters that the walk from page to page sets, with the setting that names each. */
const pageParameters = (
  pagination: Pagination | undefined
): ReadonlyArray<readonly [setting: string, name: string]> => {
  if (pagination === undefined || !("in" in pagination) || pagination.in !== "query") return []
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

const checkParameters = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental, pagination, query } = stream
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
  const setters: Array<readonly [SettingPath, string]> = pageParameters(pagination).map(([setting, name]) => [
    [...path, "pagination", setting],
    name
  ])
  if (incremental?.in === "query") {
    if (incremental.param !== undefined) setters.push([[...path, "incremental", "param"], incremental.param])
    if (incremental.until_param !== undefined) {
      setters.push([[...path, "incremental", "until_param"], incremental.until_param])
    }
  }
  const seen = new Map<string, string>(Object.keys(query).map((name) => [name, "query"]))
  for (const [at, name] of setters) {
    const other = seen.get(name)
    const setting = at.slice(path.length).join(".")
    if (other !== undefined) {
      report(
        "error",
        at,
        `the query parameter \`${name}\`, which \`${other}\` also sets`,
        "each parameter from one setting",
        other === "query" ? "Remove it from `query`." : "Give one of them another name."
      )
    }
    seen.set(name, setting)
  }
}

/** Whether a placeholder takes the value to read from. */
const asksSince = ({ body, headers, path, query }: SourceStream): boolean =>
  JSON.stringify([body, headers, path, query]).includes("{since}")

const checkPages = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { format, incremental, pagination } = stream
  if (pagination === undefined) return
  const at = [...path, "pagination"]
  if ("restart_after" in pagination && pagination.restart_after !== undefined && incremental?.param === undefined) {
    report(
      "error",
      [...at, "restart_after"],
      "`restart_after` without `incremental`",
      "a value from which the walk can ask again",
      "Add `incremental` with `param`, by which the API sorts."
    )
  }
  const selects =
    "cursor" in pagination || "next_url" in pagination || ("more" in pagination && pagination.more !== undefined)
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

const checkPartitions = (
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

const isTimestamp = (text: string) =>
  /^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})?)?$/u.test(text) &&
  Option.isSome(DateTime.make(text))

const checkIncremental = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental } = stream
  if (incremental === undefined) return
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
  if (incremental.param === undefined && incremental.order === "any" && !incremental.filter && !asksSince(stream)) {
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

const checkSink = (connector: Connector, name: string, stream: SourceStream, report: Report) => {
  const sink = sinkFor(connector, name)
  if (sink === undefined) return
  const own = stream.sink !== undefined
  const at = own ? ["streams", name, "sink", "clickhouse"] : ["sink", "clickhouse"]
  if (sink.mode === "upsert" && sink.orderBy.length === 0) {
    report(
      "error",
      ["streams", name],
      `no primary_key, and the mode upsert in ${own ? "its" : "the connector's"} sink`,
      "fields by which the last version of a record is known",
      "Add `primary_key` to the stream, or `order_by` to the sink."
    )
  }
  for (const column of sink.orderBy) {
    const declared = Object.entries(stream.schema).find(([field]) => field === column)?.[1]
    if (declared === undefined) continue
    const { kind, nullable } = parseFieldType(declared)
    if (nullable || kind === "json") {
      report(
        "error",
        ["streams", name, "schema", column],
        `${declared} for ${column}, which sorts the table`,
        "a type that can sort: not null and not json",
        nullable ? "Remove the ?, or take the column out of `order_by`." : "Sort by another column."
      )
    }
  }
  for (const [part, text] of [
    ["database", sink.database],
    ["table", sink.table]
  ] as const) {
    if (text.length > 190) {
      report(
        "error",
        [...at, "table"],
        `a ${part} name of ${text.length} characters`,
        "at most 190",
        "Choose a shorter name."
      )
    }
  }
  if (sink.views.some((view) => view.database === sink.database && view.name === sink.table)) {
    report(
      "error",
      [...at, "views"],
      `a view named as the table, ${sink.database}.${sink.table}`,
      "another name",
      "Rename the view."
    )
  }
}

/** Reports the second and later of the streams that share a name. */
const checkTopics = (connector: Connector, report: Report) => {
  const owners = new Map<string, string>()
  for (const [name, stream] of Object.entries(connector.streams)) {
    const topic = outputTopic(connector, name)
    const owner = owners.get(topic)
    owners.set(topic, owner ?? name)
    if (owner === undefined) continue
    const named = stream.topic.name === undefined ? owner : name
    report(
      "error",
      ["streams", named, "topic", "name"],
      `the topic ${topic}, which the stream ${named === name ? owner : name} also writes`,
      "one topic per stream",
      `Choose another name, or leave it out: the default is ${streamTopic(connector.connector, named)}.`
    )
  }
}

const checkTables = (connector: Connector, report: Report) => {
  const owners = new Map<string, string>()
  const views = new Map<string, string>()
  for (const [name, stream] of Object.entries(connector.streams)) {
    const sink = sinkFor(connector, name)
    if (sink === undefined) continue
    const table = `${sink.database}.${sink.table}`
    const at: SettingPath = stream.sink === undefined ? ["sink", "clickhouse"] : ["streams", name, "sink", "clickhouse"]
    const owner = owners.get(table)
    owners.set(table, owner ?? name)
    if (owner !== undefined) {
      report(
        "error",
        [...at, "table"],
        `the table ${table} for the streams ${owner} and ${name}`,
        "one table per stream",
        stream.sink === undefined
          ? "Write {stream} for the stream's name, as in {connector}.{stream}, or give each stream a sink of its own."
          : "Choose another table."
      )
    }
    for (const view of sink.views) {
      const full = `${view.database}.${view.name}`
      const select = views.get(full)
      views.set(full, view.select)
      if (select !== undefined && select !== view.select) {
        report(
          "error",
          [...at, "views"],
          `the view ${full} with two meanings`,
          "one SELECT per view",
          "Write {stream} in the view's name."
        )
      }
    }
  }
}
