import { Clock, Effect, Semaphore } from "effect"
import { parseToUtc } from "../expression/IsoTime.ts"
import { PyDateTime, utc } from "../expression/DateTime.ts"
import { parseCdk } from "../expression/Strptime.ts"
import { str } from "../expression/Repr.ts"
import { dictEntries, dictGet, dictOf } from "../expression/Dict.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import type { Component } from "../component/Component.ts"
import * as Dpath from "../component/Dpath.ts"
import { toData } from "../component/Expressions.ts"
import { isAnswer } from "../component/ErrorHandler.ts"
import { noCredentials, prepare } from "../component/Requests.ts"
import { failure, type RunError } from "../component/RunError.ts"
import type { Authenticator } from "./Parts.ts"
import { control } from "./Message.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** The first value under a name, however deep it stands (five levels at most). */
const find = (value: Value, name: string, depth = 0): Value | undefined => {
  if (depth > 5) throw failure(`Couldn't find the specified \`${name}\` in the response.`, "config_error")
  const dict = dictOf(value)
  if (dict !== undefined) {
    const own = dictGet(dict, name)
    if (own !== undefined) return own
    for (const [, item] of dictEntries(dict)) {
      const found = find(item, name, depth + 1)
      if (found !== undefined && found !== null) return found
    }
  } else if (Array.isArray(value)) {
    for (const item of value) {
      const found = find(item, name, depth + 1)
      if (found !== undefined && found !== null) return found
    }
  }
  return undefined
}

/** How often a token endpoint that is in trouble is asked, and for how long in milliseconds. */
const mostTries = 6
const longestTime = 300_000

const isoText = (millis: number): string =>
  PyDateTime.fromEpoch(BigInt(Math.floor(millis)) * 1000n, utc).iso("T", "auto")

const clientAuthentications = ["body", "basic", "private_key_jwt"] as const

/**
 * Gets and renews tokens: `OAuthAuthenticator`, with single-use refresh tokens where it says so. Beyond the CDK it knows
 * `client_authentication` (`body`, `basic`, or `private_key_jwt` with a `client_assertion`), `access_token_header` (`name`
 * and `prefix`) and `request_headers`, which go with the token.
 */
export const oauth = (
  run: Run,
  component: Component,
  assertion: Effect.Effect<string, RunError> | undefined
): Authenticator => {
  const { expressions } = run
  const { parameters } = component
  const updater = component.child("refresh_token_updater")
  const evaluate = (template: Value): Value => expressions.value(template, parameters)
  const name = (setting: string, fallback: string): string => str(evaluate(component.optionalText(setting) ?? fallback))
  const path = (setting: string, last: string): ReadonlyArray<string> => {
    const given = updater?.texts(setting) ?? []
    return given.length > 0 ? given : ["credentials", last]
  }
  const config: PlainDict = expressions.config ?? {}
  const kept = (setting: string, last: string): string => str(Dpath.get(config, path(setting, last)) ?? "")
  const keep = (setting: string, last: string, value: Value) => Dpath.create(config, path(setting, last), value)
  const useAssertion = component.get("use_profile_assertion")
  const usesAssertion =
    typeof useAssertion === "string" ? expressions.condition(useAssertion, parameters) : useAssertion === true
  const grantType = usesAssertion ? "urn:ietf:params:oauth:grant-type:jwt-bearer" : name("grant_type", "refresh_token")
  const wanted = component.optionalText("client_authentication") ?? "body"
  const clientAs = clientAuthentications.find((way) => way === wanted)
  if (clientAs === undefined) {
    component.fail("client_authentication", `found ${wanted}, expected one of ${clientAuthentications.join(", ")}.`)
  }
  const isSigned = clientAs === "private_key_jwt"
  if (isSigned && assertion === undefined) component.fail("client_assertion", "it is missing.")
  if (!usesAssertion && !component.has("client_id")) component.fail("client_id", "it is missing.")
  if (!usesAssertion && !isSigned && !component.has("client_secret")) component.fail("client_secret", "it is missing.")
  if (usesAssertion && assertion === undefined) component.fail("profile_assertion", "it is missing.")
  if (grantType === "refresh_token" && updater === undefined && !component.has("refresh_token")) {
    component.fail("refresh_token", "it is missing; the grant type refresh_token needs it.")
  }
  const errorAt = updater?.has("refresh_token_error_key") === true ? updater : component
  const errorCodes = errorAt.get("refresh_token_error_status_codes")
  const hasErrors = errorAt.has("refresh_token_error_key")
  const refused = {
    codes: hasErrors && Array.isArray(errorCodes) ? errorCodes.map(Number) : [400],
    key: errorAt.optionalText("refresh_token_error_key") ?? "error",
    values: hasErrors ? errorAt.texts("refresh_token_error_values") : ["invalid_grant", "invalid_permissions"]
  }
  const expiryFormat = component.optionalText("token_expiry_date_format")

  const millisOf = (value: string, format: string | undefined): number => {
    const time = format === undefined ? parseToUtc(value) : parseCdk(value, format)
    return Number(time.epochMicros / 1000n)
  }
  /** A time of ISO 8601, or seconds since 1970. */
  const millisOfDate = (value: string): number =>
    /^\d+$/.test(value) ? Number(value) * (value.length > 11 ? 1 : 1000) : millisOf(value, undefined)

  let token: string | undefined
  let expiresAt: number | undefined
  const given = component.optionalText("access_token_value")
  if (given !== undefined) {
    const value = evaluate(given)
    token = value === null || value === "" ? undefined : str(value)
  }
  const expiry = component.get("token_expiry_date")
  if (expiry !== undefined && updater === undefined) {
    const text = str(evaluate(expiry))
    expiresAt = text === "" ? undefined : millisOfDate(text)
  }
  const mutex = Semaphore.makeUnsafe(1)

  const current = (): string | undefined => {
    if (updater === undefined) return token
    const value = kept("access_token_config_path", "access_token")
    return value === "" ? undefined : value
  }
  const isExpired = (now: number): boolean => {
    if (updater === undefined) return token === undefined || expiresAt === undefined || now > expiresAt
    const date = kept("token_expiry_date_config_path", "token_expiry_date")
    return date === "" || now > millisOfDate(date)
  }

  const mapping = (setting: string): PlainDict => {
    const dict = dictOf(component.get(setting))
    if (dict === undefined) return {}
    const plain = Object.fromEntries(dictEntries(dict).map(([key, item]): [string, Value] => [str(key), item]))
    return Object.fromEntries(
      expressions.mapping(plain, parameters).map(([key, item]): [string, Value] => [str(key), toData(item)])
    )
  }
  const sentAs = component.child("access_token_header")
  const headerName = sentAs?.optionalText("name") ?? "Authorization"
  const prefix = sentAs?.optionalText("prefix") ?? "Bearer"
  const headerOf = (value: string): string => (prefix === "" ? value : `${prefix} ${value}`)

  const request = Effect.fnUntraced(function* () {
    const made = assertion === undefined ? undefined : yield* assertion
    const signed = usesAssertion ? made : undefined
    return yield* pure(() => {
      const endpoint = component.get("token_refresh_endpoint")
      const url = endpoint === undefined ? "" : str(evaluate(endpoint))
      if (!URL.canParse(url))
        throw failure("OAuthAuthenticator was unable to evaluate token_refresh_endpoint", "config_error")
      const headers = Object.fromEntries(
        Object.entries(mapping("refresh_request_headers")).map(([key, item]) => [key, str(item)])
      )
      const body: PlainDict = { [name("grant_type_name", "grant_type")]: grantType }
      if (signed === undefined) {
        const readId = (): string => {
          const id = str(evaluate(component.text("client_id")))
          if (id === "") throw failure("OAuthAuthenticator was unable to evaluate client_id parameter", "config_error")
          return id
        }
        if (clientAs === "basic") {
          const secret = str(evaluate(component.text("client_secret")))
          headers["Authorization"] = `Basic ${Buffer.from(`${readId()}:${secret}`).toString("base64")}`
        } else if (!Object.hasOwn(headers, "Authorization")) {
          body[name("client_id_name", "client_id")] = readId()
          if (isSigned) {
            body["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            body["client_assertion"] = made ?? ""
          } else body[name("client_secret_name", "client_secret")] = evaluate(component.text("client_secret"))
        }
        const refresh =
          updater === undefined
            ? component.has("refresh_token")
              ? str(evaluate(component.text("refresh_token")))
              : null
            : kept("refresh_token_config_path", "refresh_token")
        body[name("refresh_token_name", "refresh_token")] = refresh
        const scopes = component.texts("scopes")
        if (scopes.length > 0) body["scopes"] = [...scopes]
        for (const [key, value] of Object.entries(mapping("refresh_request_body"))) {
          if (!Object.hasOwn(body, key)) body[key] = value
        }
      } else body["assertion"] = signed
      const asQuery = component.isSet("send_refresh_request_as_query_params") && signed === undefined
      return prepare("POST", url, headers, asQuery ? body : {}, asQuery ? {} : body, {})
    })
  })

  const ask = Effect.fnUntraced(function* () {
    const began = yield* Clock.currentTimeMillis
    for (let tries = 1; ; tries++) {
      const answer = yield* run.http.send(yield* request(), { read: 60_000 })
      if (isAnswer(answer) && answer.ok) {
        const { json } = answer
        if (json !== undefined) return json
        return yield* failure("OAuth access token refresh request failed: the answer is not JSON")
      }
      const isPassing = !isAnswer(answer) || answer.status === 429 || answer.status >= 500
      const now = yield* Clock.currentTimeMillis
      if (isPassing && tries < mostTries && now - began < longestTime) {
        yield* Effect.sleep(1000 * 2 ** (tries - 1))
        continue
      }
      if (!isAnswer(answer)) {
        return yield* failure("OAuth access token refresh request failed due to a network error.", "transient_error")
      }
      const body = dictOf(answer.json)
      const reason = body === undefined ? undefined : dictGet(body, refused.key)
      if (refused.codes.includes(answer.status) && reason !== undefined && refused.values.includes(str(reason))) {
        return yield* failure(
          "Refresh token was rejected by the OAuth provider (invalid, expired, or already used). Re-authenticate this source's credentials in its connection settings.",
          "config_error"
        )
      }
      return yield* failure(
        `OAuth access token refresh request failed: the token endpoint answered ${answer.status}`,
        answer.status < 500 && answer.status !== 429 ? "config_error" : "transient_error"
      )
    }
  })

  const renew = Effect.fnUntraced(function* () {
    const answer = yield* ask()
    const now = yield* Clock.currentTimeMillis
    yield* pure(() => {
      const made = find(answer, name("access_token_name", "access_token"))
      if (made === undefined || made === null || made === "") {
        throw failure(
          `Token refresh API response was missing access token ${name("access_token_name", "access_token")}`
        )
      }
      const lasts = find(answer, name("expires_in_name", "expires_in"))
      const end =
        lasts === undefined || lasts === null
          ? now + 3_600_000
          : expiryFormat === undefined
            ? now + Math.trunc(Number(str(lasts))) * 1000
            : millisOfExpiry(str(lasts))
      if (updater === undefined) {
        token = str(made)
        expiresAt = Number.isNaN(end) ? now + 3_600_000 : end
        return
      }
      keep("access_token_config_path", "access_token", str(made))
      const next = find(answer, str(evaluate(updater.optionalText("refresh_token_name") ?? "refresh_token")))
      if (next !== undefined && next !== null) keep("refresh_token_config_path", "refresh_token", str(next))
      keep("token_expiry_date_config_path", "token_expiry_date", isoText(end))
    })
    if (updater !== undefined) yield* run.emit(control(config, now))
  })
  const millisOfExpiry = (text: string): number => {
    try {
      return millisOfDate(text)
    } catch {
      return millisOf(text, expiryFormat)
    }
  }

  const access = Effect.gen(function* () {
    if (component.get("token_refresh_endpoint") === undefined && token !== undefined) return token
    if (isExpired(yield* Clock.currentTimeMillis)) {
      yield* mutex.withPermit(
        Effect.gen(function* () {
          if (isExpired(yield* Clock.currentTimeMillis)) yield* renew()
        })
      )
    }
    return current() ?? (yield* failure("access_token is not set", "config_error"))
  })

  return {
    credentials: Effect.flatMap(access, (value) =>
      pure(() => ({ ...noCredentials, headers: { ...mapping("request_headers"), [headerName]: headerOf(value) } }))
    ),
    refresh: (sent) =>
      mutex.withPermit(
        Effect.suspend(() => (sent !== undefined && sent !== headerOf(current() ?? "") ? Effect.void : renew()))
      )
  }
}
