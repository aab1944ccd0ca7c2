import { Schema } from "effect"
import { fallback, optional, required } from "./Setting.ts"
import {
  AnyObject,
  BaseAddress,
  HeaderName,
  HeaderValue,
  Natural,
  Positive,
  PositiveDuration,
  QueryText,
  SecretReference,
  Template,
  Text,
  Share,
  upTo
} from "./SettingType.ts"

const QueryName = Text.annotate({ title: "parameter", expected: "the name of a parameter" })
const QueryValue = Schema.Union([
  QueryText,
  Schema.Finite.annotate({ title: "number", expected: "a number" }),
  Schema.Boolean.annotate({ title: "true or false", expected: "true or false" })
]).annotate({ title: "text, number, true or false", expected: "a text, a number, true or false", references: true })

/** Header fields by name. */
export const Headers = Schema.Record(HeaderName, HeaderValue).annotate({ expected: "headers by name" })

/** Query parameters, or fields of a form, by name. */
export const Parameters = Schema.Record(QueryName, QueryValue).annotate({ expected: "parameters by name" })

const Tls = Schema.Struct({
  ca: SecretReference.pipe(
    optional(
      "Reference to the certificates (PEM) that the API's must go back to, in place of the usual.",
      "${file:./ca.pem}"
    )
  ),
  certificate: SecretReference.pipe(
    optional("Reference to a client certificate (PEM) for the API.", "${file:./client.pem}")
  ),
  key: SecretReference.pipe(optional("Reference to its private key (PEM).", "${file:./client-key.pem}")),
  server_name: Text.pipe(optional("Name that the API's certificate is for, if not the host's.", "api.internal")),
  min_version: Schema.Literals(["TLSv1.2", "TLSv1.3"]).pipe(
    fallback("TLSv1.2", "Oldest version of TLS that is spoken.")
  )
}).annotate({ identifier: "Tls" })

export const RateLimit = Schema.Struct({
  requests: Positive.pipe(required("Requests allowed in each period.", 600)),
  per: PositiveDuration.pipe(required("Length of the period.", "1 minute")),
  key: Text.pipe(optional("Name of the budget; connectors with the same key share it. Default: the host.", "shop"))
}).annotate({ identifier: "RateLimit" })

const limitSettings = {
  reset: HeaderName.pipe(
    optional(
      "Header that says when there is more: seconds, or a time (a date, or seconds or milliseconds since 1970).",
      "x-reset"
    )
  ),
  per: PositiveDuration.pipe(
    fallback("1 second", "Time in which all that the API allows is there again, where no header says.")
  )
}
const RemainingHeader = Schema.Struct({
  remaining: HeaderName.pipe(
    required("Header with the number of requests that are left.", "x-hubspot-ratelimit-remaining")
  ),
  ...limitSettings
}).annotate({ identifier: "RemainingHeader" })
const UsedHeader = Schema.Struct({
  used: HeaderName.pipe(
    required("Header with what is used of how many, as in 32/40.", "x-shopify-shop-api-call-limit")
  ),
  ...limitSettings
}).annotate({ identifier: "UsedHeader" })

const CircuitBreaker = Schema.Struct({
  failures: Natural.pipe(
    fallback(10, "Failures of a host in a row, of all streams together, after which it is given a rest; 0: never.")
  ),
  share: Share.pipe(
    fallback(0.5, "Share of failed requests, of at least 20 within `per`, that has the same effect.", 0.8)
  ),
  per: PositiveDuration.pipe(fallback("1 minute", "Time in which the share is counted.")),
  wait: PositiveDuration.pipe(
    fallback("5 seconds", "How long nothing is asked then, before one request tries; doubled each time that fails.")
  ),
  at_most: PositiveDuration.pipe(fallback("30 seconds", "Longest rest at a time, also if the host asks for more."))
}).annotate({ identifier: "CircuitBreaker" })

export const Http = Schema.Struct({
  base_url: BaseAddress.pipe(
    optional(
      "Address that the streams' paths are appended to. Required, unless a module says it.",
      "https://api.shop.example/v1"
    )
  ),
  headers: Headers.pipe(fallback({}, "Headers sent with every request.", { "x-api-version": "2" })),
  rate_limit: RateLimit.pipe(
    optional("Largest rate of requests; throttling answers of the server are obeyed in any case.")
  ),
  connect_timeout: PositiveDuration.pipe(fallback("10 seconds", "Longest wait for a connection.")),
  headers_timeout: PositiveDuration.pipe(fallback("30 seconds", "Longest wait for the first byte of an answer.")),
  body_timeout: PositiveDuration.pipe(fallback("30 seconds", "Longest wait between two parts of a body.")),
  page_timeout: PositiveDuration.pipe(
    fallback("15 minutes", "Longest time for one answer as a whole, however steadily it trickles.")
  ),
  max_page_bytes: Positive.pipe(fallback(33_554_432, "Largest body accepted for one page, in bytes.")),
  max_pages: Positive.pipe(
    fallback(1_000_000, "Most pages of one walk: a walk of more does not come to an end by itself and is stopped.")
  ),
  adapt: Schema.Boolean.annotate({ title: "true or false" }).pipe(
    fallback(
      true,
      "Whether requests keep to what the API's own headers say is left (RateLimit, X-RateLimit-Remaining, and the like)."
    )
  ),
  limit_headers: Schema.Array(Schema.Union([RemainingHeader, UsedHeader])).pipe(
    fallback([], "Headers of the API's own by which it says what is left, beside the usual.", [
      { used: "x-shopify-shop-api-call-limit", per: "20 seconds" }
    ])
  ),
  circuit_breaker: CircuitBreaker.pipe(
    fallback(
      {},
      "When a host that fails (no connection, no answer in time, 5xx) is given a rest. Streams wait and keep their positions; throttling is no failure.",
      { failures: 5, wait: "30 seconds" }
    )
  ),
  retries: Natural.pipe(fallback(8, "How often a request that failed for a passing reason is repeated.")),
  connections: upTo(256).pipe(fallback(16, "Most connections to the API at a time.")),
  http2: Schema.Boolean.annotate({ title: "true or false" }).pipe(
    fallback(false, "Whether to speak HTTP/2 where the server does; it pays with many small pages at a time.")
  ),
  proxy: Template.pipe(
    optional(
      "Address of the proxy (http://, https:// or socks5://) to go through, or `none`. Default: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment say.",
      "http://proxy.example:3128"
    )
  ),
  tls: Tls.pipe(optional("What secure connections need beside the usual.", { ca: "${file:./ca.pem}" }))
}).annotate({ identifier: "Http" })

const JsonBody = Schema.Struct({
  json: AnyObject.pipe(required("Members of a JSON body.", { status: "open" }))
}).annotate({ identifier: "JsonBody" })
const FormBody = Schema.Struct({
  form: Parameters.pipe(required("Fields of a form (application/x-www-form-urlencoded).", { status: "open" }))
}).annotate({ identifier: "FormBody" })
const GraphQlBody = Schema.Struct({
  graphql: Text.pipe(required("A GraphQL query.", "query($after: String) { orders(after: $after) { nodes { id } } }")),
  variables: AnyObject.pipe(fallback({}, "Its variables; the pagination sets its own.", { first: 100 }))
}).annotate({ identifier: "GraphQlBody" })
const TextBody = Schema.Struct({
  text: Template.pipe(required("A body as it is sent.", "<query/>")),
  content_type: Text.pipe(fallback("text/plain", "Its content type.", "application/xml"))
}).annotate({ identifier: "TextBody" })

export const RequestBody = Schema.Union([JsonBody, FormBody, GraphQlBody, TextBody]).annotate({
  identifier: "RequestBody"
})
export type RequestBody = typeof RequestBody.Type

export const Method = Schema.Literals(["GET", "POST", "PUT", "PATCH"])
