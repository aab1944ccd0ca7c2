import type { Secrets } from "@tributary/secrets"
import type { StoredTokens } from "@tributary/vault"
import { Effect, Redacted } from "effect"
import { grantAssertion, type ServerNames } from "./ClientAuthentication.ts"
import { consentedGrant } from "./consent/consentedGrant.ts"
import { fingerprint } from "./fingerprint.ts"
import { grantTypeOf, grantTypes } from "./grantType.ts"
import { lifeOf } from "./Outlook.ts"
import type { RefreshTokenLife } from "./profile/lifecycle.ts"
import { fromSecretError, misconfigured, secretOf, type Settings } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

/** One token request, ready to be sent, and what is to be kept beside its answer. */
export interface GrantRequest {
  /** The `grant_type` parameter. */
  readonly grantType: string
  readonly parameters: Redacted.Redacted<Readonly<Record<string, string>>>
  /** Further parameters, made for a server once its names are known, and anew for each request that is sent. */
  readonly late?: (
    server: ServerNames
  ) => Effect.Effect<Redacted.Redacted<Readonly<Record<string, string>>>, TokenError>
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** Values of parameters that are secret beside those that always are. */
  readonly secrets: Redacted.Redacted<ReadonlyArray<string>>
  /**
   * Fingerprint of a credential that the request may use up (a refresh token that the server rotates); `undefined` when
   * the request can be repeated at will. A request that spends something is never interrupted once it was sent, is not
   * repeated after it was refused, and is what the intent journal has to make durable first.
   */
  readonly spends: string | undefined
  /** The refresh token that stays in use if the answer brings no new one. */
  readonly refreshToken: Redacted.Redacted<string> | undefined
  /** What is known of that refresh token's life. */
  readonly refreshLife?: RefreshTokenLife | undefined
  readonly seed: string | undefined
}

/**
 * A way to get tokens (RFC 6749, section 1.3). A grant only says what to send; the manager sends it, keeps the answer and
 * decides when. Other grants (device code, JWT bearer, token exchange) implement this and nothing else.
 */
export interface Grant {
  /**
   * Whether its requests can be repeated at will, even by two processes at once. If not they spend something (see
   * `GrantRequest.spends`), and are sent by one process at a time.
   */
  readonly isRepeatable: boolean
  /** Fingerprint of the credential that is configured now; access tokens of another one are not used. */
  readonly seed: (stored: StoredTokens | undefined) => Effect.Effect<string | undefined, TokenError>
  /** The next request, given what is stored. Called anew for each attempt. */
  readonly prepare: (stored: StoredTokens | undefined) => Effect.Effect<GrantRequest, TokenError>
}

const standard = ({ audience, resource, scope }: Settings): Record<string, string> => ({
  ...(scope === "" ? {} : { scope }),
  ...(audience === undefined ? {} : { audience }),
  ...(resource === undefined ? {} : { resource })
})

/** A type of tokens in full (RFC 8693, section 3). */
const tokenType = (name: string) => (name.includes(":") ? name : `urn:ietf:params:oauth:token-type:${name}`)

/** The grant that an authorization is configured with. */
export const grantOf = (settings: Settings, authorization: Authorization, secrets: Secrets["Service"]): Grant => {
  const { base, id, oauth2 } = authorization

  /** Templates with their references replaced, and those values of them that hold one. */
  const resolved = Effect.fnUntraced(function* (templates: Readonly<Record<string, string>>) {
    const values: Record<string, string> = {}
    const hidden: Array<string> = []
    for (const [name, template] of Object.entries(templates)) {
      const value = yield* Effect.mapError(secrets.text(template, base), fromSecretError(id))
      values[name] = value
      if (value !== template) hidden.push(value)
    }
    return { values, hidden }
  })

  /** What every request of a grant type has. What is configured goes before what the provider's profile adds. */
  const common = Effect.fnUntraced(function* (grantType: string) {
    const params = yield* resolved(oauth2.token_request.params)
    const headers = yield* resolved(oauth2.token_request.headers)
    return {
      parameters: { ...standard(settings), ...settings.grantParams[grantType], ...params.values },
      headers: Redacted.make({ ...settings.headers, ...headers.values }),
      hidden: [...params.hidden, ...headers.hidden]
    }
  })

  /** A grant whose requests can be repeated at will. */
  const repeatable = (
    grantType: string,
    own: Effect.Effect<
      Pick<GrantRequest, "late"> & { readonly values: Record<string, string>; readonly hidden: ReadonlyArray<string> },
      TokenError
    >,
    seed: Effect.Effect<string | undefined, TokenError> = Effect.undefined
  ): Grant => ({
    isRepeatable: true,
    seed: () => seed,
    prepare: Effect.fnUntraced(function* () {
      const { headers, hidden, parameters } = yield* common(grantType)
      const { hidden: ownHidden, late, values } = yield* own
      return {
        grantType,
        parameters: Redacted.make({ ...parameters, ...values }),
        ...(late === undefined ? {} : { late }),
        headers,
        secrets: Redacted.make([...hidden, ...ownHidden]),
        spends: undefined,
        refreshToken: undefined,
        seed: yield* seed
      }
    })
  })

  const nothing = Effect.succeed({ values: {}, hidden: [] })

  /**
   * RFC 6749, section 6. The first refresh token is the configured one; the tokens that replace it are kept in the vault
   * together with its fingerprint. As long as the configured token is the same (or cannot be read any more), the stored one
   * is used; when somebody puts another token there, that one is, and what is stored is left behind.
   */
  const refreshToken = (): Grant => {
    const reference = oauth2.refresh_token ?? ""
    const seedOf = (token: Redacted.Redacted<string> | undefined) =>
      token === undefined ? undefined : fingerprint(Redacted.value(token))
    const configured = (
      stored: StoredTokens | undefined
    ): Effect.Effect<Redacted.Redacted<string> | undefined, TokenError> => {
      const read = secretOf(secrets, authorization, reference)
      if (stored?.refreshToken === undefined) return read
      // Once a chain has begun, the file it began with may be deleted.
      const found = Effect.orElseSucceed(read, () => undefined)
      // What is known of a store of secrets may be the older of the two: a first token that was used and replaced long ago. As long
      // as the store does not say, it is as one that cannot be read: to send it could end the grant.
      return Effect.filterOrElse(
        found,
        (token) => token === undefined || seedOf(token) === stored.seed,
        () =>
          Effect.flatMap(secrets.renew(reference, { isForced: true }), (renewal) =>
            renewal === "unknown" ? Effect.undefined : found
          )
      )
    }
    return {
      isRepeatable: false,
      seed: (stored) => Effect.map(configured(stored), (token) => seedOf(token) ?? stored?.seed),
      prepare: Effect.fnUntraced(function* (stored) {
        const first = yield* configured(stored)
        const { headers, hidden, parameters } = yield* common(grantTypes.refresh_token)
        const seed = seedOf(first) ?? stored?.seed
        const kept = stored !== undefined && stored.seed === seed ? stored.refreshToken : undefined
        const token = kept ?? first ?? Redacted.make("")
        return {
          grantType: grantTypes.refresh_token,
          parameters: Redacted.make({ ...parameters, refresh_token: Redacted.value(token) }),
          headers,
          secrets: Redacted.make(hidden),
          spends: fingerprint(Redacted.value(token)),
          refreshToken: token,
          refreshLife: stored === undefined || kept === undefined ? undefined : lifeOf(stored),
          seed
        }
      })
    }
  }

  /** RFC 7523, section 2.1. Each request has an assertion of its own. */
  const jwtBearer = () =>
    repeatable(
      grantTypes.jwt_bearer,
      Effect.succeed({
        values: {},
        hidden: [],
        late: (server: ServerNames) =>
          Effect.map(grantAssertion(secrets, authorization, settings, server), (assertion) =>
            Redacted.make({ assertion })
          )
      })
    )

  /** RFC 8693. Tokens of another subject token are not used: it may stand for somebody else. */
  const tokenExchange = () => {
    const { exchange } = oauth2
    if (exchange === undefined) {
      return repeatable(
        grantTypes.token_exchange,
        Effect.fail(misconfigured(id, "the grant token_exchange needs a token.", "Give `exchange`."))
      )
    }
    const subject = Effect.map(secretOf(secrets, authorization, exchange.subject_token), (token) =>
      Redacted.value(token)
    )
    const own = Effect.gen(function* () {
      const { actor_token, requested_token_type } = exchange
      const values: Record<string, string> = {
        subject_token: yield* subject,
        subject_token_type: tokenType(exchange.subject_token_type)
      }
      if (actor_token !== undefined) {
        values["actor_token"] = Redacted.value(yield* secretOf(secrets, authorization, actor_token))
        values["actor_token_type"] = tokenType(exchange.actor_token_type)
      }
      if (requested_token_type !== undefined) values["requested_token_type"] = tokenType(requested_token_type)
      return { values, hidden: [] }
    })
    return repeatable(
      grantTypes.token_exchange,
      own,
      Effect.map(subject, (token) => fingerprint(token))
    )
  }

  switch (oauth2.oauth2) {
    case "client_credentials":
      return repeatable(grantTypes.client_credentials, nothing)
    case "refresh_token":
      return refreshToken()
    case "jwt_bearer":
      return jwtBearer()
    case "token_exchange":
      return tokenExchange()
    case "custom":
      return repeatable(grantTypeOf(oauth2), resolved(oauth2.custom?.params ?? {}))
    case "login":
      // The endpoint logs in, and adds the session token where it is exchanged.
      return repeatable(grantTypeOf(oauth2), nothing)
    case "authorization_code":
    case "device_code":
      return consentedGrant(settings, authorization, common(grantTypes.refresh_token))
  }
}
