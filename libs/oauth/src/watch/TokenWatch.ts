import { Alerts, AuditTrail, BoundedLabels, mostLabels } from "@tributary/telemetry"
import { Clock, Config, Duration, Effect, Metric, Option, type Scope } from "effect"
import type { TokenError } from "../TokenError.ts"
import * as metrics from "./tokenMetrics.ts"

/** Takes note of what happens to the tokens of one authorization: metrics, audit trail, alerts. Nothing of it fails or waits. */
export interface TokenWatch {
  /** Measures a token request and counts its outcome. */
  readonly request: <A, E>(send: Effect.Effect<A, E>, classOf: (error: E) => string) => Effect.Effect<A, E>
  /** Tokens that this process asked for are stored. */
  readonly stored: (what: "obtained" | "refreshed" | "recovered") => Effect.Effect<void>
  /** There is a token to use, whoever asked for it. Times are milliseconds since 1970. */
  readonly held: (token: { readonly obtainedAt: number; readonly expiresAt: number | undefined }) => Effect.Effect<void>
  /** An attempt ended without a token. */
  readonly failed: (error: TokenError) => Effect.Effect<void>
  /** The API answered 401 to a token. */
  readonly rejected: Effect.Effect<void>
  /** When the refresh token ends, in milliseconds since 1970; `undefined`: never, or nobody knows. */
  readonly reconnectBy: (at: number | undefined) => Effect.Effect<void>
  /** A connector uses the authorization for as long as the scope is open. */
  readonly used: (connector: string) => Effect.Effect<void, never, Scope.Scope>
}

const settings = Config.all({
  labels: mostLabels,
  alertAfter: Config.Int("TRIBUTARY_ALERT_AFTER").pipe(Config.withDefault(5)),
  warnBefore: Config.Duration("TRIBUTARY_RECONNECT_WARNING").pipe(Config.withDefault(Duration.days(14)))
})

const day = 86_400_000

/** Makes the watches of all authorizations of this process. Without an audit trail or alerts there are only metrics. */
export const makeTokenWatches = Effect.gen(function* () {
  const { alertAfter, labels, warnBefore } = yield* settings
  const trail = Option.getOrUndefined(yield* Effect.serviceOption(AuditTrail))
  const alerts = Option.getOrUndefined(yield* Effect.serviceOption(Alerts))
  const authorizations = new BoundedLabels(labels)
  const connectors = new BoundedLabels(labels)
  const watches = new Map<string, TokenWatch>()

  const make = (id: string): TokenWatch => {
    const authorization = authorizations.of(id)
    const of = <I, S>(metric: Metric.Metric<I, S>) => Metric.withAttributes(metric, { authorization })
    const seconds = of(metrics.tokenRequestSeconds)
    const failuresInARow = of(metrics.tokenFailuresInARow)
    const rejections = of(metrics.tokenRejections)
    const obtainedAt = of(metrics.tokenObtainedAt)
    const expiresAt = of(metrics.tokenExpiresAt)
    const reconnectBy = of(metrics.tokenReconnectBy)
    /** How many users each connector is: streams of one connector may each hold a manager. */
    const users = new Map<string, number>()
    let streak = 0
    /** Class of the failures that were written last; `undefined`: there was a token since. */
    let written: string | undefined

    const names = () => [...users.keys()].toSorted()
    const audit = (event: Omit<Parameters<AuditTrail["Service"]["record"]>[0], "authorization" | "connectors">) =>
      trail === undefined ? Effect.void : trail.record({ authorization: id, connectors: names(), ...event })
    const counted = (outcome: string) =>
      Metric.update(Metric.withAttributes(metrics.tokenRequests, { authorization, outcome }), 1)

    return {
      request: (send, classOf) =>
        Effect.gen(function* () {
          const began = yield* Clock.currentTimeMillis
          return yield* send.pipe(
            Effect.tap(counted("granted")),
            Effect.tapError((error) => counted(classOf(error))),
            Effect.ensuring(
              Effect.flatMap(Clock.currentTimeMillis, (now) => Metric.update(seconds, (now - began) / 1000))
            )
          )
        }),
      stored: (what) => audit({ what, outcome: "ok" }),
      held: Effect.fnUntraced(function* (token) {
        yield* Metric.update(obtainedAt, token.obtainedAt / 1000)
        if (token.expiresAt !== undefined) yield* Metric.update(expiresAt, token.expiresAt / 1000)
        if (streak > 0) yield* Metric.update(failuresInARow, 0)
        streak = 0
        written = undefined
        if (alerts === undefined) return
        yield* alerts.resolve("failing", id, `Authorization ${id} has a token again.`)
        yield* alerts.resolve("needs-consent", id, `Authorization ${id} has a token again.`)
      }),
      failed: Effect.fnUntraced(function* (error) {
        const { failureClass, message } = error
        streak++
        yield* Metric.update(failuresInARow, streak)
        yield* Metric.update(Metric.withAttributes(metrics.tokenFailures, { authorization, class: failureClass }), 1)
        const isPerson = failureClass === "needs-consent"
        if (written !== failureClass) {
          written = failureClass
          yield* audit({ what: isPerson ? "needs-consent" : "failed", outcome: failureClass, detail: message })
        }
        if (alerts === undefined) return
        const parts = { authorization: id, connectors: names(), class: failureClass, message }
        if (isPerson) yield* alerts.raise({ kind: "needs-consent", ...parts })
        else if (streak >= alertAfter) {
          yield* alerts.raise({
            kind: "failing",
            ...parts,
            message: `${streak} attempts to get a token failed in a row. The last: ${message}`
          })
        }
      }),
      rejected: Metric.update(rejections, 1),
      reconnectBy: Effect.fnUntraced(function* (at) {
        if (at !== undefined) yield* Metric.update(reconnectBy, at / 1000)
        if (alerts === undefined) return
        const now = yield* Clock.currentTimeMillis
        if (at === undefined || at - now > Duration.toMillis(warnBefore)) {
          return yield* alerts.resolve("reconnect", id, `Authorization ${id} need not be authorized anew soon.`)
        }
        const days = Math.max(0, Math.floor((at - now) / day))
        yield* alerts.raise({
          kind: "reconnect",
          authorization: id,
          connectors: names(),
          class: "needs-consent",
          message: `Authorization ${id}: its refresh token ends in ${days} day${days === 1 ? "" : "s"} (${new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeZone: "UTC" }).format(at)}). Let a person authorize anew before: tributary consent.`
        })
      }),
      used: (connector) => {
        const gauge = Metric.withAttributes(metrics.authorizationUsedBy, { authorization, connector: connectors.of(connector) })
        const change = (by: number) =>
          Effect.suspend(() => {
            const count = (users.get(connector) ?? 0) + by
            if (count === 0) users.delete(connector)
            else users.set(connector, count)
            return Metric.update(gauge, count === 0 ? 0 : 1)
          })
        return Effect.asVoid(Effect.acquireRelease(change(1), () => change(-1)))
      }
    }
  }

  return (id: string): TokenWatch => {
    const known = watches.get(id)
    if (known !== undefined) return known
    const watch = make(id)
    watches.set(id, watch)
    return watch
  }
})
