import { Secrets } from "@tributary/secrets"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Config, Context, Duration, Effect, Layer, Option, RcMap, type Scope } from "effect"
import { makeAcquisition } from "./Acquisition.ts"
import { withLogin } from "./consent/LoginEndpoint.ts"
import { makeCustodies } from "./Custody.ts"
import { endpointRate } from "./EndpointRate.ts"
import { grantOf } from "./Grant.ts"
import { policyOf, requestTime } from "./journal/RefreshPolicy.ts"
import { makeManagedToken } from "./ManagedToken.ts"
import { makeSharing } from "./Sharing.ts"
import { makePassing } from "./Passing.ts"
import type { EndpointLimits, LinkMemory } from "./ServerLink.ts"
import { settingsOf } from "./Settings.ts"
import { makeTokenEndpoint } from "./TokenEndpoint.ts"
import { makeTimetable } from "./Timetable.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization, TokenManager } from "./TokenManager.ts"
import { TokenTransport } from "./TokenTransport.ts"
import { makeTokenWatches } from "./watch/TokenWatch.ts"

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
     * them until they are stored, and its end waits for that for most of `TRIBUTARY_DRAIN_DEADLINE`. `connector` is who uses it,
     * for metrics, audit and alerts; if it is left out, the one that the authorization is named after.
     */
    readonly manager: (
      authorization: Authorization,
      connector?: string
    ) => Effect.Effect<TokenManager, TokenError, Scope.Scope>
  }
>()("@tributary/oauth/Tokens") {
  /** Needs something to carry its requests. */
  static readonly layerNoDeps = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const limits = yield* Config.all({
        timeout: Config.Duration("TRIBUTARY_OAUTH_TIMEOUT").pipe(Config.withDefault(Duration.seconds(20))),
        allowHttp: Config.Boolean("TRIBUTARY_OAUTH_ALLOW_HTTP").pipe(Config.withDefault(false)),
        rate: endpointRate,
        drain: Config.Duration("TRIBUTARY_DRAIN_DEADLINE").pipe(Config.withDefault(Duration.seconds(20)))
      })
      const rate = Option.getOrUndefined(limits.rate)
      // Only these: the context also holds the scope of this layer, and managers live in a scope of their own.
      const dependencies = Context.pick(
        Secrets,
        TokenStore,
        Leases,
        Budgets,
        TokenTransport
      )(yield* Effect.context<Secrets | TokenStore | Leases | Budgets | TokenTransport>())
      // Before the managers, so that it ends after them.
      const custodyOf = yield* makeCustodies(Duration.times(limits.drain, drainPart), yield* makeTokenWatches)

      const timetable = yield* makeTimetable
      const share = makeSharing()

      const make = Effect.fnUntraced(function* (authorization: Authorization) {
        const settings = yield* settingsOf(authorization, limits.allowHttp)
        yield* share(authorization, settings.sharing)
        const secrets = yield* Secrets
        const { isRepeatable } = grantOf(settings, authorization, secrets)
        const policy = policyOf(settings.lifecycle)
        const timeout = Duration.millis(requestTime(policy, Duration.toMillis(limits.timeout)))
        const custody = custodyOf(authorization.id)
        const memory: LinkMemory = { current: undefined, discovered: undefined }
        const acquisition = makePassing(
          Effect.gen(function* () {
            const own: EndpointLimits = {
              allowHttp: limits.allowHttp,
              timeout,
              ...(rate === undefined ? {} : { rate }),
              memory,
              watch: custody.watch
            }
            const endpoint = yield* withLogin(
              authorization,
              settings,
              own,
              yield* makeTokenEndpoint(authorization, settings, own)
            )
            const grant = grantOf(settings, authorization, secrets)
            return yield* makeAcquisition({
              id: authorization.id,
              settings,
              grant,
              endpoint,
              custody,
              policy,
              timeout
            })
          }).pipe(Effect.provideContext(dependencies)),
          // A proof's nonce is known to its maker only.
          ({ mayGo }) => authorization.oauth2.dpop === undefined && mayGo()
        )
        return yield* makeManagedToken({ authorization, isRepeatable, acquisition, custody, timetable })
      })

      const managers = yield* RcMap.make({
        lookup: (authorization: Authorization) => Effect.provideContext(make(authorization), dependencies)
      })
      return Tokens.of({
        manager: (authorization, connector = authorization.id) =>
          // A failure is not kept: what it complains about may be put right while the caller's scope is open.
          Effect.tapError(RcMap.get(managers, authorization), () => RcMap.invalidate(managers, authorization)).pipe(
            Effect.tap(custodyOf(authorization.id).watch.used(connector))
          )
      })
    })
  )

  /** Over HTTP. */
  static readonly layer = Tokens.layerNoDeps.pipe(Layer.provide(TokenTransport.layer))
}
