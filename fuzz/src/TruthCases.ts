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

type Mark = "none" | "time" | "seconds" | "number" | "filter"

const markText = (mark: Mark, at: number): string =>
  mark === "seconds"
    ? String(truthStart / 1000 + at)
    : mark === "number"
      ? String(at)
      : JSON.stringify(DateTime.formatIso(DateTime.makeUnsafe(truthStart + at * 1000)).replace(".000Z", "Z"))

const incrementalOf = (mark: Mark): JsonObject | undefined => {
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

const recordsOf = (random: Random, mark: Mark, format: string, parts: ReadonlyArray<string>, isExpanded: boolean) => {
  const records: Array<TruthRecord> = []
  const count = random.pick([0, 1, 3, 8, 20])
  const later = random.below(5)
  let at = 0
  const isText = random.below(2) === 0
  for (let n = 0; n < count + later; n++) {
    const isLater = n >= count
    // Some stand at the same place as the one before them.
    if (random.below(4) > 0 || n === count) at += 1 + random.below(100)
    const id = isText || format === "csv" || format === "xml" ? `r${String(n).padStart(4, "0")}` : String(1000 + n)
    const kind = random.pick(["a", "b"])
    const part = random.pick(parts)
    const text = random.pick(oddTexts)
    const idText = id.startsWith("r") ? JSON.stringify(id) : id
    // XML has no such characters, and takes space around a text away.
    const plain = format === "xml" ? text.replaceAll(/[\p{Cc}]/gu, " ").trim() : text
    if (format === "csv" || format === "xml") {
      const stamp: unknown = JSON.parse(markText(mark, at))
      records.push({
        id,
        part,
        at,
        kind,
        later: isLater,
        text: JSON.stringify({ id, at: String(stamp), kind, text: plain })
      })
      continue
    }
    const members = [`"id":${idText}`, `"at":${markText(mark, at)}`, `"kind":"${kind}"`]
    if (random.below(2) === 0) members.push(`"text": ${JSON.stringify(plain)}`)
    if (random.below(2) === 0) members.push(random.pick(oddMembers))
    if (isExpanded) {
      const lines = Array.from({ length: random.below(4) }, (_, line) => `{"id":"${id}-${line}","q": 1.50}`)
      members.push(`"lines":[${lines.join(" ,")}]`)
    }
    if (random.below(3) === 0) members.reverse()
    const space = format === "json" ? random.pick(["", " ", "\n  "]) : ""
    records.push({
      id,
      part,
      at,
      kind,
      later: isLater,
      text: `{${space}${members.join(`,${space}`).replaceAll(format === "ndjson" ? "\n" : "\u0000", " ")}${space}}`
    })
  }
  return records
}

/** A connector whose API is known through and through: what is to be published follows from the case. */
export const truthCase = (random: Random): TruthCase => {
  const format = random.pick(["json", "json", "json", "ndjson", "csv", "xml"] as const)
  const selector = format === "xml" ? "$.r.item[*]" : format === "json" ? random.pick(selectors) : undefined
  const isXml = format === "xml"
  const hasRoom = isXml || (format === "json" && selector !== undefined && !isBare(selector))
  const isExpanded = (format === "json" || format === "ndjson") && random.below(6) === 0
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
  const paging: TruthPaging = {
    kind,
    in: kind === "next_url" || kind === "link" ? "query" : place,
    size: 1 + random.below(5),
    says: hasRoom && !isXml ? (random.below(3) > 0 ? random.pick(["more", "end"] as const) : undefined) : undefined,
    isXml,
    isRelative: random.below(2) === 0
  }
  const mark = isExpanded ? "none" : random.pick(["none", "time", "seconds", "number", "filter"] as const)
  const parting = random.pick(["whole", "whole", "list", "parent"] as const)
  const parts = parting === "whole" ? [""] : ["p0", "p/1 é", "p2"]
  const hasBody = paging.in === "body" && kind !== "none"
  const filter = !isExpanded && random.below(4) === 0 ? { filter: 'record.kind == "b"' } : {}
  const add = random.below(5) === 0 ? { add: { "added.part": parting === "whole" ? "here" : "in {part}" } } : {}
  const isPacked = format !== "xml" && random.below(5) === 0
  const pagination = paginationOf(paging)
  const incremental = incrementalOf(mark)
  const stream: JsonObject = {
    path: parting === "whole" ? "/items" : "/parts/{part}/items",
    ...(format === "json" ? {} : { format }),
    ...(selector === undefined || selector === "$[*]" ? {} : { records: selector }),
    ...(isPacked ? { unpack: "gzip" } : {}),
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
  const isCalm = random.below(3) === 0
  return {
    kind: "truth",
    config,
    selector: selector ?? "",
    format,
    packed: isPacked,
    encoding: random.pick(["", "", "gzip", "br", "deflate", "zstd"]),
    framing: random.pick(["length", "chunked", "close"]),
    indent: random.pick([0, 0, 2]),
    paging,
    mark,
    parts,
    records: recordsOf(random, mark, format, parts, isExpanded),
    expands: isExpanded ? ("parent" in Object(stream["expand"]) ? "with parent" : "alone") : "no",
    filters: "filter" in filter,
    adds: "add" in add,
    key: stream["primary_key"] === "id",
    faults: isCalm ? [] : Array.from({ length: 7 }, () => random.pick(["", "", "503", "429", "cut", "drop"] as const)),
    restarts: random.below(3) === 0 ? [] : Array.from({ length: 1 + random.below(3) }, () => 1 + random.below(3)),
    prefetch: random.below(3) > 0
  }
}
