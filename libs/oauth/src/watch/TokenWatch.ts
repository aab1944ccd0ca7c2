import { Alerts, AuditTrail, BoundedLabels, mostLabels } from "@tributary/telemetry"
import { Clock, Config, DateTime, Duration, Effect, Metric, Option, type Scope } from "effect"
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

/** The metrics of one authorization, or of all that have none of their own. */
const seriesOf = (authorization: string) => {
  const of = <I, S>(metric: Metric.Metric<I, S>) => Metric.withAttributes(metric, { authorization })
  return {
    seconds: of(metrics.tokenRequestSeconds),
    failuresInARow: of(metrics.tokenFailuresInARow),
    rejections: of(metrics.tokenRejections),
    obtainedAt: of(metrics.tokenObtainedAt),
    expiresAt: of(metrics.tokenExpiresAt),
    reconnectBy: of(metrics.tokenReconnectBy)
  }
}

/** What all watches of a process share. */
interface Surroundings {
  readonly alertAfter: number
  readonly warnBefore: Duration.Duration
  readonly trail: AuditTrail["Service"] | undefined
  readonly alerts: Alerts["Service"] | undefined
  readonly connectors: BoundedLabels
}

type Event = Omit<Parameters<AuditTrail["Service"]["record"]>[0], "authorization" | "connectors">

/** A process has very many of these: what they do stands outside of them. */
class Watch implements TokenWatch {
  readonly id: string
  /** Value of the label `authorization`. */
  readonly label: string
  readonly series: ReturnType<typeof seriesOf>
  readonly around: Surroundings
  /** How many users each connector is: streams of one connector may each hold a manager. */
  users: Map<string, number> | undefined
  streak = 0
  /** Class of the failures that were written last; `undefined`: there was a token since. */
  written: string | undefined

  constructor(id: string, label: string, series: ReturnType<typeof seriesOf>, around: Surroundings) {
    this.id = id
    this.label = label
    this.series = series
    this.around = around
  }
  get names(): ReadonlyArray<string> {
    return [...(this.users?.keys() ?? [])].toSorted()
  }
  audit(event: Event): Effect.Effect<void> {
    const { trail } = this.around
    return trail === undefined
      ? Effect.void
      : trail.record({ authorization: this.id, connectors: this.names, ...event })
  }
  request<A, E>(send: Effect.Effect<A, E>, classOf: (error: E) => string): Effect.Effect<A, E> {
    const counted = (outcome: string) =>
      Metric.update(Metric.withAttributes(metrics.tokenRequests, { authorization: this.label, outcome }), 1)
    return Effect.flatMap(Clock.currentTimeMillis, (began) =>
      send.pipe(
        Effect.tap(() => counted("granted")),
        Effect.tapError((error) => counted(classOf(error))),
        Effect.ensuring(
          Effect.flatMap(Clock.currentTimeMillis, (now) => Metric.update(this.series.seconds, (now - began) / 1000))
        )
      )
    )
  }
  stored(what: "obtained" | "refreshed" | "recovered"): Effect.Effect<void> {
    return Effect.suspend(() => this.audit({ what, outcome: "ok" }))
  }
  held(token: { readonly obtainedAt: number; readonly expiresAt: number | undefined }): Effect.Effect<void> {
    return held(this, token)
  }
  failed(error: TokenError): Effect.Effect<void> {
    return failed(this, error)
  }
  get rejected(): Effect.Effect<void> {
    return Metric.update(this.series.rejections, 1)
  }
  reconnectBy(at: number | undefined): Effect.Effect<void> {
    return reconnect(this, at)
  }
  used(connector: string): Effect.Effect<void, never, Scope.Scope> {
    return Effect.asVoid(Effect.acquireRelease(use(this, connector, 1), () => use(this, connector, -1)))
  }
}

const held = Effect.fnUntraced(function* (
  watch: Watch,
  token: { readonly obtainedAt: number; readonly expiresAt: number | undefined }
) {
  const { expiresAt, failuresInARow, obtainedAt } = watch.series
  const { alerts } = watch.around
  yield* Metric.update(obtainedAt, token.obtainedAt / 1000)
  if (token.expiresAt !== undefined) yield* Metric.update(expiresAt, token.expiresAt / 1000)
  if (watch.streak > 0) yield* Metric.update(failuresInARow, 0)
  watch.streak = 0
  watch.written = undefined
  if (alerts === undefined) return
  yield* alerts.resolve("failing", watch.id, `Authorization ${watch.id} has a token again.`)
  yield* alerts.resolve("needs-consent", watch.id, `Authorization ${watch.id} has a token again.`)
})

const failed = Effect.fnUntraced(function* (watch: Watch, error: TokenError) {
  const { failureClass, message } = error
  const { alertAfter, alerts } = watch.around
  const attributes = { authorization: watch.label, class: failureClass }
  watch.streak++
  yield* Metric.update(watch.series.failuresInARow, watch.streak)
  yield* Metric.update(Metric.withAttributes(metrics.tokenFailures, attributes), 1)
  const isPerson = failureClass === "needs-consent"
  if (watch.written !== failureClass) {
    watch.written = failureClass
    yield* watch.audit({ what: isPerson ? "needs-consent" : "failed", outcome: failureClass, detail: message })
  }
  if (alerts === undefined) return
  const parts = { authorization: watch.id, connectors: watch.names, class: failureClass, message }
  if (isPerson) yield* alerts.raise({ kind: "needs-consent", ...parts })
  else if (watch.streak >= alertAfter) {
    const told = `${watch.streak} attempts to get a token failed in a row. The last: ${message}`
    yield* alerts.raise({ kind: "failing", ...parts, message: told })
  }
})

const reconnect = Effect.fnUntraced(function* (watch: Watch, at: number | undefined) {
  const { alerts, warnBefore } = watch.around
  const { id } = watch
  if (at !== undefined) yield* Metric.update(watch.series.reconnectBy, at / 1000)
  if (alerts === undefined) return
  const now = yield* Clock.currentTimeMillis
  if (at === undefined || at - now > Duration.toMillis(warnBefore)) {
    return yield* alerts.resolve("reconnect", id, `Authorization ${id} need not be authorized anew soon.`)
  }
  const days = Math.max(0, Math.floor((at - now) / day))
  const date = DateTime.formatIsoDateUtc(DateTime.makeUnsafe(at))
  yield* alerts.raise({
    kind: "reconnect",
    authorization: id,
    connectors: watch.names,
    class: "needs-consent",
    message: `Authorization ${id}: its refresh token ends in ${days} day${days === 1 ? "" : "s"} (${date}). Let a person authorize anew before.`
  })
})

const use = Effect.fnUntraced(function* (watch: Watch, connector: string, by: 1 | -1) {
  const users = (watch.users ??= new Map())
  const count = (users.get(connector) ?? 0) + by
  if (count === 0) users.delete(connector)
  else users.set(connector, count)
  const attributes = { authorization: watch.label, connector: watch.around.connectors.of(connector) }
  yield* Metric.update(Metric.withAttributes(metrics.authorizationUsedBy, attributes), count === 0 ? 0 : 1)
})

/** Makes the watches of all authorizations of this process. Without an audit trail or alerts there are only metrics. */
export const makeTokenWatches = Effect.gen(function* () {
  const { alertAfter, labels, warnBefore } = yield* settings
  const around: Surroundings = {
    alertAfter,
    warnBefore,
    trail: Option.getOrUndefined(yield* Effect.serviceOption(AuditTrail)),
    alerts: Option.getOrUndefined(yield* Effect.serviceOption(Alerts)),
    connectors: new BoundedLabels(labels)
  }
  const authorizations = new BoundedLabels(labels)
  const series = new Map<string, ReturnType<typeof seriesOf>>()
  const watches = new Map<string, TokenWatch>()

  return (id: string): TokenWatch => {
    const known = watches.get(id)
    if (known !== undefined) return known
    const label = authorizations.of(id)
    const its = series.get(label) ?? seriesOf(label)
    series.set(label, its)
    const watch = new Watch(id, label, its, around)
    watches.set(id, watch)
    return watch
  }
})
