import { createHash } from "node:crypto"
import { compileSelector, JsonSyntaxError, scalarText, selectOne } from "@tributary/codec"
import { type Connector, primaryKey, streamOf, type Webhook } from "@tributary/domain"
import { Effect } from "effect"
import { jsonExtractor } from "../JsonExtractor.ts"
import type { Page } from "../Page.ts"
import { readPlan } from "../ReadPlan.ts"
import { RecordReader } from "../RecordReader.ts"
import { header } from "../RetryAfter.ts"
import { shaping } from "../Shaping.ts"
import { PageView } from "../slots/index.ts"
import { BadSetting } from "../SourceError.ts"
import { type Delivery, idPlace } from "./Signature.ts"

/** Longer ids are replaced by their hash. */
const longestId = 200

/**
 * What a delivery is known by when it comes again: its id, else the SHA-256 of its body. A prefix keeps the two apart.
 */
export const deliveryId = (webhook: Webhook): ((delivery: Delivery) => string) => {
  const place = idPlace(webhook)
  const selector = place.body === undefined ? undefined : compileSelector(place.body)
  const idIn = ({ body, headers }: Delivery): string | undefined => {
    for (const name of place.headers) {
      const value = header(headers, name)?.trim()
      if (value !== undefined && value !== "") return value
    }
    if (selector === undefined) return undefined
    try {
      const span = selectOne(body, selector)
      return span === undefined ? undefined : (scalarText(body, span) ?? undefined)
    } catch (error) {
      // A body that is not JSON goes to the dead letters later; twice is twice the same.
      if (error instanceof JsonSyntaxError) return undefined
      throw error
    }
  }
  return (delivery) => {
    const id = idIn(delivery)
    if (id === undefined || id === "") return `body:${createHash("sha256").update(delivery.body).digest("base64url")}`
    return id.length <= longestId ? `id:${id}` : `hash:${createHash("sha256").update(id).digest("base64url")}`
  }
}

/** Answer to a handshake by which a sender finds out whether it talks to the right one; `undefined`: it is none. */
export const challengeOf = (webhook: Webhook, { body }: Delivery): string | undefined => {
  // https://docs.slack.dev/reference/events/url_verification
  if (webhook.signature !== "slack" || body.length > 4096 || !body.includes("url_verification")) return undefined
  try {
    const kind = selectOne(body, compileSelector("$.type"))
    const challenge = selectOne(body, compileSelector("$.challenge"))
    if (kind === undefined || challenge === undefined || scalarText(body, kind) !== "url_verification") return undefined
    return scalarText(body, challenge) ?? undefined
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined
    throw error
  }
}

/** A delivery as it stands in the log. */
export interface KeptDelivery {
  readonly id: string
  readonly body: Uint8Array
  /** Headers that the stream keeps, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Makes records of deliveries, as a stream's `records`, `expand`, `filter`, `add` and `primary_key` say. Deliveries that cannot be read
 * are rejected as a whole.
 */
export const deliveryReader = Effect.fnUntraced(function* (connector: Connector, name: string) {
  const stream = streamOf(connector, name)
  const transformation = shaping(stream, `streams.${name}`)
  if (transformation instanceof BadSetting) return yield* transformation
  const plan = readPlan(primaryKey(stream), undefined, [])
  const transform = transformation?.open(plan)
  const list = jsonExtractor(stream.records).open(plan)
  const one = jsonExtractor("$").open(plan)
  const reader = new RecordReader(primaryKey(stream), stream.records)
  const target = new URL("delivery:")

  return Effect.fnUntraced(function* ({ body: bytes, headers, id }: KeptDelivery) {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const url = `the delivery ${id}`
    const answer = { status: 200, headers, body, stream: undefined, target, url, secrets: [], isIgnored: false }
    // Where a list may stand, one record by itself is one too: senders have both.
    const isOne = stream.records === "$[*]" && body.toString("latin1", 0, 64).trimStart().startsWith("{")
    const slice = { partition: { key: id, values: { ...headers, delivery: id } }, interval: {} }
    const found = yield* (isOne ? one : list)(answer).pipe(
      transform === undefined
        ? (extracted) => extracted
        : Effect.flatMap((extracted) => transform(new PageView(answer, slice, undefined, extracted))),
      Effect.result
    )
    if (found._tag === "Success") return reader.read(found.success, undefined)
    const rejected: Page["rejected"] = [{ index: 0, value: body, code: "bad_delivery", reason: found.failure.message }]
    return { records: [], rejected }
  })
})
