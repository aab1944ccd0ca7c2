import type { FailureClass } from "@tributary/domain"
import { Option, Schema } from "effect"

/** An answer as it came over the wire. Names of headers are in lower case. */
export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** A token answer in the form that RFC 6749 (section 5.1) prescribes. `expires_in` is in seconds. */
export interface TokenBody {
  readonly access_token: string
  readonly token_type: "bearer"
  readonly expires_in?: number
  readonly refresh_token?: string
  readonly scope?: string
}

/** Anything but tokens: what kind of failure, what the server said (not cleaned yet), what to do. */
export interface Refusal {
  readonly failureClass: FailureClass
  /** The `error` code, when the server gave one. */
  readonly code: string | undefined
  readonly problem: string
  readonly advice: string
  /** Milliseconds. */
  readonly retryAfter: number | undefined
  /** Whether the server may have carried the request out all the same. */
  readonly isUncertain: boolean
}

export type Normalised =
  | { readonly _tag: "Tokens"; readonly body: TokenBody }
  | ({ readonly _tag: "Refusal" } & Refusal)

type Json = Readonly<Record<string, unknown>>
const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const wrongPlace = "Check token_url (or issuer): this does not look like a token endpoint."
const credentials =
  "Check client_id and client_secret, and whether the server wants `client_auth: post` (or `basic`) instead."

/** What to do for each error code of RFC 6749 (5.2), RFC 8707, OIDC and of widespread servers. */
const advices: Readonly<Record<string, readonly [FailureClass, string]>> = {
  invalid_client: ["misconfigured", credentials],
  incorrect_client_credentials: ["misconfigured", credentials],
  unauthorized_client: ["misconfigured", "Allow this client to use this grant at the server, or change `oauth2`."],
  unsupported_grant_type: ["misconfigured", "The server does not know this grant; change `oauth2`."],
  invalid_scope: ["misconfigured", "Correct `scopes`: ask only for scopes that the server grants to this client."],
  invalid_target: ["misconfigured", "Correct `resource` or `audience`."],
  invalid_request: [
    "misconfigured",
    "Check the settings of `auth`: the server may need `audience`, `resource` or `scopes`."
  ],
  access_denied: ["misconfigured", "The server denies this client access; allow it there."],
  interaction_required: ["needs-consent", "Authorize again and replace the refresh token."],
  consent_required: ["needs-consent", "Authorize again and replace the refresh token."],
  login_required: ["needs-consent", "Authorize again and replace the refresh token."],
  temporarily_unavailable: ["transient", "It is tried again."],
  server_error: ["transient", "It is tried again."],
  slow_down: ["throttled", "It is tried again later."],
  too_many_requests: ["throttled", "It is tried again later."],
  rate_limit_exceeded: ["throttled", "It is tried again later."]
}

const consent = "Authorize again and put the new refresh token where `refresh_token` points to."

/** `Retry-After`: seconds or a date (RFC 9110, section 10.2.3), as milliseconds from `now`. */
export const retryAfter = (value: string | undefined, now: number): number | undefined => {
  const text = value?.trim() ?? ""
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  // oxlint-disable-next-line eslint/no-restricted-globals -- parses a date, reads no clock
  const date = text === "" ? Number.NaN : Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value : typeof value === "number" ? String(value) : undefined
const object = (value: unknown): Json | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined

/** Error code and description, where RFC 6749 puts them and where other servers do. */
const errorOf = (json: Json): { readonly code: string | undefined; readonly description: string | undefined } => {
  const nested = object(json["error"]) ?? object(Array.isArray(json["errors"]) ? json["errors"][0] : undefined)
  const code = text(json["error"]) ?? text(nested?.["code"]) ?? text(nested?.["status"]) ?? text(json["errorCode"])
  const description =
    text(json["error_description"]) ??
    text(nested?.["message"]) ??
    text(nested?.["detail"]) ??
    text(json["message"]) ??
    text(json["error_message"]) ??
    text(json["detail"]) ??
    text(json["errorSummary"])
  return { code: code?.trim().toLowerCase(), description }
}

/** Seconds from `now` until a point in time given as a number (seconds or milliseconds since 1970) or as a date. */
const until = (value: unknown, now: number): number | undefined => {
  const number =
    typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : NaN
  if (Number.isFinite(number))
    return number > 1e11 ? (number - now) / 1000 : number > 1e9 ? number - now / 1000 : undefined
  // oxlint-disable-next-line eslint/no-restricted-globals -- parses a date, reads no clock
  const date = typeof value === "string" ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : (date - now) / 1000
}

/**
 * Seconds that the token lives. A number or its text. A value above 1e9 (31 years) is a point in time, as some servers
 * send it; zero and less is taken as not said. Milliseconds cannot be told from seconds and are taken as seconds: the
 * token is then used until the API rejects it, which costs one request.
 */
const lifetime = (json: Json, now: number): number | undefined => {
  const said = json["expires_in"]
  const number = typeof said === "number" ? said : typeof said === "string" ? Number.parseFloat(said) : NaN
  const seconds =
    Number.isFinite(number) && number <= 1e9
      ? number
      : (until(said, now) ?? until(json["expires_at"], now) ?? until(json["expires_on"], now))
  return seconds !== undefined && seconds > 0 ? seconds : undefined
}

const scopeOf = (value: unknown): string | undefined => {
  const words = Array.isArray(value) ? value : typeof value === "string" ? value.split(/[\s,]+/) : []
  const scopes = words.filter((word): word is string => typeof word === "string" && word !== "")
  return scopes.length > 0 ? scopes.join(" ") : undefined
}

const refusal = (
  failureClass: FailureClass,
  problem: string,
  advice: string,
  rest: Partial<Pick<Refusal, "code" | "retryAfter" | "isUncertain">> = {}
): Normalised => ({
  _tag: "Refusal",
  failureClass,
  problem,
  advice,
  code: undefined,
  retryAfter: undefined,
  isUncertain: false,
  ...rest
})

/** Body as an object: JSON whatever the content type says, or a form, as some servers answer when not asked for JSON. */
const parse = (response: WireResponse): Json | undefined => {
  const json = Option.getOrUndefined(decodeJson(response.body))
  if (json !== undefined) return json
  if (/^[\w.-]+=[^<>{}\s]*(&[\w.-]+=[^<>{}\s]*)*$/.test(response.body.trim())) {
    const form = Object.fromEntries(new URLSearchParams(response.body.trim()))
    return "access_token" in form || "error" in form ? form : undefined
  }
  return undefined
}

const kindOf = (response: WireResponse): string => {
  const body = response.body.trimStart()
  if (body === "") return "no content"
  if (body.startsWith("<")) return "an HTML page"
  const type = response.headers["content-type"]?.split(";")[0]?.trim()
  return type === undefined || type === "" ? "something that is not JSON" : `${type} that is not a JSON object`
}

/** Failures that carry no error code, by status. */
const byStatus = (response: WireResponse, said: string, now: number): Normalised => {
  const { status } = response
  const wait = retryAfter(response.headers["retry-after"], now)
  const problem = `the server answered ${status}${said}.`
  if (status === 429) return refusal("throttled", problem, "It is tried again later.", { retryAfter: wait })
  if (status >= 500 || status === 408 || status === 425) {
    return refusal("transient", problem, "It is tried again.", { retryAfter: wait, isUncertain: status !== 503 })
  }
  if (status >= 300 && status < 400) return refusal("misconfigured", `the server redirects (${status}).`, wrongPlace)
  if (status === 401) return refusal("misconfigured", problem, credentials)
  if (status === 403)
    return refusal("misconfigured", problem, "Allow this client, and the address it calls from, at the server.")
  return refusal("misconfigured", problem, wrongPlace)
}

const refused = (response: WireResponse, json: Json, grantType: string, now: number): Normalised => {
  const { code, description } = errorOf(json)
  const said = [code, description === undefined ? undefined : `"${description}"`].filter((part) => part !== undefined)
  const answer = said.length > 0 ? ` ${said.join(" ")}` : ""
  const wait = retryAfter(response.headers["retry-after"], now)
  if (response.status === 429 || response.status >= 500 || code === undefined) return byStatus(response, answer, now)
  const problem = `the server answered ${response.status}${answer}.`
  const isDead =
    code === "invalid_grant" ||
    /(invalid|bad|expired|revoked|unknown)_?(refresh_?)?token|token_?(expired|revoked|inactive)/.test(code)
  if (isDead) {
    return grantType === "refresh_token"
      ? refusal("needs-consent", problem, consent, { code })
      : refusal("misconfigured", problem, credentials, { code })
  }
  const known = advices[code]
  if (known !== undefined) return refusal(known[0], problem, known[1], { code, retryAfter: wait })
  if (response.status === 401) return refusal("misconfigured", problem, credentials, { code })
  return refusal("misconfigured", problem, "Check the settings of `auth`.", { code })
}

/**
 * Brings an answer of a token endpoint into the form of RFC 6749, or says why it holds no tokens. Tolerates what servers
 * are known to do: errors with status 200, a wrong content type or a form instead of JSON, `token_type` missing or odd,
 * scopes as a list or with commas, `expires_in` as text, as a point in time or missing, empty refresh tokens. An ID token
 * is dropped: nothing uses it, so nothing has to validate it. `now` is in milliseconds since 1970.
 */
export const normalise = (response: WireResponse, grantType: string, now: number): Normalised => {
  const json = parse(response)
  const isSuccess = response.status >= 200 && response.status < 300
  if (json === undefined) {
    if (!isSuccess) return byStatus(response, ` with ${kindOf(response)}`, now)
    const looksCut = response.body.trimStart().startsWith("{")
    if (looksCut || response.body.trim() === "") {
      const found = looksCut ? "JSON that is cut off or damaged" : "no content"
      return refusal("transient", `the server answered ${response.status} with ${found}.`, "It is tried again.", {
        isUncertain: true
      })
    }
    return refusal("misconfigured", `the server answered ${response.status} with ${kindOf(response)}.`, wrongPlace)
  }
  const access = json["access_token"]
  if (!isSuccess || (access === undefined && errorOf(json).code !== undefined)) {
    return refused(response, json, grantType, now)
  }
  if (typeof access !== "string" || access === "") {
    const found =
      access === undefined
        ? `only ${Object.keys(json).slice(0, 8).join(", ") || "an empty object"}`
        : "an access_token that is no text"
    return refusal(
      "misconfigured",
      `the server answered ${response.status} with ${found}; access_token was expected.`,
      wrongPlace
    )
  }
  if (!/^[\x21-\x7e]+$/.test(access)) {
    return refusal(
      "misconfigured",
      "the server sent an access_token with characters that no header may hold (RFC 6750).",
      wrongPlace
    )
  }
  const type = text(json["token_type"])?.trim().toLowerCase() ?? "bearer"
  if (type === "dpop" || type === "mac" || type === "pop" || type === "n_a") {
    return refusal(
      "misconfigured",
      `the server issues tokens of type ${type}; bearer was expected.`,
      "Let the server issue bearer tokens to this client."
    )
  }
  const expires = lifetime(json, now)
  const refresh = json["refresh_token"]
  const scope = scopeOf(json["scope"])
  return {
    _tag: "Tokens",
    body: {
      access_token: access,
      token_type: "bearer",
      ...(expires === undefined ? {} : { expires_in: expires }),
      ...(typeof refresh === "string" && refresh !== "" ? { refresh_token: refresh } : {}),
      ...(scope === undefined ? {} : { scope })
    }
  }
}
