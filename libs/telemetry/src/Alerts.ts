import { FailureClass } from "@tributary/domain"
import {
  Clock,
  Config,
  Context,
  Duration,
  Effect,
  Layer,
  Metric,
  Option,
  Queue,
  Redacted,
  Schedule,
  Schema
} from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { BoundedLabels, mostLabels } from "./BoundedLabels.ts"
import { Status } from "./Status.ts"

/**
 * - `failing`: so many attempts to get a token failed in a row (`TRIBUTARY_ALERT_AFTER`).
 * - `needs-consent`: no token can be had until a person authorizes anew.
 * - `reconnect`: the refresh token ends soon, whatever is done; a person should authorize anew before.
 */
export const AlertKind = Schema.Literals(["failing", "needs-consent", "reconnect"])
export type AlertKind = typeof AlertKind.Type

/** Something that a person should know. Holds no secret. The body that the webhook gets. */
export const Alert = Schema.Struct({
  kind: AlertKind,
  /** `resolved`: what was raised before is over. */
  state: Schema.Literals(["raised", "resolved"]),
  authorization: Schema.String,
  connectors: Schema.Array(Schema.String),
  class: Schema.NullOr(FailureClass),
  message: Schema.String,
  /** Milliseconds since 1970. */
  at: Schema.Finite
})
export type Alert = typeof Alert.Type

const raised = Metric.counter("tributary_alerts_total", {
  description: "Alerts that were raised, by authorization and kind.",
  incremental: true
})
const active = Metric.gauge("tributary_alert_active", { description: "1 while the alert is not resolved." })
const delivered = Metric.counter("tributary_alert_webhook_total", {
  description: "Alerts sent to the webhook, by outcome (sent, failed, dropped).",
  incremental: true
})

const encode = Schema.encodeSync(Schema.fromJsonString(Alert))

/** So many alerts wait for the webhook at most; of more the oldest are dropped. */
const mostWaiting = 256
/** One attempt; five of them within about half a minute. */
const attemptTime = Duration.seconds(10)
const attempts = Schedule.exponential("1 second").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

const webhook = Config.option(Config.Redacted("TRIBUTARY_ALERT_WEBHOOK"))

/** The webhook's address is not one. */
export class WrongWebhook extends Schema.TaggedError<WrongWebhook>()("WrongWebhook", {}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return "The environment variable TRIBUTARY_ALERT_WEBHOOK is not an address of the form https://host/path (or http://)."
  }
}

/** What a person should know, told once: in the log, as metrics, in the status, and to a webhook if there is one. */
export class Alerts extends Context.Service<
  Alerts,
  {
    /** Raises an alert, unless it is raised already. */
    readonly raise: (alert: Omit<Alert, "at" | "state">) => Effect.Effect<void>
    /** What was raised is over; does nothing if nothing was. */
    readonly resolve: (kind: AlertKind, authorization: string, why: string) => Effect.Effect<void>
    /** All that are raised and not resolved. */
    readonly active: Effect.Effect<ReadonlyArray<Alert>>
  }
>()("@tributary/telemetry/Alerts") {
  static readonly layer = Layer.effect(
    Alerts,
    Effect.gen(function* () {
      const given = Option.getOrUndefined(yield* webhook)
      const address = given === undefined || Redacted.value(given).trim() === "" ? undefined : given
      const labels = new BoundedLabels(yield* mostLabels)
      const status = Option.getOrUndefined(yield* Effect.serviceOption(Status))
      const current = new Map<string, Alert>()
      const queue = yield* Queue.sliding<Alert>(mostWaiting)

      if (address !== undefined) {
        const url = Redacted.value(address)
        const parsed = URL.parse(url)
        if (parsed === null || !["http:", "https:"].includes(parsed.protocol)) return yield* new WrongWebhook()
        const client = yield* HttpClient.HttpClient
        const post = Effect.fn("Alerts.post")(function* (alert: Alert) {
          // Not traced by the client: spans would hold the address, which may be a secret.
          yield* HttpClientRequest.post(url).pipe(
            HttpClientRequest.bodyText(encode(alert), "application/json"),
            client.execute,
            Effect.flatMap(({ status }) =>
              status >= 200 && status < 300 ? Effect.void : Effect.fail(`it answered ${status}`)
            ),
            Effect.timeoutOrElse({ duration: attemptTime, orElse: () => Effect.fail("it did not answer in time") }),
            Effect.mapError((error) => (typeof error === "string" ? error : "it cannot be reached")),
            Effect.retry(attempts),
            Effect.withTracerEnabled(false)
          )
        })
        const deliver = Effect.flatMap(Queue.take(queue), (alert) =>
          post(alert).pipe(
            Effect.match({ onSuccess: () => undefined, onFailure: (problem) => problem }),
            Effect.flatMap((problem) =>
              Effect.andThen(
                Metric.update(
                  Metric.withAttributes(delivered, { outcome: problem === undefined ? "sent" : "failed" }),
                  1
                ),
                problem === undefined
                  ? Effect.void
                  : Effect.logWarning(`An alert could not be sent to the webhook: ${problem}.`).pipe(
                      Effect.annotateLogs({ kind: alert.kind, authorization: alert.authorization })
                    )
              )
            )
          )
        )
        yield* Effect.forkScoped(Effect.forever(deliver))
      }

      const tell = Effect.fnUntraced(function* (alert: Alert) {
        const { authorization, kind, message, state } = alert
        const attributes = { authorization: labels.of(authorization), kind }
        yield* Metric.update(Metric.withAttributes(active, attributes), state === "raised" ? 1 : 0)
        if (state === "raised") yield* Metric.update(Metric.withAttributes(raised, attributes), 1)
        const line =
          state === "raised" ? Effect.logError(`Alert: ${message}`) : Effect.logInfo(`Alert is over: ${message}`)
        yield* Effect.annotateLogs(line, { alert: kind, authorization, connectors: alert.connectors.join(",") })
        if (status !== undefined) {
          for (const connector of alert.connectors) {
            yield* status.notice(connector, kind, state === "raised" ? message : undefined)
          }
        }
        if (address !== undefined) yield* Queue.offer(queue, alert)
      })

      return Alerts.of({
        raise: Effect.fnUntraced(function* (alert) {
          const key = `${alert.kind} ${alert.authorization}`
          if (current.has(key)) return
          const whole: Alert = { ...alert, state: "raised", at: yield* Clock.currentTimeMillis }
          current.set(key, whole)
          yield* tell(whole)
        }),
        resolve: Effect.fnUntraced(function* (kind, authorization, why) {
          const key = `${kind} ${authorization}`
          const known = current.get(key)
          if (known === undefined) return
          current.delete(key)
          yield* tell({ ...known, state: "resolved", message: why, at: yield* Clock.currentTimeMillis })
        }),
        active: Effect.sync(() => [...current.values()])
      })
    })
  ).pipe(
    // A webhook that moved is to be corrected, not followed: the alert would go elsewhere.
    Layer.provide(
      FetchHttpClient.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })))
    )
  )
}
