import { Secrets } from "@tributary/secrets"
import { Clock, Duration, Effect, Option, Redacted } from "effect"
import { clean } from "../clean.ts"
import { type EndpointLimits, type ExchangeFailure, makeServerLink } from "../ServerLink.ts"
import { isAcceptable, misconfigured, type Settings } from "../Settings.ts"
import type { TokenEndpoint } from "../TokenEndpoint.ts"
import type { TokenError } from "../TokenError.ts"
import type { Authorization } from "../TokenManager.ts"
import { retryAfter, type TokenBody, type WireResponse } from "../TokenResponse.ts"

const parse = (body: string): unknown =>
  Option.getOrUndefined(Option.liftThrowable((text: string): unknown => JSON.parse(text))(body))

const at = (value: unknown, path: ReadonlyArray<string>): unknown => {
  let found = value
  for (const name of path) {
    if (typeof found !== "object" || found === null) return undefined
    found = Reflect.get(found, name)
  }
  return found
}

/** Header fields of an HTTP message may hold these characters only (RFC 6750, section 2.1, is stricter still). */
const isToken = (value: unknown): value is string => typeof value === "string" && /^[\x21-\x7e]+$/u.test(value)

/**
 * The token endpoint of the grant `login`: first the login, a JSON request whose answer holds a session token, then, where it is
 * configured, the exchange of that token at the real endpoint. Both are made for each token: nothing of them can be used up, so
 * they can be repeated at will. For any other grant it is the endpoint as it was given.
 */
export const withLogin = Effect.fnUntraced(function* (
  authorization: Authorization,
  settings: Settings,
  limits: EndpointLimits,
  endpoint: TokenEndpoint
) {
  const { base, id, oauth2 } = authorization
  const { login } = oauth2
  if (oauth2.oauth2 !== "login" || login === undefined) return endpoint
  const secrets = yield* Secrets
  const link = yield* makeServerLink(authorization, settings, limits)
  const text = (template: string) =>
    Effect.mapError(secrets.text(template, base), (error) => misconfigured(id, error.message, ""))
  const certain = Effect.mapError((error: TokenError): ExchangeFailure => ({ error, isUncertain: false }))

  const request = Effect.gen(function* () {
    const written = yield* text(login.url)
    if (!URL.canParse(written) || !isAcceptable(new URL(written), limits.allowHttp)) {
      return yield* misconfigured(
        id,
        "login.url is no address with https.",
        "Write it in full, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true inside a network that you trust."
      )
    }
    const fields: Record<string, string> = {}
    const hidden: Array<string> = []
    for (const [name, template] of Object.entries(login.body)) {
      const value = yield* text(template)
      fields[name] = value
      if (value !== template) hidden.push(value)
    }
    return { url: new URL(written), body: JSON.stringify(fields), hidden }
  })

  const refused = (url: URL, answer: WireResponse, hidden: ReadonlyArray<string>, now: number): TokenError => {
    const { status } = answer
    if (status === 429 || status >= 500) {
      return link.failure(
        url,
        {
          failureClass: status === 429 ? "throttled" : "transient",
          problem: `the login was answered with ${status}.`,
          advice: "It is tried again."
        },
        retryAfter(answer.headers["retry-after"], now)
      )
    }
    const json = parse(answer.body)
    const word = [at(json, ["error"]), at(json, ["message"])].find((value) => typeof value === "string")
    return link.failure(url, {
      failureClass: "misconfigured",
      problem: clean(
        `the login was answered with ${status}${word === undefined ? "" : ` "${String(word).slice(0, 100)}"`}; a session token at ${login.token} was expected.`,
        hidden
      ),
      advice: "Check `login` (url, body, token), and the user and password that it refers to."
    })
  }

  const session = Effect.gen(function* () {
    const { body, hidden, url } = yield* certain(request)
    const answer = yield* link.send(url, {
      method: "POST",
      url: url.href,
      contents: Redacted.make({ headers: { accept: "application/json", "content-type": "application/json" }, body })
    })
    const now = yield* Clock.currentTimeMillis
    const json = parse(answer.body)
    const token = at(json, login.token.split("."))
    if (answer.status < 200 || answer.status >= 300 || !isToken(token)) {
      return yield* certain(refused(url, answer, hidden, now))
    }
    const told = Number(at(json, ["expires_in"]) ?? Number.NaN)
    const life = told > 0 ? told : login.lifetime === undefined ? undefined : Duration.toSeconds(login.lifetime)
    return Redacted.make({ token, life })
  }).pipe(Effect.withSpan("LoginEndpoint.session"))

  return {
    exchange: Effect.fnUntraced(function* (grant, mayBeSent) {
      const askedAt = yield* Clock.currentTimeMillis
      const { life, token } = Redacted.value(yield* session)
      if (login.exchange === undefined) {
        const body: TokenBody = {
          access_token: token,
          token_type: "bearer",
          ...(life === undefined ? {} : { expires_in: life })
        }
        return { body: Redacted.make(body), askedAt }
      }
      return yield* endpoint.exchange(
        {
          ...grant,
          parameters: Redacted.make({ ...Redacted.value(grant.parameters), [login.exchange.parameter]: token }),
          secrets: Redacted.make([...Redacted.value(grant.secrets), token])
        },
        mayBeSent
      )
    })
  } satisfies TokenEndpoint
})
