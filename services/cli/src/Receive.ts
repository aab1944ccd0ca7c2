import { Catalog } from "@tributary/catalog"
import { parseListenAddress } from "@tributary/control"
import { WebhookReceiver } from "@tributary/source"
import { Config, Effect, FiberMap, Layer, type Scope } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { keepRunning, loadingIn } from "./Reconcile.ts"
import type { Running } from "./Running.ts"

/** What keeps deliveries from being received (a port that is taken, a secret that is not there) is looked at again so often. */
const again = "10 seconds"

/** Receives webhooks at `TRIBUTARY_WEBHOOK_LISTEN`, as soon as a connector has a stream that is sent. */
export const webhooks = Layer.unwrap(
  Effect.gen(function* () {
    const given = yield* Config.String("TRIBUTARY_WEBHOOK_LISTEN").pipe(Config.withDefault("127.0.0.1:8790"))
    return WebhookReceiver.layer(yield* Effect.fromResult(parseListenAddress(given)))
  })
)

const hasWebhooks = ({ connector }: LoadedConnector): boolean =>
  Object.values(connector.streams).some(({ webhook }) => webhook !== undefined)

/** Receives the webhooks of a connector until interrupted; returns if it has none. */
export const receiveWebhooks = (loaded: LoadedConnector) =>
  hasWebhooks(loaded)
    ? WebhookReceiver.use((receiver) => receiver.receive(loaded.connector, loaded.base)).pipe(
        Effect.catch((error) => Effect.andThen(Effect.logError(error.message), Effect.sleep(again))),
        Effect.forever,
        Effect.annotateLogs({ connector: loaded.connector.connector })
      )
    : Effect.void

/** What receives, by connector. Other than what runs connectors it has no status: the stream's source has. */
const makeReceiving = Effect.fnUntraced(function* () {
  const current = new Map<string, LoadedConnector>()
  const fibers = yield* FiberMap.make<string>()
  const stop = (id: string) =>
    Effect.suspend(() => {
      current.delete(id)
      return FiberMap.remove(fibers, id)
    })
  const start = Effect.fnUntraced(function* (next: LoadedConnector) {
    const id = next.connector.connector
    const running = current.get(id)
    if (running?.revision === next.revision && running.base === next.base) return
    yield* stop(id)
    if (hasWebhooks(next)) yield* FiberMap.run(fibers, id, receiveWebhooks(next))
    current.set(id, next)
  })
  return { current, start, stop } satisfies Running<Effect.Services<ReturnType<typeof receiveWebhooks>> | Scope.Scope>
})

/** Receives the webhooks of all registered connectors, whichever worker has them. */
export const receiveAll = Effect.fn("cli.receiveAll")(function* (data: string) {
  const catalog = yield* Catalog
  const loading = yield* loadingIn(data, false)
  const receiving = yield* makeReceiving()
  yield* catalog.prepare
  return yield* keepRunning(undefined, receiving, loading, Effect.void)
}, Effect.scoped)
