import { createHmac, timingSafeEqual } from "node:crypto"
import type { Webhook } from "@tributary/domain"
import { DateTime, Duration, Option } from "effect"
import { type AnswerHeaders, header } from "../RetryAfter.ts"

/** A request that says it is a delivery, as it came. */
export interface Delivery {
  /** Names in lower case. */
  readonly headers: AnswerHeaders
  readonly body: Buffer
}

/** Why a delivery is refused. */
export type Refusal = "missing_signature" | "bad_signature" | "stale"

/** What is to be compared: hashes that the sender states, and the parts of the text that it made them of. */
interface Claim {
  readonly hashes: ReadonlyArray<Buffer>
  readonly timestamp: string | undefined
  readonly id: string | undefined
  readonly parts: (delivery: Delivery) => ReadonlyArray<string | Buffer>
}

interface Scheme {
  readonly algorithm: "sha256" | "sha1" | "sha512"
  readonly key: (secret: string) => Buffer
  readonly claim: (headers: AnswerHeaders) => Claim | undefined
}

/** More than any sender states while it changes its secret. */
const mostHashes = 16
const lengths = { sha1: 20, sha256: 32, sha512: 64 } as const

const utf8 = (secret: string): Buffer => Buffer.from(secret)

/** A hash as it is written; of the wrong length if it is none. */
const hashOf = (text: string, encoding: "hex" | "base64", algorithm: Scheme["algorithm"]): Buffer => {
  const bytes = Buffer.from(text.trim(), encoding)
  const isWhole = encoding === "hex" ? /^[0-9a-f]*$/iu.test(text.trim()) : /^[A-Za-z0-9+/]*={0,2}$/u.test(text.trim())
  return isWhole && bytes.length === lengths[algorithm] ? bytes : Buffer.alloc(0)
}

/** `t=1492774577,v1=…,v1=…` over `<t>.<body>` (docs.stripe.com/webhooks, "Verify manually"). */
const stripe: Scheme = {
  algorithm: "sha256",
  key: utf8,
  claim: (headers) => {
    const value = header(headers, "stripe-signature")
    if (value === undefined) return undefined
    const parts = value.split(",").map((part) => part.trim())
    const timestamp = parts.find((part) => part.startsWith("t="))?.slice(2)
    const hashes = parts.filter((part) => part.startsWith("v1=")).map((part) => hashOf(part.slice(3), "hex", "sha256"))
    if (timestamp === undefined || hashes.length === 0) return undefined
    return { hashes, timestamp, id: undefined, parts: ({ body }) => [`${timestamp}.`, body] }
  }
}

/** `sha256=<hex>` over the body (docs.github.com, "Validating webhook deliveries"). */
const github: Scheme = {
  algorithm: "sha256",
  key: utf8,
  claim: (headers) => {
    const value = header(headers, "x-hub-signature-256")
    if (value === undefined || !value.startsWith("sha256=")) return undefined
    return {
      hashes: [hashOf(value.slice(7), "hex", "sha256")],
      timestamp: undefined,
      id: header(headers, "x-github-delivery"),
      parts: ({ body }) => [body]
    }
  }
}

/** `v0=<hex>` over `v0:<timestamp>:<body>` (docs.slack.dev, "Verifying requests from Slack"). */
const slack: Scheme = {
  algorithm: "sha256",
  key: utf8,
  claim: (headers) => {
    const value = header(headers, "x-slack-signature")
    const timestamp = header(headers, "x-slack-request-timestamp")
    if (value === undefined || timestamp === undefined || !value.startsWith("v0=")) return undefined
    return {
      hashes: [hashOf(value.slice(3), "hex", "sha256")],
      timestamp,
      id: undefined,
      parts: ({ body }) => [`v0:${timestamp}:`, body]
    }
  }
}

/** Base64 over the body (shopify.dev, "Verify webhook deliveries"). */
const shopify: Scheme = {
  algorithm: "sha256",
  key: utf8,
  claim: (headers) => {
    const value = header(headers, "x-shopify-hmac-sha256")
    if (value === undefined) return undefined
    return {
      hashes: [hashOf(value, "base64", "sha256")],
      timestamp: undefined,
      id: header(headers, "x-shopify-webhook-id"),
      parts: ({ body }) => [body]
    }
  }
}

/** `v1,<base64>` over `<id>.<timestamp>.<body>`, several divided by spaces (Standard Webhooks 1.0.0). */
const standard: Scheme = {
  algorithm: "sha256",
  key: (secret) => (secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : utf8(secret)),
  claim: (headers) => {
    const value = header(headers, "webhook-signature") ?? header(headers, "svix-signature")
    const timestamp = header(headers, "webhook-timestamp") ?? header(headers, "svix-timestamp")
    const id = header(headers, "webhook-id") ?? header(headers, "svix-id")
    if (value === undefined || timestamp === undefined || id === undefined) return undefined
    const hashes = value
      .split(" ")
      .filter((part) => part.startsWith("v1,"))
      .map((part) => hashOf(part.slice(3), "base64", "sha256"))
    return hashes.length === 0
      ? undefined
      : { hashes, timestamp, id, parts: ({ body }) => [`${id}.${timestamp}.`, body] }
  }
}

const hmac = (webhook: Webhook): Scheme => {
  const { algorithm, encoding, header: name = "", prefix = "", signed } = webhook
  return {
    algorithm,
    key: utf8,
    claim: (headers) => {
      const value = header(headers, name.toLowerCase())
      const timestamp =
        webhook.timestamp_header === undefined ? undefined : header(headers, webhook.timestamp_header.toLowerCase())
      const id = webhook.id_header === undefined ? undefined : header(headers, webhook.id_header.toLowerCase())
      if (value === undefined || !value.startsWith(prefix)) return undefined
      if (webhook.timestamp_header !== undefined && timestamp === undefined) return undefined
      if (signed.includes("{id}") && id === undefined) return undefined
      return {
        hashes: [hashOf(value.slice(prefix.length), encoding, algorithm)],
        timestamp,
        id,
        parts: ({ body }) =>
          signed
            .split(/(\{body\}|\{timestamp\}|\{id\})/u)
            .map((part) =>
              part === "{body}"
                ? body
                : part === "{timestamp}"
                  ? (timestamp ?? "")
                  : part === "{id}"
                    ? (id ?? "")
                    : part
            )
      }
    }
  }
}

const schemeOf = (webhook: Webhook): Scheme | undefined => {
  switch (webhook.signature) {
    case "stripe":
      return stripe
    case "github":
      return github
    case "slack":
      return slack
    case "shopify":
      return shopify
    case "standard":
      return standard
    case "hmac":
      return hmac(webhook)
    case "token":
      return undefined
  }
}

/** Milliseconds since 1970 of a time of sending: seconds, milliseconds or RFC 3339. */
const timeOf = (text: string): number | undefined => {
  if (/^\d{1,10}$/u.test(text)) return Number(text) * 1000
  if (/^\d{13}$/u.test(text)) return Number(text)
  return /^\d{4}-/u.test(text)
    ? Option.getOrUndefined(Option.map(DateTime.make(text), DateTime.toEpochMillis))
    : undefined
}

/** Where the signature of a delivery is looked for, in words. */
export const signaturePlace = (webhook: Webhook): string => {
  switch (webhook.signature) {
    case "stripe":
      return "Stripe-Signature: t=<seconds>,v1=<hex>"
    case "github":
      return "X-Hub-Signature-256: sha256=<hex>"
    case "slack":
      return "X-Slack-Signature: v0=<hex>, with X-Slack-Request-Timestamp"
    case "shopify":
      return "X-Shopify-Hmac-Sha256: <base64>"
    case "standard":
      return "webhook-signature: v1,<base64>, with webhook-id and webhook-timestamp"
    case "token":
      return `${webhook.header ?? ""}: <the secret>`
    case "hmac": {
      const { encoding, header: name = "", id_header: id, prefix = "", signed, timestamp_header: time } = webhook
      const others = [time, signed.includes("{id}") ? id : undefined].filter((one) => one !== undefined)
      return `${name}: ${prefix}<${encoding}>${others.length === 0 ? "" : `, with ${others.join(" and ")}`}`
    }
  }
}

const sha256 = (text: string): Buffer => createHmac("sha256", "equal length").update(text).digest()

/**
 * Says whether a delivery is what its sender signed with one of the secrets, at a time close to `now` (milliseconds since 1970):
 * `undefined`, or why not. How long it takes tells nothing of the secrets: all are tried, and compared in constant time.
 */
export const signatureCheck = (
  webhook: Webhook
): ((delivery: Delivery, secrets: ReadonlyArray<string>, now: number) => Refusal | undefined) => {
  const scheme = schemeOf(webhook)
  const tolerance = Duration.toMillis(webhook.tolerance)
  if (scheme === undefined) {
    const name = (webhook.header ?? "").toLowerCase()
    return ({ headers }, secrets) => {
      const value = header(headers, name)
      if (value === undefined) return "missing_signature"
      const found = sha256(value)
      let fits = false
      for (const secret of secrets) if (timingSafeEqual(found, sha256(secret))) fits = true
      return fits ? undefined : "bad_signature"
    }
  }
  return (delivery, secrets, now) => {
    const claim = scheme.claim(delivery.headers)
    if (claim === undefined) return "missing_signature"
    const parts = claim.parts(delivery)
    let fits = false
    for (const secret of secrets) {
      const hash = createHmac(scheme.algorithm, scheme.key(secret))
      for (const part of parts) hash.update(part)
      const expected = hash.digest()
      for (const found of claim.hashes.slice(0, mostHashes)) {
        if (found.length === expected.length && timingSafeEqual(found, expected)) fits = true
      }
    }
    if (!fits) return "bad_signature"
    if (claim.timestamp === undefined) return undefined
    const at = timeOf(claim.timestamp)
    return at === undefined || Math.abs(now - at) > tolerance ? "stale" : undefined
  }
}

const idHeaders: Readonly<Partial<Record<Webhook["signature"], ReadonlyArray<string>>>> = {
  github: ["x-github-delivery"],
  shopify: ["x-shopify-webhook-id"],
  standard: ["webhook-id", "svix-id"]
}
const idPlaces: Readonly<Partial<Record<Webhook["signature"], string>>> = { stripe: "$.id", slack: "$.event_id" }

/** Where deliveries have their id: headers in which it may stand, else a place in the body. */
export const idPlace = ({
  id,
  id_header: own,
  signature
}: Webhook): { readonly headers: ReadonlyArray<string>; readonly body: string | undefined } =>
  own !== undefined
    ? { headers: [own.toLowerCase()], body: undefined }
    : id !== undefined
      ? { headers: [], body: id }
      : { headers: idHeaders[signature] ?? [], body: idPlaces[signature] }
