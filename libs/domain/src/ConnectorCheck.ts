import { checkOAuth2, checkPlainAuth, plainHeaders, tokenHeaders } from "./AuthCheck.ts"
import type { Connector, SourceStream } from "./ConnectorFile.ts"
import type { Conflict, Report } from "./Conflict.ts"
import { checkJob } from "./JobCheck.ts"
import { streamTopic } from "./Names.ts"
import { parseFieldType } from "./FieldType.ts"
import { referencesIn } from "./Reference.ts"
import { checkIncremental, checkPages, checkParameters, checkPartitions } from "./StreamCheck.ts"
import { outputTopic, sinkFor } from "./StreamPlan.ts"
import { checkWebhook, checkWebhookPaths } from "./WebhookCheck.ts"
import type { SettingPath } from "./YamlSource.ts"

/**
 * Checks what no single setting can tell. Works on any connector, wherever its definition came from. Of one whose manifest has not been
 * read, `isWhole` is false: its streams and their keys are not known yet.
 */
export const checkConnector = (
  connector: Connector,
  { isWhole }: { readonly isWhole: boolean }
): ReadonlyArray<Conflict> => {
  const conflicts: Array<Conflict> = []
  const report: Report = (severity, path, found, expected, advice) => {
    conflicts.push({ severity, path, found, expected, advice })
  }
  checkAuth(connector, report)
  checkDefinition(connector, report)
  if (isWhole && Object.keys(connector.streams).length === 0) {
    const isDynamic = connector.streams_from.length > 0
    report(
      isDynamic ? "warning" : "error",
      ["streams"],
      "no streams",
      "at least one stream",
      isDynamic
        ? "Run tributary discover --write: it asks the API which there are."
        : "Add a stream, for example orders: { path: /orders }."
    )
  }
  for (const [name, stream] of Object.entries(connector.streams)) {
    const path = ["streams", name]
    checkAddress(connector, stream, path, report)
    checkParameters(stream, path, report)
    checkIncremental(stream, path, report)
    checkPages(stream, path, report)
    checkPartitions(connector, name, stream, path, report)
    checkJob(stream, path, report)
    checkWebhook(stream, path, report)
    if (isWhole) checkSink(connector, name, stream, report)
  }
  checkWebhookPaths(connector, report)
  checkTopics(connector, report)
  checkTables(connector, report)
  return conflicts
}

/** What a manifest says, a stream cannot say again. */
const manifestSettings = ["path", "address", "method", "body", "charset", "csv", "unpack", "expand", "job", "webhook", "pagination", "partitions", "incremental"] as const // prettier-ignore

const checkDefinition = ({ hooks, manifest, module, state, streams, streams_from }: Connector, report: Report) => {
  if (manifest !== undefined && module !== undefined) {
    report("error", ["module"], "`module` beside `manifest`", "one of them", "Remove one; either defines the streams.")
  }
  if (hooks !== undefined && manifest === undefined) {
    report("error", ["hooks"], "`hooks` without `manifest`", "`manifest`", "Add the manifest that they belong to.")
  }
  if (state !== undefined && manifest === undefined) {
    report(
      "error",
      ["state"],
      "`state` without `manifest`",
      "`manifest`",
      "Remove it; it is Airbyte's state of a manifest."
    )
  }
  if (manifest === undefined) return
  if (streams_from.length > 0) {
    report("error", ["streams_from"], "`streams_from` beside `manifest`", "one of them", "Remove one of them.")
  }
  for (const [name, stream] of Object.entries(streams)) {
    for (const setting of manifestSettings) {
      if (stream[setting] === undefined) continue
      report(
        "error",
        ["streams", name, setting],
        `\`${setting}\` beside \`manifest\``,
        "settings of the topic, the poll and the sink only",
        "Remove it; the manifest says it."
      )
    }
  }
}

/** What a module says in code, a file without one has to say itself. */
const checkAddress = (
  { http, manifest, module }: Connector,
  stream: SourceStream,
  path: SettingPath,
  report: Report
) => {
  if (module !== undefined || manifest !== undefined || stream.webhook !== undefined) return
  if (http.base_url === undefined && stream.address === undefined) {
    report(
      "error",
      ["http", "base_url"],
      "no `base_url`",
      "`base_url`: an address that begins with https:// or http:// and has no query",
      "Add it, for example base_url: https://api.shop.example/v1."
    )
  }
  if (stream.path === undefined && stream.job === undefined) {
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
    const own = "oauth2" in auth ? tokenHeaders(auth) : plainHeaders(auth)
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
