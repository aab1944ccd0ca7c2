import { Warehouse } from "@tributary/clickhouse"
import { Effect, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const Paths = Schema.Array(Schema.Struct({ path: Schema.String }))
const folder = "deduplication_logs"
/** Operation of a line that adds a block: operation, part, block, with tabs between. */
const added = "1"

/**
 * Counts blocks whose tokens a table remembers and that it never stored, in the text of its deduplication log.
 *
 * A MergeTree without replicas writes the token of a block down before it gives the block's part its name. When it is killed in
 * between, it forgets the part and not the token; and as numbers of parts follow from the parts that are there, another block gets
 * the part's name later. So each name that was given to a second block is that of a block that was lost.
 */
export const countPhantoms = (log: string): number => {
  const blocks = new Map<string, Set<string>>()
  for (const line of log.split("\n")) {
    const [operation, part = "", block = ""] = line.split("\t")
    if (operation !== added) continue
    const known = blocks.get(part)
    if (known === undefined) blocks.set(part, new Set([block]))
    else known.add(block)
  }
  let count = 0
  for (const { size } of blocks.values()) count += size - 1
  return count
}

/** Counts such blocks of a table (`database.table`) of a server on this machine. */
export const phantomTokens = Effect.fn("chaos.phantomTokens")(function* (table: string) {
  const warehouse = yield* Warehouse
  const [database = "", name = ""] = table.split(".")
  const rows = yield* warehouse.query(
    `SELECT arrayJoin(data_paths) AS path FROM system.tables WHERE database = '${database}' AND name = '${name}'`
  )
  const paths = yield* Schema.decodeUnknownEffect(Paths)(rows)
  return yield* Effect.sync(() => {
    let count = 0
    for (const { path } of paths) {
      const logs = readdirSync(join(path, folder)).toSorted()
      count += countPhantoms(logs.map((file) => readFileSync(join(path, folder, file), "utf8")).join(""))
    }
    return count
  })
})
