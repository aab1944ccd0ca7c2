import type { Json, Normalised, ResponseQuirks, WireResponse } from "./response/Answer.ts"
import { kindOf, looksCut, parse } from "./response/answerBody.ts"
import { byStatus, errorOf, refusal, refused, shown, wrongPlace } from "./response/refusals.ts"
import { fieldsBeside, findAccess, type Found, typeOf } from "./response/tokenFields.ts"

export type { Normalised, Refusal, ResponseQuirks, TokenBody, WireResponse } from "./response/Answer.ts"
export { retryAfter } from "./response/lifetimes.ts"

/** Types of tokens that need a key with each request, so that they cannot be used as bearer tokens. */
const boundTypes = new Set(["dpop", "mac", "pop", "na"])

const unreadable = (response: WireResponse, isSuccess: boolean, now: number): Normalised => {
  if (!isSuccess) return byStatus(response, ` with ${kindOf(response)}`, now)
  const isCut = looksCut(response)
  if (isCut || response.body.trim() === "") {
    const found = isCut ? "JSON that is cut off or damaged" : "no content"
    return refusal("transient", `the server answered ${response.status} with ${found}.`, "It is tried again.", {
      isUncertain: true
    })
  }
  // What stands before the server may have replaced its answer.
  return refusal("misconfigured", `the server answered ${response.status} with ${kindOf(response)}.`, wrongPlace, {
    isUncertain: true
  })
}

/** A success that holds no token where one is known to stand. The server may have replaced the refresh token all the same. */
const withoutToken = (response: WireResponse, json: Json): Normalised => {
  const keys = Object.keys(json)
    .slice(0, 8)
    .map((key) => (/^[\w.-]{1,32}$/u.test(key) ? shown(key, json) : "[removed]"))
  return refusal(
    "misconfigured",
    `the server answered ${response.status} with only ${keys.join(", ") || "an empty object"}; access_token was expected.`,
    wrongPlace,
    { isUncertain: true }
  )
}

const tokens = (found: Found, json: Json, quirks: ResponseQuirks, now: number): Normalised => {
  const access = typeof found.access === "string" ? found.access.trim().replace(/^bearer\s+/iu, "") : undefined
  if (access === undefined || access === "") {
    return refusal(
      "misconfigured",
      "the server answered with an access_token that is no text; access_token was expected.",
      wrongPlace,
      { isUncertain: true }
    )
  }
  if (!/^[\x21-\x7e]+$/u.test(access)) {
    return refusal(
      "misconfigured",
      "the server sent an access_token with characters that no header may hold (RFC 6750).",
      wrongPlace,
      { isUncertain: true }
    )
  }
  const type = typeOf(found)
  if (type !== undefined && boundTypes.has(type) && quirks.is_bearer !== true) {
    return refusal(
      "misconfigured",
      `the server issues tokens of type ${type}; bearer was expected.`,
      "Let the server issue bearer tokens to this client.",
      { isUncertain: true }
    )
  }
  return {
    _tag: "Tokens",
    body: { access_token: access, token_type: "bearer", ...fieldsBeside(found, json, quirks, now) }
  }
}

/**
 * Brings an answer of a token endpoint into the form of RFC 6749, or says why it holds no tokens. Tolerates what servers
 * are known to do: errors with status 200, a wrong content type, a byte order mark, a form instead of JSON, tokens in a
 * wrapper or under other names, `token_type` missing or odd, scopes as a list or with commas, `expires_in` as text, as a
 * point in time or missing, empty refresh tokens. What an answer does not show (milliseconds, an unusual place) the
 * quirks say. An ID token is kept as it came, for whoever asked for it to validate. `now` is in milliseconds since 1970.
 */
export const normalise = (
  response: WireResponse,
  grantType: string,
  now: number,
  quirks: ResponseQuirks = {}
): Normalised => {
  const json = parse(response, quirks.access_token ?? [])
  const isSuccess = response.status >= 200 && response.status < 300
  if (json === undefined) return unreadable(response, isSuccess, now)
  if (!isSuccess) return refused(response, json, grantType, quirks, now)
  const found = findAccess(json, quirks)
  const error = errorOf(json)
  if (found !== undefined && (found.isSure || !error.isExplicit)) return tokens(found, json, quirks, now)
  return error.isFailure ? refused(response, json, grantType, quirks, now) : withoutToken(response, json)
}
