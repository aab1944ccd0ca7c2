import { Secrets } from "@tributary/secrets"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Config, Context, Duration, Effect, Layer, RcMap, type Scope } from "effect"
import { makeCustodies } from "./Custody.ts"
import { grantOf } from "./Grant.ts"
import { policyOf, requestTime } from "./journal/RefreshPolicy.ts"
import { makeManagedToken } from "./ManagedToken.ts"
import { settingsOf } from "./Settings.ts"
import { makeTokenEndpoint } from "./TokenEndpoint.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization, TokenManager } from "./TokenManager.ts"
import { TokenTransport } from "./TokenTransport.ts"

/**
 * Part of the drain deadline that tokens which are not stored yet are waited for at the end of the process. The rest is for what
 * ended before, and for telling the loss: at the deadline the process ends without a word.
 */
const drainPart = 0.8

/** Supplies connectors with access tokens. */
export class Tokens extends Context.Service<
  Tokens,
  {
    /**
     * The manager of an authorization. Managers of equal authorizations are one and live as long as the longest of their
     * scopes. Makes no request: tokens that are still valid in the vault are used, so a restart costs none. Fails when
     * the configuration or the vault's key is wrong. Refresh tokens that were received outlive the manager: this layer keeps
     * them until they are stored, and its end waits for that for most of `TRIBUTARY_DRAIN_DEADLINE`.
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
        allowHttp: Config.Boolean("TRIBUTARY_OAUTH_ALLOW_HTTP").pipe(Config.withDefault(false)),
        drain: Config.Duration("TRIBUTARY_DRAIN_DEADLINE").pipe(Config.withDefault(Duration.seconds(20)))
      })
      // Only these: the context also holds the scope of this layer, and managers live in a scope of their own.
      const dependencies = Context.pick(
        Secrets,
        TokenStore,
        Leases,
        Budgets,
        TokenTransport
      )(yield* Effect.context<Secrets | TokenStore | Leases | Budgets | TokenTransport>())
      // Before the managers, so that it ends after them.
      const custodyOf = yield* makeCustodies(Duration.times(limits.drain, drainPart))

      const make = Effect.fnUntraced(function* (authorization: Authorization) {
        const settings = yield* settingsOf(authorization, limits.allowHttp)
        const grant = grantOf(settings, authorization, yield* Secrets)
        const policy = policyOf(authorization.lifecycle)
        const timeout = Duration.millis(requestTime(policy, Duration.toMillis(limits.timeout)))
        const endpoint = yield* makeTokenEndpoint(authorization, settings, { ...limits, timeout })
        const custody = custodyOf(authorization.id)
        return yield* makeManagedToken({ authorization, settings, grant, endpoint, custody, policy, timeout })
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
