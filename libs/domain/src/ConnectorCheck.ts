import { DateTime, Duration, Option } from "effect"
import { checkOAuth2, checkPlainAuth, plainHeaders } from "./AuthCheck.ts"
import type { Connector, Pagination, SourceStream } from "./ConnectorFile.ts"
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
    checkParameters(stream, path, report)
    checkIncremental(stream, path, report)
    checkSink(connector, name, stream, report)
  }
  checkTopics(connector, report)
  checkTables(connector, report)
  return conflicts
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
  }
  if (auth !== undefined && !("oauth2" in auth)) {
    checkPlainAuth(auth, streams, (...problem) => report("error", ...problem))
  }
  if (auth !== undefined && "oauth2" in auth) {
    checkOAuth2(auth, (...problem) => report("error", ...problem))
    addresses.unshift(
      [["auth", "issuer"], auth.issuer],
      [["auth", "token_url"], auth.token_url],
      [["auth", "refresh_url"], auth.refresh_url],
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
  if (pagination === undefined) return []
  if ("cursor" in pagination) return [["param", pagination.param]]
  if ("page" in pagination) {
    return pagination.size_param === undefined
      ? [["page", pagination.page]]
      : [
          ["page", pagination.page],
          ["size_param", pagination.size_param]
        ]
  }
  if ("offset" in pagination) {
    return [
      ["offset", pagination.offset],
      ["limit_param", pagination.limit_param]
    ]
  }
  return []
}

const checkParameters = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental, pagination, query } = stream
  if (
    pagination !== undefined &&
    "page" in pagination &&
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
  if (incremental !== undefined) setters.push([[...path, "incremental", "param"], incremental.param])
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

const isTimestamp = (text: string) =>
  /^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})?)?$/u.test(text) &&
  Option.isSome(DateTime.make(text))

const checkIncremental = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { incremental } = stream
  if (incremental === undefined) return
  const at = [...path, "incremental"]
  const { field, lookback, start, type } = incremental
  if (start !== undefined && referencesIn(start).length === 0) {
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
