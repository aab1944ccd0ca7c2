import { Secrets } from "@tributary/secrets"
import { Budgets, Leases, type StoredTokens, TokenStore, type VaultError } from "@tributary/vault"
import { Config, Context, Duration, Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { fingerprint } from "../fingerprint.ts"
import { grantOf, type GrantRequest } from "../Grant.ts"
import { policyOf, requestTime } from "../journal/RefreshPolicy.ts"
import { isGivenUp } from "../journal/transitions.ts"
import { nextLife } from "../profile/lifecycle.ts"
import { makeServerCalls } from "../ServerCalls.ts"
import { makeServerLink } from "../ServerLink.ts"
import { isAcceptable, settingsOf } from "../Settings.ts"
import { makeTokenEndpoint } from "../TokenEndpoint.ts"
import type { TokenError } from "../TokenError.ts"
import type { Authorization } from "../TokenManager.ts"
import type { TokenBody } from "../TokenResponse.ts"
import { TokenTransport } from "../TokenTransport.ts"
import { adoptRefreshToken } from "./adoptRefreshToken.ts"
import { consentSeed } from "./consentedGrant.ts"
import { ConsentError } from "./ConsentError.ts"
import { consentSettingsOf } from "./consentSettings.ts"
import { type DevicePrompt, makeDeviceFlow } from "./DeviceFlow.ts"
import { type Identity, makeIdTokens } from "./IdToken.ts"
import { codeOf } from "./redirect.ts"
import { storeGrant } from "./storeGrant.ts"

/** A request that a person was sent to the server with. Whoever gets the answer needs it, perhaps in another process. */
export interface PendingConsent {
  /** What the person's browser opens. */
  readonly url: string
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string | undefined
  readonly verifier: Redacted.Redacted<string>
}

/** What a person granted, and what is stored of it. */
export interface Granted {
  readonly asked: ReadonlyArray<string>
  /** Scopes as the server named them; those that were asked for, if it named none (RFC 6749, section 5.1). */
  readonly granted: ReadonlyArray<string>
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined
  /** Without one, a person has to consent again when the access token ends. */
  readonly hasRefreshToken: boolean
  /** There is none, and the tokens before these had one, which was not known to be dead. */
  readonly isRefreshTokenLost: boolean
  /** Of the validated ID token; `undefined` if none was asked for. */
  readonly identity: Identity | undefined
}

type Failure = ConsentError | TokenError | VaultError

/** The ways by which a person gives an authorization its first tokens. What they give is stored before it is told. */
export interface Consent {
  /** Where the server sends the browser; without a port, any port of this machine will do. */
  readonly redirectUri: URL
  /** Makes the request for the code grant. `redirectUri`: where the browser will really be awaited. */
  readonly begin: (redirectUri: URL) => Effect.Effect<PendingConsent, ConsentError | TokenError>
  /** Judges the parameters of a redirect and exchanges the code in them. */
  readonly finish: (pending: PendingConsent, parameters: URLSearchParams) => Effect.Effect<Granted, Failure>
  /** Exchanges a code that was taken out of its redirect: that it belongs to this request, PKCE and the nonce alone prove. */
  readonly finishWithCode: (pending: PendingConsent, code: Redacted.Redacted<string>) => Effect.Effect<Granted, Failure>
  /** Asks for the codes of a device (RFC 8628). */
  readonly beginDevice: Effect.Effect<DevicePrompt, ConsentError | TokenError>
  /** Waits until the person has entered the code elsewhere; ends with the code's life. */
  readonly awaitDevice: (prompt: DevicePrompt) => Effect.Effect<Granted, Failure>
  /** Refreshes with a refresh token that exists already, and stores what comes of it. If it is refused, what is stored stays. */
  readonly adopt: (refreshToken: Redacted.Redacted<string>) => Effect.Effect<Granted, Failure>
}

/** The server that a person is sent to. `isDiscovered`: by its own metadata, which its answers can be judged by. */
interface Described {
  readonly as: oauth.AuthorizationServer
  readonly isDiscovered: boolean
}

/** Scopes of a parameter; some providers have commas between them. */
const words = (text: string) => text.split(/[\s,]+/u).filter((word) => word !== "")

/** Makes the ways to consent to an authorization. Asks nobody. */
export const makeConsent = Effect.fnUntraced(function* (
  authorization: Authorization
): Effect.fn.Return<
  Consent,
  TokenError | Config.ConfigError,
  Secrets | TokenStore | Leases | Budgets | TokenTransport
> {
  const limits = yield* Config.all({
    timeout: Config.Duration("TRIBUTARY_OAUTH_TIMEOUT").pipe(Config.withDefault(Duration.seconds(20))),
    allowHttp: Config.Boolean("TRIBUTARY_OAUTH_ALLOW_HTTP").pipe(Config.withDefault(false))
  })
  const { id, oauth2 } = authorization
  // Only these: what is there now also holds a scope, and each consent has one of its own.
  const context = Context.pick(
    Secrets,
    TokenStore,
    Leases,
    Budgets,
    TokenTransport
  )(yield* Effect.context<Secrets | TokenStore | Leases | Budgets | TokenTransport>())
  const secrets = yield* Secrets
  const store = yield* TokenStore
  const settings = yield* settingsOf(authorization, limits.allowHttp)
  const own = yield* consentSettingsOf(authorization, limits.allowHttp)
  const link = yield* makeServerLink(authorization, settings, limits)
  const calls = yield* makeServerCalls(authorization)
  const endpoint = yield* makeTokenEndpoint(authorization, settings, limits)
  const idTokens = makeIdTokens({
    client: link.client,
    send: (address, request) =>
      isAcceptable(address, limits.allowHttp)
        ? Effect.mapError(
            link.send(address, request),
            ({ error }) => `the server's keys cannot be read: ${error.problem}`
          )
        : Effect.fail("the server's metadata names keys (jwks_uri) without https")
  })
  const asked = words(settings.consentScope)
  const isOpenId = asked.includes("openid")

  const failure = (reason: ConsentError["reason"], problem: string, advice: string) =>
    new ConsentError({ authorization: id, reason, problem, advice })

  const authorizationUrl = own.authorizationUrl ?? settings.authorizationUrl
  const deviceUrl = own.deviceAuthorizationUrl ?? settings.deviceAuthorizationUrl
  const server = Effect.map(link.described(), ({ as, isDiscovered }): Described => ({
    as: {
      ...as,
      ...(authorizationUrl === undefined ? {} : { authorization_endpoint: authorizationUrl.href }),
      ...(deviceUrl === undefined ? {} : { device_authorization_endpoint: deviceUrl.href })
    },
    isDiscovered
  }))

  /** What token requests of any kind have: the configured parameters and headers, but for the scope, which was asked before. */
  const requestFor = Effect.fnUntraced(function* (
    grantType: string,
    values: Readonly<Record<string, string>>
  ): Effect.fn.Return<GrantRequest, TokenError> {
    const plain = {
      ...authorization,
      oauth2: { ...oauth2, oauth2: "custom" as const, custom: { grant_type: grantType, params: {} } }
    }
    const base = yield* grantOf(settings, plain, secrets).prepare(undefined)
    const { scope: _asked, ...parameters } = Redacted.value(base.parameters)
    return {
      ...base,
      grantType,
      parameters: Redacted.make({ ...parameters, ...values }),
      secrets: Redacted.make([
        ...Redacted.value(base.secrets),
        ...Object.entries(values).flatMap(([name, value]) => (name === "redirect_uri" ? [] : [value]))
      ])
    }
  })

  /** Whether a refresh token of the same server, client and scopes is stored that may still be used. */
  const hasRefreshToken = Effect.map(
    store.read(id),
    ({ entry, tokens }) =>
      tokens?.refreshToken !== undefined &&
      tokens.seed === consentSeed(settings) &&
      !isGivenUp(entry, fingerprint(Redacted.value(tokens.refreshToken)))
  )

  const tokensOf = (body: TokenBody, obtainedAt: number): Omit<StoredTokens, "generation"> => {
    const { access_token, expires_in, id_token, refresh_token, refresh_token_expires_in, scope } = body
    // Of these two the server speaks by what it sends, and may leave them out where it names the API's scopes alone.
    const meant = [
      ...(id_token === undefined ? [] : ["openid"]),
      ...(refresh_token === undefined ? [] : ["offline_access"])
    ].filter((word) => asked.includes(word))
    return {
      accessToken: Redacted.make(access_token),
      tokenType: "Bearer",
      expiresAt: expires_in === undefined ? undefined : obtainedAt + expires_in * 1000,
      obtainedAt,
      refreshToken: refresh_token === undefined ? undefined : Redacted.make(refresh_token),
      scopes: scope === undefined ? asked : [...new Set([...words(scope), ...meant])],
      settings: settings.fingerprint,
      seed: consentSeed(settings),
      ...(refresh_token === undefined
        ? {}
        : {
            refreshLife: nextLife(undefined, {
              obtainedAt,
              lifetime: refresh_token_expires_in,
              isReplaced: true
            })
          })
    }
  }

  const grantedBy = (
    { expiresAt, refreshToken, scopes }: Omit<StoredTokens, "generation">,
    isRefreshTokenLost: boolean,
    identity: Identity | undefined
  ): Granted => ({
    asked,
    granted: scopes,
    expiresAt,
    hasRefreshToken: refreshToken !== undefined,
    isRefreshTokenLost,
    identity
  })

  /** Judges an answer with tokens, and stores it. */
  const keep = Effect.fnUntraced(function* (
    { as, isDiscovered }: Described,
    body: Redacted.Redacted<TokenBody>,
    obtainedAt: number,
    nonce: string | undefined
  ) {
    const { id_token } = Redacted.value(body)
    // Without metadata there is neither an issuer nor keys to judge one by, and then nothing is made of it.
    const isJudged = isOpenId && isDiscovered
    if (isJudged && id_token === undefined) {
      return yield* failure(
        "id-token",
        "the server sent no ID token, though the scope openid was asked for.",
        "Its tokens were not stored. Grant openid, too; or remove it from `scopes`, if this server has no OIDC."
      )
    }
    const identity =
      !isJudged || id_token === undefined
        ? undefined
        : yield* idTokens
            .validate(as, Redacted.make(id_token), nonce)
            .pipe(
              Effect.mapError((problem) =>
                failure(
                  "id-token",
                  `the server's ID token is not valid: ${problem}.`,
                  "Its tokens were not stored. Check `issuer`, client_id and the clocks."
                )
              )
            )
    const tokens = tokensOf(Redacted.value(body), obtainedAt)
    const isRefreshTokenLost = tokens.refreshToken === undefined && (yield* hasRefreshToken)
    // In place of what is there: the newest consent is the one that a person means.
    yield* Effect.provideService(storeGrant(id, tokens), TokenStore, store)
    return grantedBy(tokens, isRefreshTokenLost, identity)
  })

  const exchangeCode = Effect.fnUntraced(function* (
    at: Described,
    pending: PendingConsent,
    code: Redacted.Redacted<string>
  ) {
    const request = yield* requestFor("authorization_code", {
      code: Redacted.value(code),
      redirect_uri: pending.redirectUri,
      code_verifier: Redacted.value(pending.verifier)
    })
    const { askedAt, body } = yield* endpoint
      .exchange(request)
      .pipe(
        Effect.mapError(({ code: refusal, error }) =>
          refusal === "invalid_grant"
            ? failure(
                "refused",
                `the server refuses the code: ${error.problem}`,
                "A code is good once, for a short time, and for the request that it was made for. Run the command again."
              )
            : error
        )
      )
    return yield* keep(at, body, askedAt, pending.nonce)
  })

  /** PKCE with S256 (RFC 7636), unless the server is known to have another kind alone. */
  const pkce = Effect.fnUntraced(function* (as: oauth.AuthorizationServer) {
    // Servers have been seen to name the only one as a text.
    const methods =
      as.code_challenge_methods_supported === undefined ? undefined : [as.code_challenge_methods_supported].flat()
    if (methods !== undefined && !methods.includes("S256")) {
      return yield* failure(
        "unsupported",
        `the server offers ${methods.join(", ") || "no method"} for PKCE, and S256 is needed: with plain, whoever sees the request can use the code.`,
        "Let the server allow S256 (RFC 9700, section 2.1.1)."
      )
    }
    const verifier = oauth.generateRandomCodeVerifier()
    const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier))
    return { verifier: Redacted.make(verifier), challenge }
  })

  const begin = Effect.fn("Consent.begin")(function* (redirectUri: URL) {
    const { as } = yield* server
    const at = settings.issuer ?? settings.tokenUrl ?? new URL(as.issuer)
    const address = as.authorization_endpoint
    if (address === undefined || !URL.canParse(address) || !isAcceptable(new URL(address), limits.allowHttp)) {
      return yield* link.failure(at, {
        failureClass: "misconfigured",
        problem:
          address === undefined
            ? "its metadata names no authorization endpoint."
            : "its metadata names an authorization endpoint without https.",
        advice: "Give `authorization_url`, or use the grant device_code."
      })
    }
    const { challenge, verifier } = yield* pkce(as)
    const state = oauth.generateRandomState()
    const nonce = isOpenId ? oauth.generateRandomNonce() : undefined
    const parameters = {
      ...settings.authorizationParams,
      ...own.params,
      response_type: "code",
      client_id: settings.clientId,
      redirect_uri: redirectUri.href,
      ...(settings.consentScope === "" ? {} : { scope: settings.consentScope }),
      ...(settings.audience === undefined ? {} : { audience: settings.audience }),
      ...(settings.resource === undefined ? {} : { resource: settings.resource }),
      state,
      ...(nonce === undefined ? {} : { nonce }),
      code_challenge: challenge,
      code_challenge_method: "S256"
    }
    const url = new URL(address)
    const isPushed = as.pushed_authorization_request_endpoint !== undefined
    const shown = isPushed
      ? { client_id: settings.clientId, request_uri: (yield* calls.push(parameters)).requestUri }
      : parameters
    for (const [name, value] of Object.entries(shown)) {
      url.searchParams.set(name === "client_id" ? settings.clientIdParam : name, value)
    }
    return { url: url.href, redirectUri: redirectUri.href, state, nonce, verifier } satisfies PendingConsent
  })

  const finish = Effect.fn("Consent.finish")(function* (pending: PendingConsent, given: URLSearchParams) {
    const described = yield* server
    const { as, isDiscovered } = described
    const parameters = codeOf(given, { as, authorization: id, isDiscovered, state: pending.state })
    if (parameters instanceof ConsentError) return yield* parameters
    const code = parameters.get("code")
    if (code === null || code === "") {
      return yield* failure("input", "the redirect has neither a code nor an error.", "Check `authorization_url`.")
    }
    return yield* exchangeCode(described, pending, Redacted.make(code))
  })

  const device = makeDeviceFlow({
    id,
    settings,
    link,
    server: Effect.map(server, ({ as }) => as),
    params: own.params,
    exchange: endpoint.exchange,
    requestFor
  })

  return {
    redirectUri: own.redirectUri,
    begin,
    finish,
    finishWithCode: Effect.fn("Consent.finishWithCode")(function* (pending, code) {
      return yield* exchangeCode(yield* server, pending, code)
    }),
    beginDevice: device.begin,
    awaitDevice: Effect.fn("Consent.awaitDevice")(function* (prompt) {
      const { askedAt, body } = yield* device.wait(prompt)
      return yield* keep(yield* server, body, askedAt, undefined)
    }),
    adopt: Effect.fn("Consent.adopt")(function* (refreshToken) {
      const request = yield* requestFor("refresh_token", { refresh_token: Redacted.value(refreshToken) })
      const policy = policyOf(settings.lifecycle)
      const timeout = Duration.millis(requestTime(policy, Duration.toMillis(limits.timeout)))
      const quick = yield* Effect.provideContext(
        makeTokenEndpoint(authorization, settings, { ...limits, timeout }),
        context
      )
      const tokens = yield* adoptRefreshToken({
        id,
        refreshToken,
        policy,
        timeout,
        exchange: (mayBeSent) =>
          Effect.map(quick.exchange(request, mayBeSent), ({ askedAt, body }) =>
            // Where the server names no new one, the same goes on.
            tokensOf({ refresh_token: Redacted.value(refreshToken), ...Redacted.value(body) }, askedAt)
          )
      }).pipe(Effect.provideContext(context))
      return grantedBy(tokens, false, undefined)
    }, Effect.scoped)
  }
})
