import { Warehouse } from "@tributary/clickhouse"
import { Effect, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folder = "deduplication_logs"
/** Operation of a line that adds a block: operation, part, block, with tabs between. */
const added = "1"

/** First and last block of a part, by its name: `<partition>_<first>_<last>_<level>`. */
const blocksOf = (part: string): readonly [first: number, last: number] | undefined => {
  const found = /^[^_]+_(\d+)_(\d+)_\d+(?:_\d+)?$/u.exec(part)
  return found === null ? undefined : [Number(found[1]), Number(found[2])]
}

/**
 * Blocks whose tokens a table remembers and that it does not have, by the text of its deduplication log and the names of its parts,
 * as a crash has left both.
 *
 * A MergeTree without replicas writes the token of a block down before it gives the block's part its name. When it is killed in
 * between it forgets the part and not the token (docs/decisions/0007-phantom-tokens.md).
 */
export const phantomsIn = (log: string, parts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const there = parts.map(blocksOf).filter((blocks) => blocks !== undefined)
  const phantoms: Array<string> = []
  for (const line of log.split("\n")) {
    const [operation, part = "", block = ""] = line.split("\t")
    const number = operation === added ? blocksOf(part)?.[0] : undefined
    if (number !== undefined && !there.some(([first, last]) => first <= number && number <= last)) phantoms.push(block)
  }
  return phantoms
}

const Paths = Schema.Array(Schema.Struct({ path: Schema.String }))

/** What a ClickHouse server on this machine has lost and takes for stored; it has to be looked at after each crash. */
export interface PhantomTokens {
  /** Looks at all tables while the server does not run. */
  readonly look: Effect.Effect<void>
  /** How many blocks of a table (`database.table`) were seen to be such. */
  readonly count: (table: string) => Effect.Effect<number, unknown, Warehouse>
}

/** Looks in the data folder of a server. */
export const phantomTokens = (data: string): PhantomTokens => {
  /** By the path of a table: blocks. */
  const seen = new Map<string, Set<string>>()
  const look = Effect.sync(() => {
    const store = join(data, "store")
    for (const group of readdirSync(store)) {
      for (const table of readdirSync(join(store, group))) {
        const path = join(store, group, table)
        if (!existsSync(join(path, folder))) continue
        const log = readdirSync(join(path, folder)).map((file) => readFileSync(join(path, folder, file), "utf8"))
        const known = seen.get(path) ?? new Set()
        for (const block of phantomsIn(log.join(""), readdirSync(path))) known.add(block)
        seen.set(path, known)
      }
    }
  })
  const count = Effect.fn("chaos.phantomTokens")(function* (table: string) {
    const warehouse = yield* Warehouse
    const [database = "", name = ""] = table.split(".")
    const rows = yield* warehouse.query(
      `SELECT arrayJoin(data_paths) AS path FROM system.tables WHERE database = '${database}' AND name = '${name}'`
    )
    const paths = yield* Schema.decodeUnknownEffect(Paths)(rows)
    return paths.reduce((sum, { path }) => sum + (seen.get(join(path, "."))?.size ?? 0), 0)
  })
  return { look, count }
}
