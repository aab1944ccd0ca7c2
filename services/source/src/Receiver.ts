import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { challengeOf, deliveryId, type Refusal, signatureCheck, signaturePlace } from "@tributary/connector"
import { type Connector, inboxTopic, streamOf, type Webhook, webhookPath } from "@tributary/domain"
import { Log } from "@tributary/log"
import { type SecretError, Secrets } from "@tributary/secrets"
import { BoundedLabels } from "@tributary/telemetry"
import { Clock, Context, Duration, Effect, Layer, Metric, Redacted, Schema, Scope, Semaphore } from "effect"
import { timingSafeEqual } from "node:crypto"
import { GroupCommit } from "./GroupCommit.ts"
import { ensureInbox } from "./Inbox.ts"

/** The receiver cannot listen where it was told to. */
export class CannotReceive extends Schema.TaggedError<CannotReceive>()("CannotReceive", {
  address: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `Webhooks cannot be received at ${this.address}: ${this.problem}. Free the port, or set TRIBUTARY_WEBHOOK_LISTEN to another address.`
  }
}

/** What became of a request. */
type Outcome = Refusal | "accepted" | "challenge" | "too_large" | "method" | "unavailable" | "full" | "broken_off"

const outcomes = Metric.counter("tributary_webhook_deliveries_total", {
  description: "Requests to webhook streams by what became of them. accepted: the log has them.",
  incremental: true
})

const says: Readonly<Record<Refusal, (webhook: Webhook) => string>> = {
  missing_signature: (webhook) =>
    `The signature is missing, or not of the form that this stream expects: ${signaturePlace(webhook)}.`,
  bad_signature: () => "The signature fits none of the stream's secrets.",
  stale: ({ tolerance }) => `The time of sending is more than ${Duration.format(tolerance)} from now.`
}

/** What to do about it, for whoever runs the receiver. */
const advice: Readonly<Record<Refusal, string>> = {
  missing_signature: "Compare `webhook.signature` with what the sender's documentation says; or somebody else sent it.",
  bad_signature:
    "Compare `webhook.secret` with the sender's, and see that nothing on the way changes the body; or somebody else sent it.",
  stale: "See that this clock is right, or raise `webhook.tolerance`; or somebody sends what was sent before."
}

/** Bounds for senders that are slow or many. */
const bounds = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2000 }
const mostConnections = 2048
/** Bytes of bodies that are read or wait for the log, of all senders together. */
const mostBytes = 67_108_864
/** How long requests that were read have to be answered when the process ends. */
const drain = "3 seconds"
/** Secrets are looked at again so often, so that one that is changed is soon known. */
const renewal = "10 seconds"

interface Route {
  readonly connector: string
  readonly stream: string
  readonly webhook: Webhook
  readonly check: ReturnType<typeof signatureCheck>
  readonly idOf: ReturnType<typeof deliveryId>
  readonly topic: string
  /** As they are today. */
  secrets: ReadonlyArray<string>
  verifyToken: string | undefined
}

const utf8 = new TextEncoder()

const reply = (response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}) => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers })
  response.end(`${text}\n`)
}

const isSame = (left: string, right: string): boolean => {
  const [one, other] = [Buffer.from(left), Buffer.from(right)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/**
 * Receives webhooks of any number of connectors at one address. A delivery whose signature fits is answered with 200 when it is in the
 * stream's inbox, a topic of the log; from there the worker that has the connector publishes it once. So every worker may receive.
 */
export class WebhookReceiver extends Context.Service<
  WebhookReceiver,
  {
    /**
     * Takes deliveries of the connector's webhook streams until interrupted; begins to listen with the first. References are relative to
     * `base`. Returns only if it has none.
     */
    readonly receive: (
      connector: Connector,
      base: string
    ) => Effect.Effect<void, CannotReceive | SecretError | Effect.Error<ReturnType<typeof ensureInbox>>, Log | Secrets>
    /** Where it listens, as the start of a URL; `undefined`: nothing is received. */
    readonly address: Effect.Effect<string | undefined>
  }
>()("@tributary/source/WebhookReceiver") {
  static readonly layer = (at: { readonly host: string; readonly port: number }) =>
    Layer.effect(
      WebhookReceiver,
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const routes = new Map<string, Route>()
        const lock = yield* Semaphore.make(1)
        const connectors = new BoundedLabels(500)
        /** By connector, stream and outcome, since they were told last. */
        const counts = new Map<string, { readonly route: Route; readonly outcome: Outcome; count: number }>()
        let address: string | undefined
        let held = 0
        let isClosing = false
        let commits: GroupCommit | undefined

        const note = (route: Route, outcome: Outcome) => {
          const key = `${route.connector}/${route.stream}/${outcome}`
          const known = counts.get(key)
          if (known === undefined) counts.set(key, { route, outcome, count: 1 })
          else known.count++
        }

        /** A body that was read whole. */
        const take = (route: Route, request: IncomingMessage, response: ServerResponse, body: Buffer, now: number) => {
          const delivery = { headers: request.headers, body }
          const refusal = route.check(delivery, route.secrets, now)
          if (refusal !== undefined) {
            note(route, refusal)
            return reply(response, 401, says[refusal](route.webhook))
          }
          const challenge = challengeOf(route.webhook, delivery)
          if (challenge !== undefined) {
            note(route, "challenge")
            return reply(response, 200, challenge)
          }
          const headers: Record<string, string> = {}
          for (const name of route.webhook.headers) {
            const value = request.headers[name.toLowerCase()]
            if (typeof value === "string") headers[name.toLowerCase()] = value
          }
          const record = { topic: route.topic, key: utf8.encode(route.idOf(delivery)), value: body, headers }
          held += body.length
          commits?.add(record, (fate) => {
            held -= body.length
            note(route, fate === "kept" ? "accepted" : fate === "refused" ? "too_large" : "unavailable")
            if (fate === "kept") reply(response, 200, "ok")
            else if (fate === "refused") reply(response, 413, "The log does not take a record of this size.")
            else reply(response, 503, "The log cannot take it now. Send it again.", { "retry-after": "5" })
          })
        }

        /** The handshake of a subscription (WebSub, section 5.3, and Meta's webhooks, which add a token). */
        const shake = (route: Route, request: IncomingMessage, response: ServerResponse) => {
          const { searchParams } = new URL(request.url ?? "", "http://here")
          const challenge = searchParams.get("hub.challenge")
          const token = searchParams.get("hub.verify_token")
          const isSubscription = searchParams.get("hub.mode") === "subscribe"
          if (route.verifyToken === undefined || !isSubscription) {
            note(route, "method")
            const why = isSubscription ? "Subscriptions are answered where webhook.verify_token is set. " : ""
            return reply(response, 405, `${why}Deliveries are sent with POST.`, { allow: "POST" })
          }
          if (challenge === null || token === null || !isSame(token, route.verifyToken)) {
            note(route, "bad_signature")
            return reply(response, 403, "The token of the subscription is another.")
          }
          note(route, "challenge")
          response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" })
          response.end(challenge)
        }

        const handle = (request: IncomingMessage, response: ServerResponse, clock: () => number) => {
          const path = (request.url ?? "").split("?", 1)[0] ?? ""
          const route = routes.get(path)
          if (route === undefined) return reply(response, 404, "No stream is received here.", { connection: "close" })
          if (request.method === "GET") return shake(route, request, response)
          if (request.method !== "POST") {
            note(route, "method")
            return reply(response, 405, "Deliveries are sent with POST.", { allow: "POST", connection: "close" })
          }
          const most = route.webhook.max_bytes
          const tooLarge = () => {
            note(route, "too_large")
            reply(response, 413, `A delivery has at most ${most} bytes here.`, { connection: "close" })
          }
          const announced = Number(request.headers["content-length"] ?? 0)
          if (announced > most) return tooLarge()
          if (isClosing || held + announced > mostBytes) {
            note(route, "full")
            return reply(response, 503, "There is no room for it now. Send it again.", {
              "retry-after": "1",
              connection: "close"
            })
          }
          const chunks: Array<Buffer> = []
          let size = 0
          let isOver = false
          const release = () => {
            isOver = true
            held -= size
          }
          request.on("data", (chunk: Buffer) => {
            if (isOver) return
            size += chunk.length
            held += chunk.length
            chunks.push(chunk)
            if (size > most || held > mostBytes) {
              release()
              chunks.length = 0
              if (size > most) tooLarge()
              else {
                note(route, "full")
                reply(response, 503, "There is no room for it now. Send it again.", {
                  "retry-after": "1",
                  connection: "close"
                })
              }
            }
          })
          request.on("end", () => {
            if (isOver) return
            release()
            take(route, request, response, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size), clock())
          })
          request.on("close", () => {
            if (isOver) return
            release()
            note(route, "broken_off")
          })
        }

        /** Begins to listen, once. */
        const listening = lock.withPermit(
          Effect.gen(function* () {
            if (address !== undefined) return
            const log = yield* Log
            const clock = yield* Clock.Clock
            const group = yield* GroupCommit.make(log).pipe(Scope.provide(scope))
            const server = createServer(bounds, (request, response) =>
              handle(request, response, () => clock.currentTimeMillisUnsafe())
            )
            server.maxConnections = mostConnections
            yield* Effect.callback<void, CannotReceive>((resume) => {
              server.once("error", (error: Error & { readonly code?: string }) =>
                resume(
                  Effect.fail(
                    new CannotReceive({
                      address: `${at.host}:${at.port}`,
                      problem: error.code === "EADDRINUSE" ? "the port is in use" : error.message
                    })
                  )
                )
              )
              server.listen(at.port, at.host, () => resume(Effect.void))
            })
            commits = group
            const bound = server.address()
            const port = typeof bound === "object" && bound !== null ? bound.port : at.port
            address = `http://${at.host.includes(":") ? `[${at.host}]` : at.host}:${port}`
            yield* Scope.addFinalizer(
              scope,
              Effect.gen(function* () {
                isClosing = true
                server.close()
                server.closeIdleConnections()
                yield* Effect.timeoutOption(group.drained, drain)
                server.closeAllConnections()
              })
            )
            yield* Effect.logInfo(`Webhooks are received at ${address}.`)
          })
        )

        const tell = Effect.gen(function* () {
          const taken = [...counts.values()]
          counts.clear()
          for (const { count, outcome, route } of taken) {
            const labels = { connector: connectors.of(route.connector), stream: route.stream, outcome }
            yield* Metric.update(Metric.withAttributes(outcomes, labels), count)
            if (outcome !== "bad_signature" && outcome !== "missing_signature" && outcome !== "stale") continue
            const times = count === 1 ? "A delivery was refused" : `${count} deliveries were refused`
            yield* Effect.logWarning(`${times}. ${says[outcome](route.webhook)} ${advice[outcome]}`).pipe(
              Effect.annotateLogs({ connector: route.connector, stream: route.stream })
            )
          }
        })
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 second"), tell)))

        const open = Effect.fnUntraced(function* (
          connector: Connector,
          base: string,
          stream: string,
          webhook: Webhook
        ) {
          const secrets = yield* Secrets
          const id = connector.connector
          const resolve = Effect.gen(function* () {
            const found: Array<string> = []
            for (const reference of [webhook.secret, ...webhook.other_secrets]) {
              found.push(Redacted.value(yield* secrets.secret(reference, base)))
            }
            const token =
              webhook.verify_token === undefined
                ? undefined
                : Redacted.value(yield* secrets.secret(webhook.verify_token, base))
            return { secrets: found, verifyToken: token }
          })
          yield* ensureInbox(connector, stream)
          const route: Route = {
            connector: id,
            stream,
            webhook,
            check: signatureCheck(webhook),
            idOf: deliveryId(webhook),
            topic: inboxTopic(id, stream),
            ...(yield* resolve)
          }
          yield* listening
          const path = webhookPath(id, stream, webhook)
          const other = routes.get(path)
          if (other !== undefined) {
            return yield* new CannotReceive({
              address: `${address}${path}`,
              problem: `the stream ${other.connector}/${other.stream} is received there; give one of them another webhook.path`
            })
          }
          yield* Effect.acquireRelease(
            Effect.sync(() => routes.set(path, route)),
            () =>
              Effect.sync(() => {
                if (routes.get(path) === route) routes.delete(path)
              })
          )
          yield* Effect.logInfo(`Deliveries of ${id}/${stream} are received at ${address}${path}.`)
          return yield* Effect.forever(
            Effect.andThen(
              Effect.sleep(renewal),
              resolve.pipe(
                Effect.map((found) => Object.assign(route, found)),
                Effect.catch((error) => Effect.logWarning(`${error.message} The secret that was read before is used.`))
              )
            )
          )
        })

        return WebhookReceiver.of({
          receive: (connector, base) =>
            Effect.forEach(
              Object.keys(connector.streams),
              (stream) => {
                const { webhook } = streamOf(connector, stream)
                return webhook === undefined ? Effect.void : Effect.scoped(open(connector, base, stream, webhook))
              },
              { concurrency: "unbounded", discard: true }
            ),
          address: Effect.sync(() => address)
        })
      })
    )
}
