import * as NodeServices from "@effect/platform-node/NodeServices"
import { LosslessJson } from "@tributary/codec"
import { transformSteps } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Effect, Layer, Stream } from "effect"
import { NotChosen } from "./Chosen.ts"
import { loadConnectors } from "./ConnectorFiles.ts"
import { makeImpatient } from "./FirstPage.ts"
import { replayOf } from "./Replay.ts"

/** What a stream brings on a cassette. */
export interface ReplayedStream {
  /** Records as the API sent them, whole numbers beyond 2^53 as bigint. */
  readonly read: ReadonlyArray<LosslessJson.Json>
  /** The same after the connector's transform: as they are published and loaded. */
  readonly records: ReadonlyArray<LosslessJson.Json>
  /** Why records are refused, by the source or by the transform. */
  readonly rejected: ReadonlyArray<string>
  readonly pages: number
}

export interface ReplayOptions {
  /** Connector file. */
  readonly connector: string
  /** Cassette of `tributary record`. */
  readonly cassette: string
}

const stream = Effect.fnUntraced(function* (
  loaded: Parameters<typeof makeImpatient>[0],
  name: string
): Effect.fn.Return<
  ReplayedStream,
  Effect.Error<ReturnType<typeof makeImpatient>> | Effect.Error<ReturnType<typeof compileTransform>>,
  Effect.Services<ReturnType<typeof makeImpatient>> | Effect.Services<ReturnType<typeof compileTransform>>
> {
  const { base, connector } = loaded
  const source = yield* makeImpatient(loaded)
  const transform = yield* compileTransform(transformSteps(connector, name), {
    connector: connector.connector,
    stream: name,
    base
  })
  const pages = yield* Stream.runCollect(source.pages(name, undefined, { prefetch: false }))
  const all = pages.flatMap(({ records }) => records)
  const { out, rejected } = transform.apply(all.map(({ key, value }, offset) => ({ offset, key, value })))
  return {
    read: all.map(({ value }) => LosslessJson.parse(value)),
    records: out.map(({ value }) => LosslessJson.parse(value)),
    rejected: [...pages.flatMap((page) => page.rejected), ...rejected].map(({ reason }) => reason),
    pages: pages.length
  }
})

/**
 * Runs a connector on a cassette, for tests: every stream of its file, from its beginning to its end. Asks nobody and needs no
 * secrets. Rejects with the first error, as a run would say it.
 */
export const replayConnector = ({
  cassette,
  connector
}: ReplayOptions): Promise<Readonly<Record<string, ReplayedStream>>> =>
  Effect.gen(function* () {
    const loaded = yield* loadConnectors(connector)
    const [found] = loaded.connectors
    if (found === undefined || loaded.connectors.length > 1) {
      const problem = loaded.problems[0]
      return yield* new NotChosen({
        problem:
          problem === undefined
            ? `${connector} has ${loaded.connectors.length} connectors; name the file of one.`
            : `${connector}:${problem.line}: found ${problem.found}, expected ${problem.expected}. ${problem.advice}`
      })
    }
    const streams: Record<string, ReplayedStream> = {}
    for (const name of Object.keys(found.connector.streams)) {
      streams[name] = yield* Effect.scoped(stream(found, name))
    }
    return streams
  }).pipe(Effect.provide(replayOf(cassette).pipe(Layer.provideMerge(NodeServices.layer))), Effect.runPromise)
