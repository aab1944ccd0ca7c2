import type { FailureClass } from "@tributary/domain"
import { clean } from "../clean.ts"
import type { Json, Normalised, Refusal, ResponseQuirks, WireResponse } from "./Answer.ts"
import { at, object, text } from "./answerBody.ts"
import { retryAfter } from "./lifetimes.ts"

export const wrongPlace = "Check token_url (or issuer): this does not look like a token endpoint."
const credentials =
  "Check client_id and client_secret, and whether the server wants `client_auth: post` (or `basic`) instead."
const later = "It is tried again later."

/** What to do for each error code of RFC 6749 (5.2), RFC 8707, OIDC and of widespread servers. */
const advices = new Map<string, readonly [FailureClass, string]>(
  Object.entries({
    invalid_client: ["misconfigured", credentials],
    incorrect_client_credentials: ["misconfigured", credentials],
    invalid_client_id: ["misconfigured", credentials],
    invalid_client_secret: ["misconfigured", credentials],
    bad_client_id: ["misconfigured", credentials],
    bad_client_secret: ["misconfigured", credentials],
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
    service_unavailable: ["transient", "It is tried again."],
    server_error: ["transient", "It is tried again."],
    internal_error: ["transient", "It is tried again."],
    slow_down: ["throttled", later],
    too_many_requests: ["throttled", later],
    rate_limited: ["throttled", later],
    ratelimited: ["throttled", later],
    rate_limit_exceeded: ["throttled", later]
  })
)

const consent = "Authorize again and put the new refresh token where `refresh_token` points to."

/** Codes that say that a refresh token is of no use any more, in the words of servers that know no `invalid_grant`. */
const deadToken =
  /^(invalid|bad|expired|revoked|unknown|missing)_?(refresh_?)?token|token_?(is_?)?(expired|revoked|inactive|invalid|reused|not_found|already_used)/u

/** Servers that throttle with a status or code of its own kind say so in words. */
const throttling = /rate[ _-]?limit|too many (request|attempt|token)|throttl|quota (was |is |has been )?exceeded/iu

interface Said {
  readonly code: string | undefined
  readonly description: string | undefined
  /** Whether the answer says that it is a failure, by a code or a flag. */
  readonly isFailure: boolean
  /** Whether it says so in `error`, or by a flag that stands for nothing else. */
  readonly isExplicit: boolean
}

const isFailed = (value: unknown) =>
  value === false || (typeof value === "string" && /^(error|fail|failed|failure|false)$/iu.test(value.trim()))

/** Nothing failed, in the codes of servers that always send one. */
const isNothing = (code: string) => /^(0|200|ok|success|none|null|no_error)$/iu.test(code)

const firstText = (...values: ReadonlyArray<unknown>): string | undefined => {
  for (const value of values) {
    const found = text(value)
    if (found !== undefined) return found
  }
  return undefined
}

/** Error code and description, where RFC 6749 puts them and where other servers do. A word is preferred to a number. */
export const errorOf = (json: Json): Said => {
  const list = at(json, "errors")
  const listed: unknown = Array.isArray(list) ? list[0] : list
  const nested = object(at(json, "error")) ?? object(listed) ?? object(at(json, "fault")) ?? {}
  const detail = object(at(nested, "detail")) ?? {}
  const codes = [
    at(json, "error"),
    at(nested, "error"),
    at(nested, "code"),
    at(nested, "errorType"),
    at(nested, "type"),
    at(nested, "status"),
    at(detail, "errorcode"),
    typeof listed === "string" ? listed : undefined,
    at(json, "error_code"),
    at(json, "errorCode"),
    at(json, "errcode"),
    at(json, "code"),
    at(json, "status")
  ].flatMap((value) => {
    const code = text(value)
    return code === undefined || isNothing(code) || isFailed(code) || code.length > 200 ? [] : [code]
  })
  const code = codes.find((candidate) => /[a-z]/iu.test(candidate)) ?? codes[0]
  const description = firstText(
    at(json, "error_description"),
    at(json, "errorDescription"),
    at(nested, "error_description"),
    at(nested, "message"),
    at(nested, "detail"),
    at(nested, "faultstring"),
    at(json, "message"),
    at(json, "error_message"),
    at(json, "errmsg"),
    at(json, "err"),
    at(json, "detail"),
    at(json, "errorSummary"),
    at(json, "reason"),
    at(json, "msg")
  )
  const own = at(json, "error")
  const isExplicit =
    (text(own) !== undefined && !isNothing(text(own) ?? "")) ||
    Object.keys(object(own) ?? {}).length > 0 ||
    isFailed(at(json, "ok")) ||
    isFailed(at(json, "success"))
  const isFailure = isExplicit || code !== undefined || isFailed(at(json, "status"))
  return { code, description, isExplicit, isFailure }
}

/** A failure as the normaliser answers it. */
export const refusal = (
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

/** Codes of a server in which something broke, perhaps when the request was already carried out. */
const broken =
  /^5\d\d$|internal|^((unknown|unexpected|system|server|service|backend|general|generic|database|gateway)_?)+(error|failure|exception)$|^(request_?|gateway_?)?timed?_?out$|^service_?unavailable$/u

/**
 * Whether the request may have been carried out although the answer is a failure. A 503 can come from whatever stands before the
 * server; it is not carried out for sure where it says that the request is to come later.
 */
const mayBeCarriedOut = (response: WireResponse, code: string | undefined): boolean => {
  const { headers, status } = response
  if (status === 503) {
    const isForLater = code !== undefined && (advices.get(code)?.[0] === "throttled" || throttling.test(code))
    return headers["retry-after"] === undefined && code !== "temporarily_unavailable" && !isForLater
  }
  return status >= 500 || status === 408 || status === 425 || (code !== undefined && broken.test(code))
}

/** Failures that carry no error code, or whose status says more, by status. */
export const byStatus = (response: WireResponse, said: string, now: number, code?: string): Normalised => {
  const { status } = response
  const wait = retryAfter(response.headers["retry-after"], now)
  const problem = `the server answered ${status}${said}.`
  if (status === 429) return refusal("throttled", problem, later, { retryAfter: wait })
  if (status >= 500 || status === 408 || status === 425) {
    return refusal("transient", problem, "It is tried again.", {
      retryAfter: wait,
      isUncertain: mayBeCarriedOut(response, code)
    })
  }
  if (status >= 300 && status < 400) return refusal("misconfigured", `the server redirects (${status}).`, wrongPlace)
  if (throttling.test(said)) return refusal("throttled", problem, later, { retryAfter: wait })
  if (status === 401) return refusal("misconfigured", problem, credentials)
  if (status === 403)
    return refusal("misconfigured", problem, "Allow this client, and the address it calls from, at the server.")
  return refusal("misconfigured", problem, wrongPlace)
}

const secretName = /token|secret|password|assertion|code_verifier/iu

/** Values of an answer that may be secret, however it names them. */
const secretsIn = (json: Json, depth = 3): ReadonlyArray<string> =>
  Object.entries(json).flatMap(([name, value]) => {
    if (typeof value === "string") return secretName.test(name) && !name.startsWith("token_type") ? [value] : []
    const inner = depth > 0 ? object(value) : undefined
    return inner === undefined ? [] : secretsIn(inner, depth - 1)
  })

/** Text of an answer, fit to be shown as far as the answer itself tells what is secret. */
export const shown = (said: string, json: Json): string =>
  clean(
    said,
    secretsIn(json).filter((secret) => secret.length >= 8)
  )

const advice: Readonly<Record<FailureClass, string>> = {
  "needs-consent": consent,
  misconfigured: "Check the settings of `auth`.",
  transient: "It is tried again.",
  throttled: later,
  defect: "Please report it."
}

/** An answer that says what is wrong. */
export const refused = (
  response: WireResponse,
  json: Json,
  grantType: string,
  quirks: ResponseQuirks,
  now: number
): Normalised => {
  const error = errorOf(json)
  const code = error.code?.toLowerCase().replaceAll(/[\s-]+/gu, "_")
  const said = [
    code === undefined ? undefined : shown(code, json),
    error.description === undefined ? undefined : `"${shown(error.description, json)}"`
  ].filter((part) => part !== undefined)
  const answer = said.length > 0 ? ` ${said.join(" ")}` : ""
  const wait = retryAfter(response.headers["retry-after"], now)
  const problem = `the server answered ${response.status}${answer}.`
  const kept = code === undefined ? undefined : shown(code, json)

  const words = `${error.code ?? ""} ${error.description ?? ""}`.toLowerCase()
  const meant = quirks.errors?.find(({ says }) => words.includes(says.toLowerCase()))?.means
  if (meant !== undefined) {
    const failureClass = meant === "needs-consent" && grantType !== "refresh_token" ? "misconfigured" : meant
    const isUncertain = failureClass === "transient" && mayBeCarriedOut(response, code)
    return refusal(failureClass, problem, advice[failureClass], { code: kept, retryAfter: wait, isUncertain })
  }
  if (response.status === 429 || response.status >= 500 || code === undefined) {
    return byStatus(response, answer, now, code)
  }
  if (code === "invalid_grant" || deadToken.test(code)) {
    return grantType === "refresh_token"
      ? refusal("needs-consent", problem, consent, { code: kept })
      : refusal("misconfigured", problem, credentials, { code: kept })
  }
  const known = advices.get(code)
  if (known?.[0] !== "throttled" && throttling.test(words)) {
    return refusal("throttled", problem, later, { code: kept, retryAfter: wait })
  }
  const isUncertain = mayBeCarriedOut(response, code)
  if (known !== undefined) return refusal(known[0], problem, known[1], { code: kept, retryAfter: wait, isUncertain })
  if (response.status === 401) return refusal("misconfigured", problem, credentials, { code: kept, isUncertain })
  return refusal("misconfigured", problem, advice.misconfigured, { code: kept, isUncertain })
}
