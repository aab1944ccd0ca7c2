import { Status } from "@tributary/telemetry"
import { Effect, FiberMap, type Scope } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"

export interface Running<R> {
  readonly current: ReadonlyMap<string, LoadedConnector>
  /** Starts a connector, in place of the one that runs under its identifier; does nothing when that one is the same. */
  readonly start: (next: LoadedConnector) => Effect.Effect<void, never, R>
  /** Stops a connector and waits until it has ended. */
  readonly stop: (id: string) => Effect.Effect<void>
}

/** The connectors that `run` runs in this process, or for one claim of it. They end with the scope. */
export const makeRunning = Effect.fnUntraced(function* <R>(
  run: (loaded: LoadedConnector) => Effect.Effect<never, never, R>
): Effect.fn.Return<Running<R>, never, Status | Scope.Scope> {
  const status = yield* Status
  const current = new Map<string, LoadedConnector>()
  // Before the fibers are, so that it runs when they have ended: until then they report.
  const ran = new Set<string>()
  yield* Effect.addFinalizer(() => Effect.forEach(ran, (id) => status.forget(id), { discard: true }))
  const fibers = yield* FiberMap.make<string>()

  const stop = Effect.fnUntraced(function* (id: string) {
    current.delete(id)
    yield* FiberMap.remove(fibers, id)
    yield* status.forget(id)
    yield* Effect.logInfo("Connector stopped.").pipe(Effect.annotateLogs({ connector: id }))
  })

  const start = Effect.fnUntraced(function* (next: LoadedConnector) {
    const id = next.connector.connector
    const running = current.get(id)
    if (running?.revision === next.revision && running.base === next.base) {
      current.set(id, next)
      return
    }
    // Until it runs it is not there: who is interrupted here, or fails, starts it the next time.
    current.delete(id)
    // remove waits for the old one to end; then the new one takes over where it committed last.
    yield* FiberMap.remove(fibers, id)
    yield* status.forget(id)
    ran.add(id)
    yield* FiberMap.run(fibers, id, run(next))
    current.set(id, next)
    yield* Effect.logInfo(running === undefined ? "Connector started." : "Connector restarted with its new file.").pipe(
      Effect.annotateLogs({ connector: id, file: next.file })
    )
  })

  return { current, start, stop }
})
