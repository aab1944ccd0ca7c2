import { Budgets, Leases, Secrets, TokenStore } from "@tributary/vault"
import { Config, Context, Duration, Effect, Layer, RcMap, type Scope, Semaphore } from "effect"
import { grantOf } from "./Grant.ts"
import { makeManagedToken } from "./ManagedToken.ts"
import { settingsOf } from "./Settings.ts"
import { makeTokenEndpoint } from "./TokenEndpoint.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization, TokenManager } from "./TokenManager.ts"
import { TokenTransport } from "./TokenTransport.ts"

/** Supplies connectors with access tokens. */
export class Tokens extends Context.Service<
  Tokens,
  {
    /**
     * The manager of an authorization. Managers of equal authorizations are one and live as long as the longest of their
     * scopes. Makes no request: tokens that are still valid in the vault are used, so a restart costs none. Fails when
     * the configuration or the vault's key is wrong.
     */
    readonly manager: (authorization: Authorization) => Effect.Effect<TokenManager, TokenError, Scope.Scope>
  }
>()("@tributary/oauth/Tokens") {
  /** Needs something to carry its requests. */
  static readonly layerNoDeps = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const limits = yield* Config.all({
        timeout: Config.Duration("TRIBUTARY_OAUTH_TIMEOUT").pipe(Config.withDefault(Duration.seconds(20))),
        allowHttp: Config.Boolean("TRIBUTARY_OAUTH_ALLOW_HTTP").pipe(Config.withDefault(false))
      })
      // Only these: the context also holds the scope of this layer, and managers live in a scope of their own.
      const dependencies = Context.pick(
        Secrets,
        TokenStore,
        Leases,
        Budgets,
        TokenTransport
      )(yield* Effect.context<Secrets | TokenStore | Leases | Budgets | TokenTransport>())
      const locks = new Map<string, Semaphore.Semaphore>()

      const make = Effect.fnUntraced(function* (authorization: Authorization) {
        const settings = yield* settingsOf(authorization, limits.allowHttp)
        const grant = grantOf(settings, authorization, yield* Secrets)
        const endpoint = yield* makeTokenEndpoint(authorization, settings, limits)
        const lock = locks.get(authorization.id) ?? Semaphore.makeUnsafe(1)
        locks.set(authorization.id, lock)
        return yield* makeManagedToken({ authorization, settings, grant, endpoint, lock, timeout: limits.timeout })
      })

      const managers = yield* RcMap.make({
        lookup: (authorization: Authorization) => Effect.provideContext(make(authorization), dependencies)
      })
      return Tokens.of({
        manager: (authorization) =>
          // A failure is not kept: what it complains about may be put right while the caller's scope is open.
          Effect.tapError(RcMap.get(managers, authorization), () => RcMap.invalidate(managers, authorization))
      })
    })
  )

  /** Over HTTP. */
  static readonly layer = Tokens.layerNoDeps.pipe(Layer.provide(TokenTransport.layer))
}
