import { OAuth2 } from "@tributary/domain"
import { type Authorization, Tokens } from "@tributary/oauth"
import { type AuthServer, type AuthServerOptions, startAuthServer } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer, Schema, type Scope } from "effect"

const decode = Schema.decodeUnknownSync(OAuth2)

/** Settings as a file would hold them. */
export const oauth2 = (settings: Record<string, unknown> = {}): OAuth2 =>
  decode({
    oauth2: "client_credentials",
    client_id: "client",
    ...(settings["client_auth"] === "none" ? {} : { client_secret: "${env:CLIENT_SECRET}" }),
    ...settings
  })

export const authorization = (settings: Record<string, unknown> = {}, id = "shop"): Authorization => ({
  id,
  oauth2: oauth2(settings),
  base: "/"
})

/** A running server that stops with the scope. */
export const authServer = (options?: AuthServerOptions): Effect.Effect<AuthServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startAuthServer(options)),
    (server) => Effect.promise(() => server.stop())
  )

export const secrets = (environment: Record<string, string> = { CLIENT_SECRET: "client-secret" }) =>
  Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, environment)))

/** Everything `Tokens` needs, over real HTTP, with tokens in memory. */
export const live = (environment?: Record<string, string>, settings: Record<string, string> = {}) =>
  Tokens.layer.pipe(
    Layer.provide([secrets(environment), Leases.layerMemory, Budgets.layer]),
    Layer.provideMerge(TokenStore.layerMemory),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(settings)))
  )

/** Waits until a condition holds; the test's own time limit bounds it. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))))
