import { Effect, Layer, Option, Schema } from "effect"
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { makeSealer } from "./Sealer.ts"
import { Conflict, type StoredTokens, TokenStore, VaultError } from "./TokenStore.ts"

const schemaVersion = 1
const Row = Schema.Struct({
  generation: Schema.Int,
  key_id: Schema.NullOr(Schema.String),
  sealed: Schema.NullOr(Schema.Uint8Array)
})
const decodeRow = Schema.decodeUnknownOption(Row)
const KeyRow = Schema.Struct({ key_id: Schema.String })
const decodeKeyRow = Schema.decodeUnknownSync(KeyRow)

const problemOf = (error: unknown): { readonly text: string; readonly failureClass: VaultError["failureClass"] } => {
  const code = error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0
  switch (code & 0xff) {
    case 5:
    case 6:
      return { text: "vault.db is locked by another process.", failureClass: "transient" }
    case 13:
      return { text: "there is no space left for vault.db. Make room; nothing was lost.", failureClass: "transient" }
    case 8:
    case 14:
    case 23:
      return {
        text: "vault.db cannot be opened for writing. Check its owner and permissions.",
        failureClass: "misconfigured"
      }
    case 11:
    case 26:
      return { text: "vault.db is damaged. Restore it from a backup.", failureClass: "misconfigured" }
    default:
      return { text: `vault.db cannot be used (SQLite code ${code}).`, failureClass: "transient" }
  }
}

const failed = (authorization: string | undefined) => (error: unknown) => {
  if (error instanceof VaultError) return error
  const { failureClass, text } = problemOf(error)
  return new VaultError({ authorization, problem: text, failureClass, cause: error })
}

/** Opens the file so that it and its side files, which take over its mode, are the owner's alone from the start. */
const openDatabase = (directory: string): DatabaseSync => {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, "vault.db")
  closeSync(openSync(path, "a", 0o600))
  chmodSync(path, 0o600)
  const database = new DatabaseSync(path, { timeout: 1000 })
  // FULL syncs the write-ahead log at every commit; fullfsync makes macOS really do it.
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA secure_delete = ON")
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"]
  if (typeof version === "number" && version > schemaVersion) {
    database.close()
    throw new VaultError({
      authorization: undefined,
      problem: `vault.db in ${directory} was written by a newer version of Tributary (format ${version}, this one reads ${schemaVersion}). Use that version.`,
      failureClass: "misconfigured"
    })
  }
  // A removed record keeps its row and generation, see `TokenStore.save`.
  database.exec(`
    CREATE TABLE IF NOT EXISTS tokens (
      authorization TEXT PRIMARY KEY,
      generation INTEGER NOT NULL,
      key_id TEXT,
      sealed BLOB
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = ${schemaVersion}`)
  return database
}

const make = Effect.fnUntraced(function* (directory: string) {
  const database = yield* Effect.acquireRelease(
    Effect.try({ try: () => openDatabase(directory), catch: failed(undefined) }),
    (database) => Effect.sync(() => database.close())
  )
  const sealedWith = yield* Effect.try({
    try: () =>
      database
        .prepare("SELECT DISTINCT key_id FROM tokens WHERE sealed IS NOT NULL")
        .all()
        .map((row) => decodeKeyRow(row).key_id),
    catch: failed(undefined)
  })
  const sealer = yield* makeSealer({ store: `vault.db in ${directory}`, directory }, sealedWith)

  const select = database.prepare("SELECT generation, key_id, sealed FROM tokens WHERE authorization = ?")
  const upsert = database.prepare(`
    INSERT INTO tokens (authorization, generation, key_id, sealed) VALUES (?, ?, ?, ?)
    ON CONFLICT (authorization) DO UPDATE SET
      generation = excluded.generation, key_id = excluded.key_id, sealed = excluded.sealed`)
  const erase = database.prepare("UPDATE tokens SET key_id = NULL, sealed = NULL WHERE authorization = ?")

  const load = Effect.fn("TokenStore.load")(function* (authorization: string) {
    return yield* Effect.try({
      try: () =>
        Option.flatMap(decodeRow(select.get(authorization)), ({ generation, key_id, sealed }) =>
          key_id === null || sealed === null
            ? Option.none()
            : Option.some(sealer.open(authorization, generation, key_id, sealed))
        ),
      catch: failed(authorization)
    })
  })

  const saveNow = (authorization: string, expected: number, tokens: Omit<StoredTokens, "generation">) => {
    database.exec("BEGIN IMMEDIATE")
    try {
      const row = Option.getOrUndefined(decodeRow(select.get(authorization)))
      // Tokens whose key is missing are not overwritten: the key may come back.
      if (row?.key_id != null) sealer.requireKey(authorization, row.key_id)
      const current = row?.sealed == null ? 0 : row.generation
      if (current !== expected) {
        database.exec("ROLLBACK")
        return current
      }
      const stored: StoredTokens = { ...tokens, generation: (row?.generation ?? 0) + 1 }
      upsert.run(authorization, stored.generation, sealer.keyId, sealer.seal(authorization, stored))
      database.exec("COMMIT")
      return stored
    } catch (error) {
      // SQLite ends the transaction by itself after some errors, such as a full disk.
      if (database.isTransaction) database.exec("ROLLBACK")
      throw error
    }
  }

  const save = Effect.fn("TokenStore.save")(function* (
    authorization: string,
    expected: number,
    tokens: Omit<StoredTokens, "generation">
  ) {
    const result = yield* Effect.try({
      try: () => saveNow(authorization, expected, tokens),
      catch: failed(authorization)
    })
    if (typeof result !== "number") return result
    return yield* new Conflict({ authorization, expected, current: result })
  })

  const remove = Effect.fn("TokenStore.remove")(function* (authorization: string) {
    yield* Effect.try({ try: () => void erase.run(authorization), catch: failed(authorization) })
  })

  return TokenStore.of({ load, save, remove })
})

/**
 * The token store in the file `vault.db` of a data directory (SQLite, WAL, synced at every commit). Records are sealed
 * with AES-256-GCM under a random nonce, tied to their authorization and generation, and name the key they need; see
 * `loadKeyring` for where keys come from. Fails when the key is missing or wrong, and never overwrites what it cannot open.
 */
export const SqliteTokenStore = {
  layer: (options: { readonly directory: string }): Layer.Layer<TokenStore, VaultError> =>
    Layer.effect(TokenStore, make(options.directory))
}
