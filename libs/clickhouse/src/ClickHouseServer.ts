import { Clock, Context, Effect, Exit, Layer, Schedule, Scope } from "effect"
import type { Endpoint } from "./Endpoint.ts"
import { removeEndpoint, writeEndpoint } from "./EndpointFile.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import { type ServerProcess, startServer } from "./ServerProcess.ts"
import type { WarehouseError } from "./WarehouseError.ts"

/** How often a start that fails is repeated: less and less often, but for ever. */
const restarts = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
  Schedule.jittered
)

/** A server that lived for less than this is started again after a pause, which doubles each time up to its longest. */
const shortLifeMs = 30_000
const pauseMs = { first: 50, longest: 10_000 }

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

  let shortLives = 0
  const supervise = Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    const how = yield* current.exited
    shortLives = (yield* Clock.currentTimeMillis) - begun < shortLifeMs ? shortLives + 1 : 0
    yield* Effect.logWarning("The embedded ClickHouse ended by itself; it is started again.").pipe(
      Effect.annotateLogs({ directory, how })
    )
    if (shortLives > 0)
      yield* Effect.sleep(Math.min(pauseMs.first * 2 ** Math.min(shortLives - 1, 10), pauseMs.longest))
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
