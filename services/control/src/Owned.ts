import { connectorPartition, sourcesGroup } from "@tributary/catalog"
import { connectorsTopic } from "@tributary/domain"
import type { Owners } from "@tributary/domain/control"
import { Log } from "@tributary/log"
import { Effect, Option, Schema } from "effect"

/** What a source worker writes beside its position in a partition of `_tributary.connectors`. */
const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ v: Schema.Literal(1), worker: Schema.String }))
)

/** Who has which connectors. */
export interface Owned {
  /** The worker that took each partition of `_tributary.connectors` last. */
  readonly workers: ReadonlyMap<number, string>
  /** The worker that took the partition of a connector last; `undefined` when none ever did. */
  readonly ownerOf: (connector: string) => string | undefined
}

/** Asks the log for the commits of source workers. */
export const ownersOf = Effect.gen(function* () {
  const log = yield* Log
  const [positions, topics] = yield* Effect.all([log.positions(sourcesGroup), log.topics], { concurrency: 2 })
  const workers = new Map(
    positions.flatMap(({ metadata, partition, topic }): ReadonlyArray<readonly [number, string]> => {
      // What another version or another program committed names no worker.
      const owner = topic === connectorsTopic ? Option.getOrUndefined(decode(metadata)) : undefined
      return owner === undefined ? [] : [[partition, owner.worker]]
    })
  )
  // Who runs the cluster may have made the topic, with partitions of their own choice.
  const partitions = topics.find(({ name }) => name === connectorsTopic)?.partitions
  return {
    workers,
    ownerOf: (connector) => workers.get(connectorPartition(connector, partitions))
  } satisfies Owned
}).pipe(Effect.withSpan("control.owners"))

/** Workers with what they own, in the order of their names. */
export const groupOwners = (owned: Owned, connectors: Iterable<string>): Owners => {
  const workers = new Map<string, { readonly partitions: Array<number>; readonly connectors: Array<string> }>()
  for (const [partition, worker] of [...owned.workers].toSorted(([left], [right]) => left - right)) {
    const known = workers.get(worker)
    if (known === undefined) workers.set(worker, { partitions: [partition], connectors: [] })
    else known.partitions.push(partition)
  }
  const unowned: Array<string> = []
  for (const connector of [...connectors].toSorted()) {
    const worker = owned.ownerOf(connector)
    const own = worker === undefined ? undefined : workers.get(worker)
    ;(own?.connectors ?? unowned).push(connector)
  }
  return {
    workers: [...workers]
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([worker, { connectors, partitions }]) => ({ worker, partitions, connectors })),
    unowned
  }
}
