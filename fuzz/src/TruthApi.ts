import { DateTime } from "effect"
import { zipSync } from "fflate"
import type { Answer } from "./Answer.ts"
import { plainAnswer } from "./Answer.ts"
import type { Answering, Asked } from "./Api.ts"
import type { TruthCase, TruthRecord } from "./Case.ts"
import { sentText, truthStart, unitOf } from "./TruthCases.ts"
import { isObject, type Json, type JsonObject } from "./Json.ts"

/** The path by which a runner says that the first walk is over. */
export const laterPath = "/--later"

/** Letters that have to be escaped wherever they go. */
const tokenOf = (index: number, isAscii: boolean): string => (isAscii ? `k${index}` : `k${index} +/=&?#%é"`)
const indexIn = (token: string): number => Number(/^k(\d+)/u.exec(token)?.[1] ?? 0)

const paramsOf = (asked: Asked, url: URL): ReadonlyMap<string, string> => {
  const params = new Map(url.searchParams)
  for (const name of ["after", "after_key", "page", "skip", "size", "limit", "since"]) {
    const value = asked.headers.get(name)
    if (value !== undefined) params.set(name, value)
  }
  const words = /(?:page|from) (\d+) /u.exec(params.get("q") ?? "")
  if (words?.[1] !== undefined) params.set(params.get("q")?.startsWith("page") === true ? "page" : "skip", words[1])
  if (asked.body !== "") {
    const body: unknown = JSON.parse(asked.body)
    if (isObject(body)) for (const [name, value] of Object.entries(body)) params.set(name, String(value))
  }
  return params
}

/** The place of a record that a parameter names; `undefined`: it is not there. */
const placeOf = (given: TruthCase, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const { mark } = given
  if (mark === "number") return Number(text)
  const millis = mark === "seconds" ? Number(text) * 1000 : DateTime.toEpochMillis(DateTime.makeUnsafe(text))
  return (millis - truthStart) / unitOf(given)
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** The answer's text: records where the selector looks for them, in the midst of what looks like records. */
const bodyOf = (given: TruthCase, records: ReadonlyArray<TruthRecord>, more: JsonObject): string => {
  const { format, indent, selector } = given
  const texts = records.map((record) => sentText(given, record))
  if (format === "ndjson") return texts.map((text) => `${text}\n`).join("")
  const fields = texts.map((text): JsonObject => JSON.parse(text))
  if (format === "csv") {
    const rows = fields.map((row) => Object.values(row).map((value) => `"${String(value).replaceAll('"', '""')}"`))
    return [`id,at,kind,text${given.pad > 0 ? ",pad" : ""}`, ...rows.map((row) => row.join(","))].join("\r\n")
  }
  if (format === "xml") {
    const items = fields.map((row) => {
      const members = Object.entries(row).map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
      return `<item>${members.join("")}</item>`
    })
    const next = more["next"]
    return `<?xml version="1.0"?><r><other><item/></other>${items.join("\n")}${typeof next === "string" ? `<next>${escaped(next)}</next>` : ""}</r>`
  }
  const list: Json = texts.map((_, index) => `@r${index}@`)
  const noise = {
    meta: { data: [{ id: 1 }], note: '{"data":[{' },
    page: { ...more, data: [] },
    more: more["more"] ?? null
  }
  const half = texts.length >> 1
  const body: Json =
    selector === "$.data[*]"
      ? { ...noise, data: list, total: 3 }
      : selector === "$.a.b[*]"
        ? { a: { c: list.slice(0, 0), b: list }, ...noise }
        : selector === "$['odd name'][*]"
          ? { "odd name ": [], "odd name": list, ...noise }
          : selector === "$.shops.*.orders[*]"
            ? { ...noise, shops: { one: { orders: list.slice(0, half), n: 1 }, two: { orders: list.slice(half) } } }
            : selector === "$[0].rows[*]"
              ? [{ n: [1], rows: list }, { rows: [{ id: "x" }] }]
              : list
  return JSON.stringify(body, undefined, indent).replaceAll(/"@r(\d+)@"/gu, (_, index) => texts[Number(index)] ?? "")
}

/** The API of a case: its records by its kind of paging, and what is done to its answers. */
export const truthfulApi = (given: TruthCase): Answering => {
  const { encoding, faults, format, framing, packed, paging, parts, records } = given
  let isLater = false
  let number = 0
  const faulted = new Set<string>()

  const pageOf = (asked: Asked): Answer => {
    const url = new URL(asked.target, "http://api.test")
    const params = paramsOf(asked, url)
    if (url.pathname === "/parents") return plainAnswer(JSON.stringify(parts.map((id) => ({ id }))))
    const part = /^\/parts\/([^/]+)\/items$/u.exec(url.pathname)?.[1]
    if (part === undefined && url.pathname !== "/items") return { ...plainAnswer("{}"), status: 404 }
    const since = placeOf(given, params.get("since")) ?? Number.NEGATIVE_INFINITY
    const until = placeOf(given, params.get("until")) ?? Number.POSITIVE_INFINITY
    const found = records.filter(
      (record) =>
        (isLater || !record.later) &&
        record.at >= since &&
        (given.windows === "up to" ? record.at <= until : record.at < until) &&
        record.part === (part === undefined ? "" : decodeURIComponent(part))
    )
    const { kind, size } = paging
    const key = params.get("after_key")
    const token = params.get("after")
    const from =
      kind === "page"
        ? (Number(params.get("page") ?? 1) - 1) * size
        : kind === "offset"
          ? Number(params.get("skip") ?? 0)
          : key !== undefined
            ? found.findIndex(({ id }) => id === key) + 1
            : token === undefined
              ? 0
              : indexIn(token)
    const rows = kind === "none" ? found : found.slice(from, from + size)
    const hasMore = kind !== "none" && from + size < found.length
    const isAscii = kind === "header" || paging.in === "header"
    const next = hasMore ? tokenOf(from + size, isAscii) : undefined
    const link = new URL(url)
    if (next !== undefined) link.searchParams.set("after", next)
    const address = `${paging.isRelative ? "" : "@BASE@"}${link.pathname}${link.search}`
    const headers: Array<readonly [string, string]> = [["content-type", "application/octet-stream"]]
    if (kind === "header" && next !== undefined) headers.push(["x-next", next])
    if (kind === "link" && next !== undefined) headers.push(["link", `<${address}>; rel="next", </>; rel="first"`])
    const more: JsonObject = {
      next: next === undefined ? null : kind === "next_url" ? address : next,
      last: !hasMore,
      more: hasMore
    }
    const isTaken = encoding !== "" && (asked.headers.get("accept-encoding") ?? "").includes(encoding)
    if (isTaken) headers.push(["content-encoding", encoding])
    const wrap = [...(packed === "gzip" ? (["gzip"] as const) : []), ...(isTaken ? [encoding] : [])]
    if (packed !== "zip") return { ...plainAnswer(bodyOf(given, rows, more), headers), framing, wrap }
    // Of lines and rows an archive may have several files.
    const half = format === "json" ? rows.length : rows.length >> 1
    const files = { "a.txt": Buffer.from(bodyOf(given, rows.slice(0, half), more)) }
    if (format !== "json") Object.assign(files, { "b/c.txt": Buffer.from(bodyOf(given, rows.slice(half), more)) })
    const base64 = Buffer.from(zipSync(files, { level: 1 })).toString("base64")
    return { ...plainAnswer("", headers), body: { base64 }, framing, wrap }
  }

  return (asked) => {
    if (asked.target === laterPath) {
      isLater = true
      return plainAnswer("{}")
    }
    const question = `${asked.target} ${asked.body} ${[...asked.headers].filter(([name]) => /^(?:after|after_key|page|skip)$/u.test(name)).join(" ")}`
    const fault = faults.length === 0 ? "" : (faults[number++ % faults.length] ?? "")
    if (fault === "" || faulted.delete(question)) return pageOf(asked)
    faulted.add(question)
    if (fault === "503") return { ...plainAnswer('{"error":"no"}'), status: 503 }
    if (fault === "429") return { ...plainAnswer("{}", [["retry-after", "1"]]), status: 429 }
    if (fault === "drop") return { ...plainAnswer(""), raw: "" }
    // Without a length nobody could tell that lines are missing.
    return { ...pageOf(asked), breaks: 0.6, framing: framing === "close" && format !== "json" ? "length" : framing }
  }
}
