import { type Authorization, type Consent, makeConsent, Tokens, TokenTransport } from "@tributary/oauth"
import { type ConsentServer, type ConsentServerOptions, startConsentServer } from "@tributary/testkit/consent"
import { type Conduct, Visitor } from "@tributary/testkit/visitor"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer } from "effect"
import { authorization, secrets } from "./support.ts"

export const consentServer = (options?: ConsentServerOptions) =>
  Effect.acquireRelease(
    Effect.promise(() => startConsentServer(options)),
    (server) => Effect.promise(() => server.stop())
  )

/** Everything that consent and tokens need, over real HTTP, with tokens in memory. */
export const live = (environment: Record<string, string> = {}) =>
  Tokens.layerNoDeps.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        secrets(environment),
        Leases.layerMemory,
        Budgets.layer,
        TokenStore.layerMemory,
        TokenTransport.layer,
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))
      )
    )
  )

export const scopes = ["openid", "offline_access", "api:read"]

/** A connector's `auth` for a client of the server. */
export const authOf = (
  { api, issuer }: Pick<ConsentServer, "api" | "issuer">,
  client: "app" | "web" | "other" = "web",
  settings: Record<string, unknown> = {}
): Authorization => {
  const { client_secret: secret = "${env:WEB_SECRET}", ...rest } = settings
  const isDevice = rest["oauth2"] === "device_code"
  return authorization({
    oauth2: "authorization_code",
    issuer,
    client_id: client,
    ...(client === "app" ? { client_auth: "none" } : { client_secret: secret }),
    scopes,
    resource: api,
    ...(isDevice ? {} : { authorization_params: { prompt: "consent" } }),
    ...rest
  })
}

/** What the person's browser ends up with. */
export const asked = (consent: Consent, conduct?: Conduct) =>
  Effect.gen(function* () {
    const pending = yield* consent.begin(consent.redirectUri)
    const away = yield* Effect.promise(() => new Visitor().visit(pending.url, conduct))
    return { pending, away }
  })

/** The whole way: asked, allowed, exchanged, stored. */
export const consented = (auth: Authorization, conduct?: Conduct) =>
  Effect.gen(function* () {
    const consent = yield* makeConsent(auth)
    const { away, pending } = yield* asked(consent, conduct)
    return yield* consent.finish(pending, away.searchParams)
  })

export const environmentOf = ({ clients }: ConsentServer) => ({
  WEB_SECRET: clients.web.secret ?? "",
  OTHER_SECRET: clients.other.secret ?? ""
})
