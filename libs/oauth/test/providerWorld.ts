import { OAuth2 } from "@tributary/domain"
import { Profiles, type ProviderProfiles, Tokens, TokenTransport, TransportError } from "@tributary/oauth"
import { AuthState, type AuthServerOptions, hear, type ProviderManner, say, startAuthServer } from "@tributary/testkit"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Clock, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import type { Profile } from "../src/profile/Profile.ts"
import { secrets } from "./support.ts"

/** Tells apart who encodes a secret, and how often. */
const clientSecret = "s e:c/r+e%t&x-._~"
const scopes = ["read", "write"]
const code = "planted-code"

/** What the tests ask of a profile: a grant, and how a connector file writes it. */
export interface Case {
  readonly profile: Profile
  readonly grantType: string
  readonly settings: Readonly<Record<string, unknown>>
}

const examples = (profile: Profile) =>
  Object.fromEntries(Object.entries(profile.params ?? {}).map(([name, { example }]) => [name, example]))

/** Parameters that a provider's own grant needs, as a person would write them. */
const ownGrants: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  authorization_code: { code: "${env:CODE}" },
  fb_exchange_token: { fb_exchange_token: "${env:CODE}" },
  system_access: {},
  account_credentials: {}
}

/** The grants of a profile by which a connector gets tokens without a person: each is tried. */
export const casesOf = (profile: Profile): ReadonlyArray<Case> => {
  const known = profile.grants.value
  const base = { provider: profile.id, params: examples(profile), client_id: "client", client_secret: "${env:SECRET}" }
  const cases: Array<Case> = []
  if (known.includes("refresh_token")) {
    const settings = { ...base, oauth2: "refresh_token", refresh_token: "${env:FIRST}", scopes }
    cases.push({ profile, grantType: "refresh_token", settings })
  }
  if (known.includes("client_credentials")) {
    cases.push({
      profile,
      grantType: "client_credentials",
      settings: { ...base, oauth2: "client_credentials", scopes }
    })
  }
  for (const [grantType, params] of Object.entries(ownGrants)) {
    // A code is the only way where no refresh token is issued.
    if (!known.includes(grantType) || (grantType === "authorization_code" && cases.length > 0)) continue
    if (grantType === "authorization_code" && known.includes("fb_exchange_token")) continue
    const custom = { grant_type: grantType, params }
    cases.push({ profile, grantType, settings: { ...base, oauth2: "custom", custom } })
  }
  return cases
}

const filled = (profile: Profile, text: string) => {
  const params = examples(profile)
  return text.replaceAll(/\{([a-z_]+)\}/gu, (_, name: string) => params[name] ?? "")
}

/** The address as the transport of the tests leads it to the server. */
const pathOf = (address: string) => {
  const { host, pathname } = new URL(address)
  return `/${host}${pathname}`
}

/** The provider's manner from the facts of its profile, read here and not by what is tested. */
const mannerOf = ({ grantType, profile }: Case): ProviderManner => {
  const { endpoints, request = {}, response = {} } = profile
  const dead = response.errors?.value.find(({ means }) => means === "needs-consent")
  const token = filled(profile, endpoints.token?.value ?? "")
  const own = ownGrants[grantType]
  const expires = response.expires?.value
  return {
    tokenPath: pathOf(token),
    ...(endpoints.refresh === undefined ? {} : { refreshPath: pathOf(filled(profile, endpoints.refresh.value)) }),
    body: request.body?.value ?? "form",
    clientIdParam: request.client_id_param?.value ?? "client_id",
    hasRawBasic: request.client_auth?.value === "basic_raw",
    scopeSeparator: request.scope_separator?.value ?? " ",
    params: Object.fromEntries(
      Object.entries(request.grant_params?.value ?? {}).map(([type, params]) => [
        type,
        Object.fromEntries(Object.entries(params).map(([name, value]) => [name, filled(profile, value)]))
      ])
    ),
    always: request.audience === undefined ? {} : { audience: filled(profile, request.audience.value) },
    headers: request.headers?.value ?? {},
    ...(own === undefined
      ? {}
      : { ownGrants: { [grantType]: Object.fromEntries(Object.keys(own).map((name) => [name, code])) } }),
    answer: {
      accessToken: response.access_token?.value.at(-1) ?? "access_token",
      refreshToken: response.refresh_token?.value[0] ?? "refresh_token",
      expires: expires?.at(-1) ?? "expires_in",
      expiresUnit: response.expires_unit?.value ?? "seconds",
      isSilent: profile.lifecycle?.access_token_life?.value === "unlimited",
      ...(response.refresh_token_expires === undefined
        ? {}
        : { refreshTokenExpires: [response.refresh_token_expires.value[0] ?? "", 40 * 86_400] as const })
    },
    ...(dead === undefined ? {} : { deadToken: { status: profile.id === "cybersource" ? 500 : 400, says: dead.says } })
  }
}

/** The strict server, configured as the profile says that its provider is. */
const serverOptions = (
  one: Case
): Required<Pick<AuthServerOptions, "clients" | "manner" | "rotate" | "graceMs" | "tokenLife">> & AuthServerOptions => {
  const { lifecycle = {}, request = {} } = one.profile
  const grace = lifecycle.grace?.value ?? "none"
  const life = lifecycle.access_token_life?.value
  const window = lifecycle.refresh_window?.value ?? (lifecycle.early_refresh?.value === "refused" ? 0 : undefined)
  return {
    clients: [{ id: "client", secret: clientSecret, auth: request.client_auth?.value === "post" ? "post" : "basic" }],
    manner: mannerOf(one),
    rotate: lifecycle.rotation?.value !== "never",
    graceMs: typeof grace === "number" ? grace * 1000 : grace === "none" ? 0 : 1e12,
    tokenLife: typeof life === "number" ? life : life === "unlimited" ? 1e11 : 3600,
    ...(typeof lifecycle.idle_life?.value === "number" ? { refreshTokenLife: lifecycle.idle_life.value } : {}),
    ...(window === undefined ? {} : { refreshWindow: window })
  }
}

const environment = (first: string) => ({ SECRET: clientSecret, FIRST: first, CODE: code })

const authorizationOf = ({ profile, settings }: Case) => ({
  id: profile.id,
  oauth2: Schema.decodeUnknownSync(OAuth2)(settings),
  base: "/"
})

/** Scopes of the first refresh token: those that are asked for, and those without which none would have been issued. */
const granted = ({ profile }: Case) => [...scopes, ...(profile.request?.offline_scopes?.value ?? [])]

const only = (profile: Profile): ProviderProfiles => ({
  get: () => Effect.succeed(profile),
  ids: Effect.succeed([profile.id])
})

/** A connector's manager against the strict server over HTTP. `known` is what the client knows of the provider. */
export const overHttp = Effect.fnUntraced(function* (one: Case, known: Profile = one.profile) {
  // In a test's real time no token comes near its end.
  const { refreshWindow: _, ...options } = serverOptions(one)
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => startAuthServer(options)),
    (server) => Effect.promise(server.stop)
  )
  const transport = Layer.effect(
    TokenTransport,
    Effect.map(TokenTransport, ({ send }) =>
      TokenTransport.of({
        send: (request) => {
          const { search } = new URL(request.url)
          return send({ ...request, url: `${server.url}${pathOf(request.url)}${search}` })
        }
      })
    )
  ).pipe(Layer.provide(TokenTransport.layer))
  const first = server.control.issueRefreshToken("client", granted(one))
  const context = yield* Layer.build(
    Tokens.layerNoDeps.pipe(
      Layer.provide([transport, secrets(environment(first)), Leases.layerMemory, Budgets.layer, TokenStore.layerMemory])
    )
  )
  const manager = yield* Effect.provideContext(
    Effect.flatMap(Tokens, (tokens) => tokens.manager(authorizationOf(one))),
    context
  ).pipe(Effect.provideService(Profiles, only(known)))
  return { server, manager }
})

/** The same without a socket, on the test's clock. */
export const onTestClock = Effect.fnUntraced(function* (
  one: Case,
  known: Profile = one.profile,
  changed: Partial<Pick<AuthServerOptions, "refreshWindow">> = {}
) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const options = serverOptions(one)
  const state = new AuthState({ refreshTokenLife: undefined, refreshWindow: undefined, ...options, ...changed, now })
  const server = { losesNext: false, requests: 0 }
  const transport = Layer.succeed(TokenTransport, {
    send: (request) =>
      Effect.suspend(() => {
        const { body = "", headers } = Redacted.value(request.contents)
        const query = new URL(request.url).searchParams
        const heard = hear(options.manner, { path: pathOf(request.url), query, headers, body })
        if ("status" in heard) state.stats.refused++
        const reply =
          "status" in heard
            ? heard
            : say(options.manner, state.token(heard.authorization, heard.contentType, heard.body), now())
        server.requests++
        if (server.losesNext) {
          server.losesNext = false
          return new TransportError({ reason: "unreachable", code: "ECONNRESET", isUncertain: true })
        }
        return Effect.succeed({ status: reply.status, headers: reply.headers, body: JSON.stringify(reply.body) })
      })
  })
  const first = state.issueRefreshToken("client", granted(one))
  const context = yield* Layer.build(
    Tokens.layerNoDeps.pipe(
      Layer.provide([transport, secrets(environment(first)), Leases.layerMemory, Budgets.layer, TokenStore.layerMemory])
    )
  )
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const open = Effect.provideContext(
    Effect.flatMap(Tokens, (tokens) => tokens.manager(authorizationOf(one))),
    context
  ).pipe(Effect.provideService(Profiles, only(known)))
  const manager = yield* Effect.provideService(open, Scope.Scope, scope)
  /** A manager that was never used, as after a restart. */
  const reopen = Effect.andThen(Scope.close(scope, Exit.void), open)
  return { state, server, manager, reopen, life: Math.min(options.tokenLife, 90 * 86_400) * 1000 }
})
