import { Effect } from "effect"
import type { PlainDict } from "../expression/Value.ts"
import { Endlessness } from "./Endlessness.ts"
import type { Retriever } from "./Parts.ts"

/** Reads a slice page by page. `name` is the stream's, for messages. */
export const readPages = (page: Retriever["page"], name: string): Retriever["read"] =>
  Effect.fn("airbyte.read")(function* (slice, visit) {
    const endlessness = new Endlessness(name)
    let position: PlainDict | undefined
    for (;;) {
      const read = yield* page(slice, position)
      if (read.records.length > 0) yield* visit(read.records)
      if (read.failure !== undefined) return yield* read.failure
      if (read.next === undefined) return
      const endless = endlessness.check(position, read)
      if (endless !== undefined) return yield* endless
      position = read.next
    }
  })
