import type { FoundTable, Table, WarehouseError } from "@tributary/clickhouse"
import type { Claim, LogError } from "@tributary/log"
import type { RegistryError, ValueDecoder } from "@tributary/schema-registry"
import { Duration, Effect } from "effect"
import { belongingOf, encodeAcknowledged } from "./Plan.ts"
import { decodeRange, sampleLimits, valuesOf } from "./Range.ts"

export interface Tables {
  /** `database.table`, as messages show it. */
  readonly name: string
  readonly find: Effect.Effect<FoundTable | undefined, WarehouseError>
  readonly ensure: (sample: ReadonlyArray<Uint8Array>) => Effect.Effect<Table, WarehouseError>
}

/** First offset that a partition has, and its end. */
interface Bounds {
  readonly earliest: number
  readonly end: number
}

/** The partition's first records as a new table is made from them; none if there are only gaps. */
const firstRecords = Effect.fnUntraced(function* (claim: Claim, { earliest, end }: Bounds, decoder: ValueDecoder) {
  for (let next = earliest; next < end;) {
    const batch = yield* claim.read(next, { ...sampleLimits, wait: Duration.seconds(1) })
    if (batch.records.length > 0) {
      const { records } = yield* decodeRange(
        { first: next, last: next, next, records: batch.records, bytes: 0 },
        decoder
      )
      return valuesOf(records)
    }
    if (batch.next === next) break
    next = batch.next
  }
  return []
})

/**
 * Commits the first offset that a partition has in place of its position, if that was committed for a table that is not there any
 * more (docs/decisions/0006-table-generation.md). Succeeds with the generation that the position belongs to then; `undefined` when
 * there is no position yet, or it cannot be told.
 *
 * That a table is not found proves nothing: it may be detached, or hidden from the user. So it is made first, which fails if there
 * is one, and only what was made is another one for sure.
 */
export const beginAgain = Effect.fn("sink.beginAgain")(function* (
  claim: Claim,
  bounds: Bounds,
  tables: Tables,
  decoder: ValueDecoder
): Effect.fn.Return<string | undefined, LogError | RegistryError | WarehouseError> {
  const committed = yield* claim.committed
  if (committed === undefined || committed.offset <= bounds.earliest) return undefined
  const { epoch, generation: known } = belongingOf(committed)
  // The loader begins at the first record of another topic anyway.
  if (epoch !== undefined && epoch !== claim.topic.id) return undefined
  const found = yield* tables.find
  let table = found
  if (table === undefined) {
    const sample = yield* firstRecords(claim, bounds, decoder)
    // There is nothing that could be loaded again.
    if (sample.length === 0) return known
    table = yield* tables.ensure(sample)
  }
  const { generation } = table
  if (generation === undefined || generation === known) return known
  if (known === undefined && found !== undefined) return generation
  // With the generation that it was committed for: the table that is there now is not known to have anything.
  yield* claim.commit(bounds.earliest, encodeAcknowledged(known, claim.topic.id))
  yield* Effect.logWarning(
    `The table ${tables.name} is ${found === undefined ? "gone" : "another than the one that was loaded"}. What its topic still has is loaded again, from the first record.`
  ).pipe(
    Effect.annotateLogs({
      topic: claim.topic.name,
      partition: claim.partition,
      loaded: committed.offset,
      from: bounds.earliest
    })
  )
  return generation
})
