import { DateTime } from "effect"
import type { TruthCase, TruthPaging, TruthRecord } from "./Case.ts"
import type { Json, JsonObject } from "./Json.ts"
import type { Random } from "./Mutate.ts"

/** Where records may stand, by the format of the answer. */
const selectors = ["$[*]", "$.data[*]", "$.a.b[*]", "$['odd name'][*]", "$.shops.*.orders[*]", "$[0].rows[*]"] as const
/** Answers that are one list have no place for more. */
const isBare = (selector: string): boolean => selector === "$[*]" || selector.startsWith("$[0]")

const oddTexts = [
  "",
  "plain",
  '"]}',
  "\\",
  "é 😀 \u2028",
  "[{",
  "},{",
  '{"data":[{"id":1}]}',
  "a\tb\r\nc",
  "\u0000\u001f",
  "null",
  "<![CDATA[&amp;]]>",
  ";,|",
  "x".repeat(3000)
] as const

/** Members as no program of ours would write them: numbers beyond a double, escapes, space. */
const oddMembers = [
  '"n" : 12345678901234567890',
  '"n":1.0',
  '"n":-0',
  '"n":1E+400',
  '"n":0.1000000000000000055511151231257827',
  '"s":"\\u00e9\\ud83d\\ude00\\/\\b"',
  '"s" :\t"a\\"b]}"',
  '"o":{"id":"other","at":"1999-01-01T00:00:00Z","data":[{"id":7}]}',
  '"l":[ [ ],[[{ }]],\n{"id":[1]}]',
  '"":null',
  '"__proto__":{"id":3}',
  '"t":true,"f":false,"z":null'
] as const

/** 2024-01-01, milliseconds since 1970: records of all cases begin there. */
export const truthStart = 1_704_067_200_000
/** Days that a window is long. */
const windowDays = 60
/** What stands in a file for a lookback to the first record: how long that is, the runner's clock says. */
export const toTheFirst = "@LOOKBACK@"
/** Another lookback, seconds. */
const someSeconds = 200
/** A body of more than two parts. */
const largeBody = 9_000_000

/** Milliseconds that a record's place counts. */
export const unitOf = ({ windows }: Pick<TruthCase, "windows">): number => (windows === "" ? 1000 : 4 * 3_600_000)

/** A record as the API sends it. */
export const sentText = ({ pad }: TruthCase, { id, text }: TruthRecord): string => {
  if (pad === 0) return text
  const piece = `${id} é😀,"`
  const filler = JSON.stringify(piece.repeat(Math.ceil(pad / Buffer.byteLength(piece))))
  return `${text.slice(0, text.lastIndexOf("}"))},"pad":${filler}}`
}

type Mark = "none" | "time" | "seconds" | "number" | "filter"

const markText = (mark: Mark, at: number, unit: number): string =>
  mark === "seconds"
    ? String((truthStart + at * unit) / 1000)
    : mark === "number"
      ? String(at)
      : JSON.stringify(DateTime.formatIso(DateTime.makeUnsafe(truthStart + at * unit)).replace(".000Z", "Z"))

const markOf = (mark: Mark): JsonObject | undefined => {
  switch (mark) {
    case "none":
      return undefined
    case "time":
      return { field: "at", param: "since" }
    case "seconds":
      return { field: "at", param: "since", format: "%s" }
    case "number":
      return { field: "at", param: "since", type: "number" }
    case "filter":
      return { field: "at", filter: true }
  }
}

const incrementalOf = (mark: Mark, windows: TruthCase["windows"], lookback: string): JsonObject | undefined => {
  const own = markOf(mark)
  if (own === undefined) return undefined
  const start = mark === "seconds" ? String(truthStart / 1000) : "2024-01-01T00:00:00Z"
  return {
    ...own,
    ...(lookback === "" ? {} : { lookback }),
    ...(windows === "" ? {} : { until_param: "until", start, step: `${windowDays} days` })
  }
}

const paginationOf = (paging: TruthPaging): JsonObject | undefined => {
  const { in: place, kind, says, size } = paging
  const where: JsonObject = place === "query" ? {} : { in: place }
  const more: JsonObject = says === undefined ? {} : says === "more" ? { more: "$.more" } : { end: "$.page.last" }
  switch (kind) {
    case "none":
      return undefined
    case "cursor":
      return { cursor: paging.isXml ? "$.r.next" : "$.page.next", param: "after", ...where, ...more }
    case "header":
      return { header: "x-next", param: "after", ...where }
    case "last_record":
      return { last_record: "id", param: "after_key", ...where, ...more }
    case "next_url":
      return { next_url: paging.isXml ? "$.r.next" : "$.page.next" }
    case "link":
      return { link: "next" }
    case "page":
      return { page: "page", ...where, ...more, ...(says === undefined ? { size, size_param: "size" } : {}) }
    case "offset":
      return { offset: "skip", limit: size, ...where, ...more }
  }
}

interface Making {
  readonly mark: Mark
  readonly format: string
  readonly parts: ReadonlyArray<string>
  readonly isExpanded: boolean
  readonly isLarge: boolean
  readonly windows: TruthCase["windows"]
  readonly lookback: string
}

const recordsOf = (random: Random, making: Making) => {
  const { format, isExpanded, isLarge, lookback, mark, parts, windows } = making
  const unit = unitOf(making)
  const records: Array<TruthRecord> = []
  const count = isLarge ? 8 + random.below(5) : random.pick([0, 1, 3, 8, 20])
  // Windows that were empty are asked for again only where the lookback says so.
  const later = windows !== "" && lookback === "" ? 0 : random.below(5)
  let at = 0
  const isText = random.below(2) === 0
  const isFields = format === "csv" || format === "xml"
  /** The highest place of each part in the first walk. */
  const highest = new Map<string, number>()
  for (let n = 0; n < count + later; n++) {
    const isLater = n >= count
    // Some stand at the same place as the one before them.
    if (random.below(4) > 0 || n === count) at += 1 + random.below(100)
    // Some stand where one window ends and the next begins.
    if (windows !== "" && random.below(3) === 0) at = Math.ceil(at / (windowDays * 6)) * windowDays * 6
    const id = isText || isFields ? `r${String(n).padStart(4, "0")}` : String(1000 + n)
    const kind = random.pick(["a", "b"])
    const part = random.pick(parts)
    const text = random.pick(oddTexts)
    const idText = id.startsWith("r") ? JSON.stringify(id) : id
    // XML has no such characters, and takes space around a text away.
    const plain = format === "xml" ? text.replaceAll(/[\p{Cc}]/gu, " ").trim() : text
    const last = highest.get(part)
    const isLate = isLater && lookback !== "" && last !== undefined && random.below(2) === 0
    const reach = lookback === toTheFirst ? (last ?? 0) + 1 : someSeconds
    const place = isLate ? Math.max(0, (last ?? 0) - random.below(reach)) : at
    if (!isLater) highest.set(part, Math.max(last ?? 0, place))
    const stamp = markText(mark, place, unit)
    const add = (made: string) => records.push({ id, part, at: place, kind, later: isLater, text: made })
    if (isFields) {
      add(JSON.stringify({ id, at: String(JSON.parse(stamp)), kind, text: plain }))
      continue
    }
    const members = [`"id":${idText}`, `"at":${stamp}`, `"kind":"${kind}"`]
    if (random.below(2) === 0) members.push(`"text": ${JSON.stringify(plain)}`)
    if (random.below(2) === 0) members.push(random.pick(oddMembers))
    if (isExpanded) {
      const lines = Array.from({ length: random.below(4) }, (_, line) => `{"id":"${id}-${line}","q": 1.50}`)
      members.push(`"lines":[${lines.join(" ,")}]`)
    }
    if (random.below(3) === 0) members.reverse()
    const space = format === "json" ? random.pick(["", " ", "\n  "]) : ""
    const between = members.join(`,${space}`).replaceAll(format === "ndjson" ? "\n" : "\u0000", " ")
    add(`{${space}${between}${space}}`)
  }
  return records
}

/** A connector whose API is known through and through: what is to be published follows from the case. */
export const truthCase = (random: Random): TruthCase => {
  const format = random.pick(["json", "json", "json", "ndjson", "csv", "xml"] as const)
  const selector = format === "xml" ? "$.r.item[*]" : format === "json" ? random.pick(selectors) : undefined
  const isXml = format === "xml"
  const hasRoom = isXml || (format === "json" && selector !== undefined && !isBare(selector))
  const isLarge = !isXml && random.below(12) === 0
  const isExpanded = !isLarge && (format === "json" || format === "ndjson") && random.below(6) === 0
  const kind = random.pick([
    "none",
    "header",
    "link",
    "page",
    "offset",
    ...(isExpanded ? [] : (["last_record"] as const)),
    ...(hasRoom ? (["cursor", "next_url"] as const) : [])
  ] as const)
  const place = random.pick([
    "query",
    "query",
    "header",
    "body",
    ...(kind === "page" || kind === "offset" ? (["placeholder"] as const) : [])
  ] as const)
  const packed = isXml || random.below(3) > 0 ? "" : random.pick(["gzip", "zip"] as const)
  const paging: TruthPaging = {
    kind,
    in: kind === "next_url" || kind === "link" ? "query" : place,
    size: isLarge ? 20 : 1 + random.below(5),
    says: hasRoom && !isXml ? (random.below(3) > 0 ? random.pick(["more", "end"] as const) : undefined) : undefined,
    isXml,
    // What is packed is so when the server's address is not known yet.
    isRelative: random.below(2) === 0 || packed === "zip"
  }
  const mark = isExpanded ? "none" : random.pick(["none", "time", "seconds", "number", "filter"] as const)
  const canLookBack = mark === "time" || mark === "seconds" || mark === "filter"
  const windows =
    (mark === "time" || mark === "seconds") && !isLarge && random.below(3) === 0
      ? random.pick(["before", "up to"] as const)
      : ""
  const lookback = !canLookBack || random.below(2) === 0 ? "" : windows === "" ? `${someSeconds} seconds` : toTheFirst
  const parting = random.pick(["whole", "whole", "list", "parent"] as const)
  const parts = parting === "whole" ? [""] : ["p0", "p/1 é", "p2"]
  const hasBody = paging.in === "body" && kind !== "none"
  const filter = !isExpanded && random.below(4) === 0 ? { filter: 'record.kind == "b"' } : {}
  const add = random.below(5) === 0 ? { add: { "added.part": parting === "whole" ? "here" : "in {part}" } } : {}
  const pagination = paginationOf(paging)
  const incremental = incrementalOf(mark, windows, lookback)
  const stream: JsonObject = {
    path: parting === "whole" ? "/items" : "/parts/{part}/items",
    ...(format === "json" ? {} : { format }),
    ...(selector === undefined || selector === "$[*]" ? {} : { records: selector }),
    ...(packed === "" ? {} : { unpack: packed }),
    ...(random.below(3) > 0 ? { primary_key: "id" } : {}),
    ...(hasBody ? { method: "POST" } : {}),
    ...(paging.in === "placeholder" ? { query: { q: kind === "page" ? "page {page} of all" : "from {skip} on" } } : {}),
    ...(pagination === undefined ? {} : { pagination }),
    ...(incremental === undefined ? {} : { incremental }),
    ...(parting === "list" ? { partitions: { list: { part: parts } } } : {}),
    ...(parting === "parent" ? { partitions: { parent: "parents", values: { part: "id" } } } : {}),
    ...filter,
    ...add,
    ...(isExpanded ? { expand: { list: "lines", ...(random.below(2) === 0 ? { parent: "order" } : {}) } } : {}),
    concurrency: random.pick([1, 2, 4])
  }
  const config: Json = {
    connector: "shop",
    http: {
      base_url: "@BASE@",
      retries: 3,
      connect_timeout: "5 seconds",
      headers_timeout: "20 seconds",
      body_timeout: "20 seconds",
      page_timeout: "40 seconds"
    },
    streams: { items: stream, ...(parting === "parent" ? { parents: { path: "/parents" } } : {}) }
  }
  const records = recordsOf(random, { mark, format, parts, isExpanded, isLarge, windows, lookback })
  const isCalm = random.below(3) === 0
  return {
    kind: "truth",
    config,
    selector: selector ?? "",
    format,
    packed,
    pad: isLarge ? Math.ceil(largeBody / Math.max(1, records.filter(({ later }) => !later).length)) : 0,
    windows,
    // Brotli takes long for much.
    encoding: random.pick(["", "", "gzip", isLarge ? "" : "br", "deflate", "zstd"]),
    framing: random.pick(["length", "chunked", "close"]),
    indent: random.pick([0, 0, 2]),
    paging,
    mark,
    parts,
    records,
    expands: isExpanded ? ("parent" in Object(stream["expand"]) ? "with parent" : "alone") : "no",
    filters: "filter" in filter,
    adds: "add" in add,
    key: stream["primary_key"] === "id",
    faults: isCalm ? [] : Array.from({ length: 7 }, () => random.pick(["", "", "503", "429", "cut", "drop"] as const)),
    restarts: random.below(3) === 0 ? [] : Array.from({ length: 1 + random.below(3) }, () => 1 + random.below(3)),
    prefetch: random.below(3) > 0
  }
}
