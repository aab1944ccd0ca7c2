import { connectorEditorSchema } from "@tributary/domain"
import { type Answer, plainAnswer } from "./Answer.ts"
import type { ConnectorCase, Route } from "./Case.ts"
import { type Json, isObject, type JsonObject, objectOr, places, valueAt, withValue } from "./Json.ts"
import { mutated, type Random } from "./Mutate.ts"
import { oddAnswer } from "./RandomAnswers.ts"
import { type Likelihood, valueFor } from "./SchemaValue.ts"

const schema: Json = JSON.parse(JSON.stringify(connectorEditorSchema()))

/** How often settings are there; those that are not named, now and then. */
const often: Readonly<Record<string, number>> = {
  auth: 0.25,
  module: 0.01,
  config: 0.02,
  sink: 0.03,
  transform: 0.05,
  http: 1,
  "http.base_url": 1,
  "http.proxy": 0.02,
  "http.tls": 0.03,
  "http.http2": 0.05,
  "http.connections": 0.2,
  "stream.path": 1,
  "stream.address": 0.03,
  "stream.format": 0.35,
  "stream.records": 0.75,
  "stream.unpack": 0.12,
  "stream.primary_key": 0.6,
  "stream.pagination": 0.65,
  "stream.incremental": 0.5,
  "stream.partitions": 0.35,
  "stream.errors": 0.3,
  "stream.expand": 0.15,
  "stream.body": 0.2
}

const likely: Likelihood = (path) => {
  const known = often[path]
  if (known !== undefined) return known
  return path.startsWith("auth.") ? 0.12 : path.split(".").length > 2 ? 0.35 : 0.12
}

/** Addresses of the wide world become the server's; secrets from elsewhere become the environment's. */
const atHome = (value: Json): Json =>
  typeof value === "string"
    ? value
        .replaceAll(/https?:\/\/(?!127\.)[^/\s"]+/gu, "@BASE@")
        .replaceAll(/\$\{(?:env|vault|aws|gcp):[^}]*\}/gu, "${env:KEY}")
    : Array.isArray(value)
      ? value.map(atHome)
      : isObject(value)
        ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, atHome(item)]))
        : value

const streamSchema = valueAt(schema, ["properties", "streams", "additionalProperties"])

/** Waits and sizes that a test can afford. */
export const bounded = (random: Random): JsonObject => ({
  connect_timeout: "1 second",
  headers_timeout: "200 millis",
  body_timeout: "200 millis",
  page_timeout: "2 seconds",
  max_page_bytes: random.pick([1000, 100_000, 4_000_000]),
  max_pages: random.pick([3, 12, 30]),
  retries: random.below(3)
})

/** More retries than this are made in vain for longer than a case may take. */
const mostRetries = 20

/** A slip may have made it a case that does what it says for hours. */
const affordable = (config: Json): Json => {
  const retries = objectOr(objectOr(config)["http"])["retries"]
  return typeof retries === "number" && retries > mostRetries
    ? withValue(config, ["http", "retries"], mostRetries)
    : config
}

const namesIn = (path: Json | undefined): ReadonlyArray<string> => (typeof path === "string" ? path.split(".") : [])

/** A value under names that lead to it. */
const under = (names: ReadonlyArray<string>, value: Json, into: Json = {}): Json => withValue(into, names, value)

const markOf = (incremental: JsonObject, n: number, random: Random): Json => {
  if (incremental["type"] === "number") return random.pick<Json>([n, String(n)])
  const { format } = incremental
  const seconds = 1_767_225_600 + n * random.pick([1, 60, 86_400])
  if (format === "%s") return seconds
  if (format === "%ms") return seconds * 1000
  if (typeof format === "string") {
    return format
      .replace("%Y", "2026")
      .replace("%m", "01")
      .replace("%d", String(1 + (n % 28)).padStart(2, "0"))
      .replace("%H", "00")
      .replace("%M", "00")
      .replace("%S", "00")
  }
  return `2026-01-${String(1 + (n % 28)).padStart(2, "0")}T00:00:0${n % 10}Z`
}

/** A record with the fields that the stream's settings name. */
const recordFor = (stream: JsonObject, n: number, random: Random): Json => {
  let record: Json = {
    id: n,
    a: `text ${n}`,
    updated_at: `2026-01-0${1 + (n % 9)}T00:00:00Z`,
    n: 12.5,
    b: { c: [n, null] }
  }
  const { expand, incremental, primary_key: key } = stream
  for (const name of Array.isArray(key) ? key : [key ?? null]) record = under(namesIn(name), n, record)
  if (isObject(incremental)) record = under(namesIn(incremental["field"]), markOf(incremental, n, random), record)
  if (isObject(expand)) record = under(namesIn(expand["list"]), [{ id: n * 10 }, { id: n * 10 + 1 }], record)
  return record
}

/** Records where a selector looks for them. */
const atSelector = (selector: string, value: ReadonlyArray<Json>): Json => {
  const steps = [
    ...selector.matchAll(
      /\.(?<name>[A-Za-z_][\w-]*)|(?<any>\.\*)|\['(?<quoted>[^']+)'\]|\[(?<index>\d+)\]|(?<all>\[\*\])/gu
    )
  ]
  const build = (at: number): Json => {
    const groups = steps[at]?.groups
    if (groups === undefined) return value[0] ?? null
    const name = groups["name"] ?? groups["quoted"]
    if (name !== undefined) return { [name]: build(at + 1) }
    if (groups["any"] !== undefined) return { one: build(at + 1), two: build(at + 1) }
    if (groups["index"] !== undefined) return [build(at + 1)]
    return at === steps.length - 1 ? value : [build(at + 1)]
  }
  return build(0)
}

const asText = (format: Json | undefined, records: ReadonlyArray<Json>, body: Json): string => {
  switch (format) {
    case "ndjson":
      return records.map((record) => JSON.stringify(record)).join("\n")
    case "csv": {
      const names = Object.keys(objectOr(records[0]))
      const rows = records.map((record) =>
        names.map((name) => `"${JSON.stringify(objectOr(record)[name] ?? "").replaceAll('"', '""')}"`).join(",")
      )
      return [names.join(","), ...rows].join("\n")
    }
    case "xml": {
      const element = (name: string, value: Json): string =>
        Array.isArray(value)
          ? value.map((item) => element(name, item)).join("")
          : `<${name}>${
              isObject(value)
                ? Object.entries(value)
                    .map(([key, item]) => element(key, item))
                    .join("")
                : String(value).replaceAll("<", "&lt;")
            }</${name}>`
      return (
        Object.entries(objectOr(body))
          .map(([name, value]) => element(name, value))
          .join("") || "<r/>"
      )
    }
    default:
      return JSON.stringify(body)
  }
}

const nextCursors: ReadonlyArray<Json> = [
  "a",
  "b",
  "c",
  "a",
  null,
  "",
  7,
  1e21,
  true,
  [],
  {},
  "x".repeat(5000),
  "@BASE@/items?page=2",
  "/items?page=3",
  "?page=4",
  "//other.invalid/x",
  "http://127.0.0.2:1/",
  "javascript:1",
  "\u0000",
  "é 😀"
]

/** A page of the stream, as an API that does all right would send it. */
const pageFor = (stream: JsonObject, random: Random, first: number): Answer => {
  const { format, pagination, records: selector, unpack } = stream
  const count = random.pick([0, 1, 2, 5, 20])
  const records = Array.from({ length: count }, (_, n) =>
    recordFor(stream, first + (random.below(4) === 0 ? 0 : n), random)
  )
  let body = atSelector(typeof selector === "string" ? selector : "$[*]", records)
  const headers: Array<readonly [string, string]> = [["content-type", "application/json"]]
  for (const name of ["cursor", "next_url", "more"]) {
    const place = objectOr(pagination)[name]
    if (typeof place !== "string") continue
    const names = [...place.matchAll(/\.([A-Za-z_][\w-]*)|\['([^']+)'\]/gu)].map((found) => found[1] ?? found[2] ?? "")
    body = under(names, name === "more" ? random.below(4) > 0 : random.pick(nextCursors), body)
  }
  const header = objectOr(pagination)["header"]
  if (typeof header === "string") headers.push([header, String(random.pick(["a", "b", "", "a b"]))])
  if (objectOr(pagination)["link"] !== undefined)
    headers.push(["link", `<@BASE@/items?page=${random.below(6)}>; rel="${String(objectOr(pagination)["link"])}"`])
  const answer = plainAnswer(asText(format, records, body), headers)
  return unpack === "gzip" || unpack === "zip" ? { ...answer, wrap: [unpack] } : answer
}

const tokenAnswer = plainAnswer(
  '{"access_token":"token-canary-93","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-canary-94"}'
)

const oneStream = (random: Random): JsonObject => objectOr(valueFor(streamSchema, random, likely, "stream", 1))

/** A connector and its API. `seed` decides everything. */
export const connectorCase = (random: Random): ConnectorCase => {
  const base = objectOr(valueFor(schema, random, (path) => (path === "streams" ? 0 : likely(path))))
  const items = oneStream(random)
  let stream: JsonObject = { ...items, path: random.pick(["/items", "/items/{region}", "/items/{since}", "/a%20b/é"]) }
  if (isObject(stream["partitions"]) && "parent" in stream["partitions"])
    stream = { ...stream, partitions: { ...stream["partitions"], parent: "parents" } }
  if (random.below(3) > 0) delete (stream as Record<string, Json>)["method"]
  const parents = oneStream(random)
  const isSimple = random.below(3) > 0
  const parentStream: JsonObject = isSimple
    ? { path: "/parents" }
    : { ...parents, path: "/parents", partitions: { list: { region: ["eu", "us"] } } }
  const file = atHome({
    ...base,
    connector: "shop",
    http: {
      ...objectOr(base["http"]),
      base_url: random.pick(["@BASE@", "@BASE@/v1"]),
      ...bounded(random),
      ...(random.below(20) === 0 ? { rate_limit: { requests: 2, per: "1 minute" } } : {})
    },
    streams: { items: stream, parents: parentStream }
  })
  let config: Json = file
  const slips = random.below(4) === 0 ? 1 + random.below(3) : 0
  for (let slip = 0; slip < slips; slip++) config = mutated(config, random)
  config = affordable(config)
  const pagesOf = (settings: JsonObject) =>
    Array.from({ length: 1 + random.below(5) }, (_, n) => {
      const page = pageFor(settings, random, n * 20)
      const ways = random.pick([0, 0, 1, 1, 2, 4])
      return oddAnswer(page, random, ways)
    })
  const tokens = random.below(3) === 0 ? [tokenAnswer, oddAnswer(tokenAnswer, random, 2)] : [tokenAnswer]
  const routes: ReadonlyArray<Route> = [
    { path: "/parents", method: undefined, answers: pagesOf(parentStream) },
    { path: "/v1/parents", method: undefined, answers: pagesOf(parentStream) },
    ...["/oauth/token", "/token", "/login"].map((path) => ({ path, method: undefined, answers: tokens })),
    { path: "*", method: undefined, answers: pagesOf(stream) }
  ]
  return { kind: "connector", config, repairs: slips === 0 || random.below(3) > 0, routes }
}

/** Writes a path as problems of connector files do. */
const written = (path: ReadonlyArray<string | number>): string =>
  path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`
      if (!/^[\w-]+$/u.test(part)) return `[${JSON.stringify(part.slice(0, 60))}]`
      return index === 0 ? part : `.${part}`
    })
    .join("")

/** The file without the setting that a problem names, if it has it. */
export const withoutSetting = (config: Json, name: string): Json => {
  const path = places(config).find((candidate) => candidate.length > 0 && written(candidate) === name)
  return path === undefined ? config : withValue(config, path, undefined)
}
