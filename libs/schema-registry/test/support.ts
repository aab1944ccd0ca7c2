import { decimalText, isExactDouble, skipSpace, skipString, skipValue } from "@tributary/codec"
import { Connector } from "@tributary/domain"
import { Effect, Schema } from "effect"
import { valueDecoder, valueEncoder } from "../src/index.ts"

const decode = Schema.decodeUnknownSync(Connector)

/** A connector `shop` with the stream `orders`, whose raw topic is what others read. */
export const connector = (topic: Record<string, unknown>, schema: Record<string, string> = {}): Connector =>
  decode({
    connector: "shop",
    http: { base_url: "https://api.shop.example" },
    streams: { orders: { path: "/orders", topic, schema } }
  })

/** The encoder of the stream of `connector`. */
export const encoderOf = (topic: Record<string, unknown>, schema: Record<string, string> = {}) =>
  Effect.map(valueEncoder(connector(topic, schema), "orders"), (encoder) => {
    if (encoder === undefined) throw new TypeError("The format has no encoder.")
    return encoder
  })

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const text = (value: Uint8Array | undefined): string =>
  value === undefined ? "" : Buffer.from(value).toString()

/** Encodes records and decodes what came out, with an encoder of the test's own; a rejection is its code. */
export const roundTrip = Effect.fnUntraced(function* (
  encoder: Effect.Success<ReturnType<typeof encoderOf>>,
  records: ReadonlyArray<string>
) {
  const { rejected, values } = yield* encoder.encode(records.map(bytes))
  const decoder = yield* valueDecoder
  const kept = values.filter((value) => value !== undefined)
  const { values: decoded, wrong } = yield* decoder.decode(kept)
  if (wrong.size > 0) throw new Error(JSON.stringify([...wrong.values()]))
  let next = 0
  return values.map((value, index) =>
    value === undefined ? `${rejected.find((one) => one.index === index)?.code}` : text(decoded[next++])
  )
})

/** A number apart from its spelling, where a double holds it. */
const numberValue = (json: string): string => {
  if (!isExactDouble(json)) return json
  const { digits, negative, scale } = decimalText(
    String(Number(json)) === "0" && json.startsWith("-") ? "-0" : String(Number(json))
  )
  return `${negative ? "-" : ""}${digits}e${-scale}`
}

/** Top-level fields of a record by what they mean: numbers apart from their spelling, texts apart from their escapes. */
export const fieldsOf = (record: string): ReadonlyMap<string, string> => {
  const source = Buffer.from(record)
  const fields = new Map<string, string>()
  let i = skipSpace(source, skipSpace(source, 0) + 1)
  while (source[i] === 0x22) {
    const keyEnd = skipString(source, i)
    const key = String(JSON.parse(source.toString("utf8", i, keyEnd)))
    const from = skipSpace(source, skipSpace(source, keyEnd) + 1)
    const end = skipValue(source, from)
    const json = source.toString("utf8", from, end)
    fields.set(
      key,
      json.startsWith('"') ? JSON.stringify(JSON.parse(json)) : /^[-\d]/u.test(json) ? numberValue(json) : json
    )
    i = skipSpace(source, end)
    if (source[i] === 0x2c) i = skipSpace(source, i + 1)
  }
  return fields
}
export const sorted = (fields: ReadonlyMap<string, string>) => [...fields].sort(([a], [b]) => (a < b ? -1 : 1))
