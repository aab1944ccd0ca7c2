import type { TokenReply } from "./AuthState.ts"

type Texts = Readonly<Record<string, string>>

/**
 * How a provider's token endpoint differs from what RFC 6749 prescribes. The server is as strict about it as it is about the rest: a
 * request in another manner is refused.
 */
export interface ProviderManner {
  /** Path of the token endpoint. Default: /token. */
  readonly tokenPath?: string
  /** Path of the endpoint for refreshes, where they are not answered at the token endpoint. */
  readonly refreshPath?: string
  /** Form of requests. Default: form. */
  readonly body?: "form" | "json" | "query"
  /** Name of the parameter `client_id`. */
  readonly clientIdParam?: string
  /** HTTP Basic is taken as it comes, without form-decoding. */
  readonly hasRawBasic?: boolean
  /** What stands between scopes, in requests and in answers. Default: a space. */
  readonly scopeSeparator?: string
  /** Parameters that requests of a grant must have, with these values. */
  readonly params?: Readonly<Record<string, Texts>>
  /** Parameters that every request must have. */
  readonly always?: Texts
  /** Headers that requests must have, by lower-case names. */
  readonly headers?: Texts
  /** Grants of the provider's own, which are answered as client_credentials is once these parameters are right. */
  readonly ownGrants?: Readonly<Record<string, Texts>>
  readonly answer?: {
    readonly accessToken?: string
    readonly refreshToken?: string
    /** A name that ends in `_at` stands for a date. */
    readonly expires?: string
    /** What a lifetime counts. Default: seconds. */
    readonly expiresUnit?: "seconds" | "milliseconds" | "minutes"
    /** The answer says nothing of the token's life. */
    readonly isSilent?: boolean
    /** Where a lifetime of the refresh token stands, and how many seconds that is. */
    readonly refreshTokenExpires?: readonly [name: string, seconds: number]
    readonly scope?: string
  }
  /** What is said, and with which status, when a refresh token is dead. Default: invalid_grant with 400. */
  readonly deadToken?: { readonly status: number; readonly says: string }
}

/** A request as it came. Names of headers are in lower case. */
export interface TokenRequest {
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
}

/** A request as RFC 6749 prescribes it. */
export interface PlainRequest {
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  readonly body: string
}

const wrong = (description: string): TokenReply => ({
  status: 400,
  headers: {},
  body: { error: "invalid_request", error_description: description }
})

const text = (value: unknown) => (typeof value === "string" ? value : undefined)

/** The parameters of a request, or what is wrong with its form. */
const parametersOf = ({ body: form = "form" }: ProviderManner, request: TokenRequest): URLSearchParams | TokenReply => {
  const type = text(request.headers["content-type"])?.split(";")[0]?.trim()
  if (form === "query") return request.body === "" ? request.query : wrong("parameters belong into the address")
  if ([...request.query].length > 0) return wrong("parameters do not belong into the address")
  if (form === "form") {
    return type === "application/x-www-form-urlencoded"
      ? new URLSearchParams(request.body)
      : wrong("a form was expected")
  }
  if (type !== "application/json") return wrong("JSON was expected")
  const parsed: unknown = JSON.parse(request.body)
  if (typeof parsed !== "object" || parsed === null) return wrong("an object was expected")
  return new URLSearchParams(Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)])))
}

const formEncoded = (value: string) => new URLSearchParams({ v: value }).toString().slice(2)

/** What a request in the provider's manner says, as RFC 6749 has it; or its refusal. */
export const hear = (manner: ProviderManner, request: TokenRequest): PlainRequest | TokenReply => {
  const form = parametersOf(manner, request)
  if (!(form instanceof URLSearchParams)) return form
  const grant = form.get("grant_type") ?? ""
  const isRefresh = grant === "refresh_token"
  const path = isRefresh ? (manner.refreshPath ?? manner.tokenPath) : manner.tokenPath
  if (path !== undefined && path !== request.path) return wrong(`${grant} is not answered here`)
  const wanted = { ...manner.always, ...manner.params?.[grant], ...manner.ownGrants?.[grant] }
  for (const [name, value] of Object.entries(wanted)) {
    if (form.get(name) !== value) return wrong(`the parameter ${name} is missing or wrong`)
  }
  for (const [name, value] of Object.entries(manner.headers ?? {})) {
    if (text(request.headers[name]) !== value) return wrong(`the header ${name} is missing or wrong`)
  }
  if (manner.ownGrants?.[grant] !== undefined) form.set("grant_type", "client_credentials")
  const { clientIdParam = "client_id", scopeSeparator = " " } = manner
  const id = form.get(clientIdParam)
  if (clientIdParam !== "client_id") {
    if (form.has("client_id")) return wrong("unknown parameter client_id")
    form.delete(clientIdParam)
    if (id !== null) form.set("client_id", id)
  }
  const scope = form.get("scope")
  if (scope !== null && scopeSeparator !== " ") {
    if (scope.includes(" ")) return { status: 400, headers: {}, body: { error: "invalid_scope" } }
    form.set("scope", scope.replaceAll(scopeSeparator, " "))
  }
  let authorization = text(request.headers["authorization"])
  if (manner.hasRawBasic === true && authorization !== undefined) {
    const pair = Buffer.from(authorization.replace(/^Basic /iu, ""), "base64").toString()
    const [user = "", ...rest] = pair.split(":")
    authorization = `Basic ${Buffer.from(`${formEncoded(user)}:${formEncoded(rest.join(":"))}`).toString("base64")}`
  }
  return { authorization, contentType: "application/x-www-form-urlencoded", body: form.toString() }
}

/** `session.token` as nested objects around a value. */
const nested = (path: string, value: unknown): Readonly<Record<string, unknown>> => {
  const [first = "", ...rest] = path.split(".")
  return { [first]: rest.length === 0 ? value : nested(rest.join("."), value) }
}

const factors = { seconds: 1, milliseconds: 1000, minutes: 1 / 60 } as const

/** Says an answer in the provider's manner. `now` is in milliseconds since 1970. */
export const say = (manner: ProviderManner, reply: TokenReply, now: number): TokenReply => {
  const { answer = {}, deadToken, scopeSeparator = " " } = manner
  if (reply.status !== 200) {
    if (deadToken === undefined || reply.body["error"] !== "invalid_grant") return reply
    return { ...reply, status: deadToken.status, body: { error: "invalid_request", error_description: deadToken.says } }
  }
  const { access_token, expires_in, refresh_token, scope, ...rest } = reply.body
  const life = typeof expires_in === "number" ? expires_in : 0
  const place = answer.expires ?? "expires_in"
  const expires = place.endsWith("_at")
    ? // oxlint-disable-next-line eslint/no-restricted-globals -- writes a date, reads no clock
      new Date(now + life * 1000).toISOString()
    : life * factors[answer.expiresUnit ?? "seconds"]
  return {
    ...reply,
    body: {
      ...rest,
      ...nested(answer.accessToken ?? "access_token", access_token),
      ...(answer.isSilent === true ? {} : nested(place, expires)),
      ...(refresh_token === undefined ? {} : nested(answer.refreshToken ?? "refresh_token", refresh_token)),
      ...(answer.refreshTokenExpires === undefined || refresh_token === undefined
        ? {}
        : nested(...answer.refreshTokenExpires)),
      ...(typeof scope === "string" ? nested(answer.scope ?? "scope", scope.replaceAll(" ", scopeSeparator)) : {})
    }
  }
}
