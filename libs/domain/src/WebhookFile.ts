import { Schema } from "effect"
import { fallback, optional, required } from "./Setting.ts"
import { HeaderName, PositiveDuration, SecretReference, Selector, Text, upTo } from "./SettingType.ts"

const WebhookPath = Schema.String.check(Schema.isPattern(/^(\/[\w.~-]+)+$/u)).annotate({
  title: "path",
  expected: "a path such as /hooks/shop: letters, digits and -._~ between slashes",
  advice: (value) => (typeof value === "string" && /^[\w.~/-]+[\w.~-]$/u.test(value) ? `Write /${value}.` : undefined)
})

/** A stream that the API sends, in signed requests (webhooks), in place of being asked for it. */
export const Webhook = Schema.Struct({
  signature: Schema.Literals(["stripe", "github", "slack", "shopify", "standard", "hmac", "token"]).pipe(
    required(
      "How deliveries are signed: as one of these APIs does it, `standard` (Standard Webhooks, as Svix), `hmac` as the settings below say, or `token`: a header that holds the secret itself.",
      "github"
    )
  ),
  secret: SecretReference.pipe(
    required("Reference to the secret that deliveries are signed with.", "${env:SHOP_WEBHOOK}")
  ),
  other_secrets: Schema.Array(SecretReference)
    .check(Schema.isMaxLength(4))
    .annotate({ title: "list of secret references", expected: "a list of at most four references to secrets" })
    .pipe(
      fallback([], "Others that are valid at the same time, while the secret is changed.", ["${env:SHOP_WEBHOOK_OLD}"])
    ),
  path: WebhookPath.pipe(
    optional("Path at which deliveries are received. Default: /webhooks/{connector}/{stream}.", "/hooks/shop")
  ),
  id: Selector.pipe(
    optional(
      "Where the body has the delivery's id: one that comes again is published once. Default: what `signature` has; without any, the body itself.",
      "$.id"
    )
  ),
  id_header: HeaderName.pipe(optional("Header that has the delivery's id, in place of `id`.", "x-delivery-id")),
  headers: Schema.Array(HeaderName)
    .check(Schema.isMaxLength(16))
    .annotate({ title: "list of headers", expected: "a list of at most 16 names of headers" })
    .pipe(fallback([], "Headers that are kept: {x-event} in `add` stands for one of them.", ["x-github-event"])),
  header: HeaderName.pipe(optional("With hmac and token: the header that has the signature.", "x-signature")),
  algorithm: Schema.Literals(["sha256", "sha1", "sha512"]).pipe(fallback("sha256", "With hmac: the hash.")),
  encoding: Schema.Literals(["hex", "base64"]).pipe(fallback("hex", "With hmac: how the signature is written.")),
  prefix: Text.pipe(optional("With hmac: what stands before the signature.", "sha256=")),
  signed: Text.pipe(
    fallback("{body}", "With hmac: what is signed; {body}, {timestamp} and {id} are replaced.", "{timestamp}.{body}")
  ),
  timestamp_header: HeaderName.pipe(
    optional("With hmac: header that has the time of sending, in seconds or milliseconds since 1970.", "x-timestamp")
  ),
  tolerance: PositiveDuration.pipe(
    fallback(
      "5 minutes",
      "How far the time of sending may be from now, where there is one: older deliveries are refused."
    )
  ),
  max_bytes: upTo(33_554_432).pipe(fallback(1_000_000, "Largest body of a delivery.")),
  verify_token: SecretReference.pipe(
    optional(
      "Reference to the token of a subscription's handshake: GET with hub.mode, hub.verify_token and hub.challenge (WebSub, Meta).",
      "${env:META_VERIFY}"
    )
  )
}).annotate({ identifier: "Webhook" })
export type Webhook = typeof Webhook.Type
