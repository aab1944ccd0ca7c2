import { Effect, FileSystem, Layer, Option, Path } from "effect"
import { engine } from "./Engine.ts"
import { replayOf } from "./Replay.ts"
import { requireConnectors, runOnce } from "./RunOnce.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"
import { defaultData } from "./Directories.ts"
import { WrongFlag } from "./WrongFlag.ts"

export interface RunReplayOptions {
  readonly connectors: string
  readonly data: string
  readonly json: boolean
  readonly cassette: string
  readonly isOnce: boolean
}

const wrong = (expected: string, found: string) => new WrongFlag({ flag: "replay", found, expected })

/**
 * Runs everything once on a cassette: records, topics and tables as they would be. In a folder that is made for it and removed
 * afterwards, unless another than the usual one is named: what was recorded is not to get among what is real.
 */
export const runOnReplay = Effect.fn("cli.runOnReplay")(function* (options: RunReplayOptions) {
  const { cassette, connectors, data, isOnce, json } = options
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!isOnce) return yield* wrong("it with `run --once`: a cassette has an end", cassette)
  const { clickhouse, kafka, redis } = yield* servers
  if (Option.isSome(clickhouse) || Option.isSome(kafka) || Option.isSome(redis)) {
    return yield* wrong(
      "no servers in the environment (TRIBUTARY_KAFKA_BROKERS, TRIBUTARY_CLICKHOUSE_URL, TRIBUTARY_REDIS_URL), for what was recorded would be loaded there",
      cassette
    )
  }
  yield* requireConnectors(connectors)
  const isOwn = data !== defaultData
  const folder = isOwn
    ? path.resolve(data)
    : yield* fs.makeTempDirectoryScoped({ prefix: "tributary-replay-" }).pipe(Effect.orDie)
  // What is replayed takes the place of the engine's own.
  const services = replayOf(cassette).pipe(Layer.provideMerge(engine(folder)))
  yield* Effect.provide(runOnce({ connectors, json }), services)
  if (!isOwn && !json)
    yield* screen.note("Run on a cassette, in a folder that is removed; name one with --data to keep it.")
}, Effect.scoped)
