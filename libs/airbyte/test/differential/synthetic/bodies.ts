/** Bodies in the formats that decoders read. */
import { crc32, gzipSync } from "node:zlib"
import { isPlainDict, type PlainDict, type Value, writeJson } from "../../../src/index.ts"
import { dictIn, own } from "./config.ts"

const cell = (value: Value | undefined): string => {
  const text = value === null || value === undefined ? "" : typeof value === "string" ? value : writeJson(value)
  return /[",\n\r;\t|]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const csv = (records: ReadonlyArray<PlainDict>, delimiter: string): string => {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))]
  const rows = [names.map(cell), ...records.map((record) => names.map((name) => cell(record[name])))]
  return rows.map((row) => `${row.join(delimiter)}\n`).join("")
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const tagOf = (name: string): string => name.replace(/[^\w.-]/g, "_").replace(/^(?=[\d.-])/, "_")

const xmlOf = (name: string, value: Value): string => {
  const tag = tagOf(name)
  if (Array.isArray(value)) return value.map((item) => xmlOf(name, item)).join("")
  if (value === null || value === "") return `<${tag}/>`
  const attributes = Object.entries(dictIn(value)).filter(([key]) => key.startsWith("@"))
  const opened = `${tag}${attributes.map(([key, item]) => ` ${tagOf(key.slice(1))}="${escaped(String(item))}"`).join("")}`
  if (isPlainDict(value)) {
    const inner = Object.entries(value).map(([key, item]) =>
      key.startsWith("@") ? "" : key === "#text" ? escaped(String(item)) : xmlOf(key, item)
    )
    return `<${opened}>${inner.join("")}</${tag}>`
  }
  return `<${tag}>${escaped(String(value))}</${tag}>`
}

const xml = (body: Value): string => {
  const entries = Object.entries(dictIn(body))
  const [only] = entries
  if (entries.length === 1 && only !== undefined && !Array.isArray(only[1])) return xmlOf(only[0], only[1])
  return xmlOf("root", body)
}

/** A zip file with one file in it, stored as it is. */
const zip = (content: Buffer): Buffer => {
  const name = Buffer.from("records")
  const fields = (isCentral: boolean) => {
    const header = Buffer.alloc(isCentral ? 46 : 30)
    header.writeUInt32LE(isCentral ? 0x02014b50 : 0x04034b50, 0)
    const at = isCentral ? 6 : 4
    header.writeUInt16LE(20, at)
    header.writeUInt32LE(crc32(content), at + 10)
    header.writeUInt32LE(content.length, at + 14)
    header.writeUInt32LE(content.length, at + 18)
    header.writeUInt16LE(name.length, at + 22)
    return Buffer.concat([header, name])
  }
  const local = Buffer.concat([fields(false), content])
  const central = fields(true)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, central, end])
}

/** Whether a decoder reads records one by one rather than one document. */
export const isRowDecoder = (decoder: PlainDict | undefined): boolean => {
  const type = own(decoder, "type")
  if (type === "GzipDecoder" || type === "ZipfileDecoder") return isRowDecoder(dictIn(own(decoder, "decoder")))
  return type === "CsvDecoder" || type === "JsonlDecoder" || type === "IterableDecoder"
}

/** A body as the decoder wants it: `document` as one whole, or its `records`. */
export const encoded = (
  decoder: PlainDict | undefined,
  document: Value,
  records: ReadonlyArray<PlainDict>
): { readonly bytes: Buffer; readonly type: string } => {
  const inner = () => encoded(dictIn(own(decoder, "decoder")), document, records)
  switch (own(decoder, "type")) {
    case "CsvDecoder": {
      const delimiter = String(own(decoder, "delimiter") ?? ",").replace("\\t", "\t")
      const encoding = String(own(decoder, "encoding") ?? "utf-8")
      const text = csv(records, delimiter)
      return { bytes: Buffer.from(text, /^latin|8859/i.test(encoding) ? "latin1" : "utf8"), type: "text/csv" }
    }
    case "JsonlDecoder":
      return {
        bytes: Buffer.from(records.map((record) => `${writeJson(record)}\n`).join("")),
        type: "application/jsonl"
      }
    case "IterableDecoder":
      return { bytes: Buffer.from(records.map((_, index) => `line ${index + 1}\n`).join("")), type: "text/plain" }
    case "XmlDecoder":
      return { bytes: Buffer.from(`<?xml version="1.0"?>${xml(document)}`), type: "application/xml" }
    case "GzipDecoder":
      return { bytes: gzipSync(inner().bytes), type: "application/gzip" }
    case "ZipfileDecoder":
      return { bytes: zip(inner().bytes), type: "application/zip" }
    case "JsonItemsDecoder": {
      const path = String(own(decoder, "items_path") ?? "items").split(".")
      const made = path.reduceRight<Value>((value, name) => ({ [name]: value }), [...records])
      return { bytes: Buffer.from(writeJson(made)), type: "application/json" }
    }
    default:
      return { bytes: Buffer.from(writeJson(document)), type: "application/json" }
  }
}
