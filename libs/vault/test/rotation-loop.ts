import { makeSealer, type SealedRecords, SqliteTokenStore, type TokenStore } from "@tributary/vault"
import { Effect, Schema } from "effect"
import { join } from "node:path"
import process from "node:process"
import { DatabaseSync } from "node:sqlite"
import { refreshing, rotating, say } from "./rotating.ts"

/** A process of the tests: refreshes or rotates for ever, and is killed by the test. */
const [directory = "", mode = ""] = process.argv.slice(2)

const Row = Schema.Struct({
  authorization: Schema.String,
  generation: Schema.Int,
  key_id: Schema.String,
  sealed: Schema.Uint8Array
})
const decodeRow = Schema.decodeUnknownSync(Row)

/** Rotates as one might at first: reads everything, then writes everything. Here to show that the test sees what it loses. */
const naive = Effect.gen(function* () {
  const database = new DatabaseSync(join(directory, "vault.db"), { timeout: 5000 })
  const sealer = yield* makeSealer({ store: "vault.db", directory }, [])
  for (;;) {
    const rows = database
      .prepare("SELECT authorization, generation, key_id, sealed FROM tokens")
      .all()
      .map((row) => decodeRow(row))
    const next = yield* sealer.ready
    const sealed = yield* Effect.forEach(rows, (row) =>
      Effect.map(sealer.open(row.authorization, row.generation, row.key_id, row.sealed), (tokens) => ({
        ...row,
        bytes: next.seal(row.authorization, tokens)
      }))
    )
    for (const { authorization, bytes, generation } of sealed) {
      say("begin", authorization)
      database
        .prepare("UPDATE tokens SET generation = ?, key_id = ?, sealed = ? WHERE authorization = ?")
        .run(generation, next.keyId, bytes, authorization)
      say("end", authorization)
    }
    say("round")
  }
})

const modes: Readonly<Record<string, Effect.Effect<unknown, unknown, TokenStore | SealedRecords>>> = {
  refresh: refreshing,
  rotate: rotating,
  naive: Effect.scoped(naive)
}

await Effect.runPromise(
  Effect.provide(modes[mode] ?? Effect.die(`There is no mode ${mode}.`), SqliteTokenStore.layer({ directory }))
)
