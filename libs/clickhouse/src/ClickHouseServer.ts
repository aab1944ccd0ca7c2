import { Context, Effect, Exit, Layer, Schedule, Scope } from "effect"
import { type Endpoint, removeEndpoint, writeEndpoint } from "./Endpoint.ts"
import { type ServerOptions, type ServerProcess, startServer } from "./ServerProcess.ts"
import type { WarehouseError } from "./WarehouseError.ts"

/** A server that ends again and again is started again less and less often, but for ever. */
const restarts = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
  Schedule.jittered
)

/**
 * The embedded ClickHouse: the real server as a child process on 127.0.0.1, its data in a directory, with a password made for
 * this run. It ends with its parent, however that ends. When it ends by itself it is started again; until it is back, requests
 * fail as `Unavailable`. Other processes of the same user find it by `readEndpoint(directory)`.
 */
export class ClickHouseServer extends Context.Service<
  ClickHouseServer,
  {
    /** Where the server is now. Another place after a restart that had to take another port. */
    readonly endpoint: Effect.Effect<Endpoint>
    /** Process id of the server that runs now. */
    readonly pid: Effect.Effect<number>
  }
>()("@tributary/clickhouse/ClickHouseServer") {
  static readonly layer = (options: ServerOptions): Layer.Layer<ClickHouseServer, WarehouseError> =>
    Layer.effect(ClickHouseServer, make(options))
}

const make = Effect.fnUntraced(function* (
  options: ServerOptions
): Effect.fn.Return<ClickHouseServer["Service"], WarehouseError, Scope.Scope> {
  const { directory } = options
  const processes = yield* Scope.make()
  let announced = false
  // The announcement goes first: once the process has ended, the file may be that of the directory's next server.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => (announced ? removeEndpoint(directory) : Effect.void)).pipe(
      Effect.andThen(Scope.close(processes, Exit.void))
    )
  )
  const start = Effect.gen(function* () {
    const server = yield* Scope.provide(startServer(options), processes)
    announced = true
    yield* writeEndpoint(directory, server.endpoint)
    return server
  })
  let current: ServerProcess = yield* start

  const supervise = Effect.gen(function* () {
    const how = yield* current.exited
    yield* Effect.logWarning("The embedded ClickHouse ended by itself; it is started again.").pipe(
      Effect.annotateLogs({ directory, how })
    )
    current = yield* start.pipe(
      Effect.tapError((error) => Effect.logError(error.message)),
      Effect.retry(restarts)
    )
    yield* Effect.logInfo("The embedded ClickHouse is back.").pipe(Effect.annotateLogs({ url: current.endpoint.url }))
  })
  yield* Effect.forkScoped(Effect.forever(supervise))
  return ClickHouseServer.of({
    endpoint: Effect.sync(() => current.endpoint),
    pid: Effect.sync(() => current.pid)
  })
})
