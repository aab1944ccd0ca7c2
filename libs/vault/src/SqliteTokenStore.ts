import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Keyring, loadKeyring } from "./Keyring.ts"
import { Conflict, type StoredTokens, TokenStore, VaultError } from "./TokenStore.ts"

const schemaVersion = 1
const algorithm = "aes-256-gcm"
const nonceBytes = 12
const tagBytes = 16

/** The sealed part of a record. */
const Contents = Schema.fromJsonString(
  Schema.Struct({
    accessToken: Schema.String,
    tokenType: Schema.String,
    expiresAt: Schema.NullOr(Schema.Finite),
    obtainedAt: Schema.Finite,
    refreshToken: Schema.NullOr(Schema.String),
    scopes: Schema.Array(Schema.String),
    settings: Schema.String,
    seed: Schema.NullOr(Schema.String)
  })
)
const encodeContents = Schema.encodeSync(Contents)
const decodeContents = Schema.decodeUnknownSync(Contents)

const Row = Schema.Struct({
  generation: Schema.Int,
  key_id: Schema.NullOr(Schema.String),
  sealed: Schema.NullOr(Schema.Uint8Array)
})
const decodeRow = Schema.decodeUnknownOption(Row)
const KeyRow = Schema.Struct({ key_id: Schema.String })
const decodeKeyRow = Schema.decodeUnknownSync(KeyRow)

/** Ties a record to its place: sealed bytes that are copied to another row or generation do not open. */
const place = (authorization: string, generation: number) => Buffer.from(JSON.stringify([authorization, generation]))

const seal = (keyring: Keyring, authorization: string, tokens: StoredTokens): Buffer => {
  const key = keyring.byId.get(keyring.current)
  if (key === undefined) throw new Error("The keyring has no current key.")
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(place(authorization, tokens.generation))
  const contents = encodeContents({
    accessToken: Redacted.value(tokens.accessToken),
    tokenType: tokens.tokenType,
    expiresAt: tokens.expiresAt ?? null,
    obtainedAt: tokens.obtainedAt,
    refreshToken: tokens.refreshToken === undefined ? null : Redacted.value(tokens.refreshToken),
    scopes: tokens.scopes,
    settings: tokens.settings,
    seed: tokens.seed ?? null
  })
  return Buffer.concat([nonce, cipher.update(contents, "utf8"), cipher.final(), cipher.getAuthTag()])
}

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
  const keyring = yield* loadKeyring(directory, sealedWith)

  const select = database.prepare("SELECT generation, key_id, sealed FROM tokens WHERE authorization = ?")
  const upsert = database.prepare(`
    INSERT INTO tokens (authorization, generation, key_id, sealed) VALUES (?, ?, ?, ?)
    ON CONFLICT (authorization) DO UPDATE SET
      generation = excluded.generation, key_id = excluded.key_id, sealed = excluded.sealed`)
  const erase = database.prepare("UPDATE tokens SET key_id = NULL, sealed = NULL WHERE authorization = ?")

  const keyOf = (authorization: string, id: string) => {
    const key = keyring.byId.get(id)
    if (key !== undefined) return key
    throw new VaultError({
      authorization,
      problem: `they were sealed with a key that is not given (id ${id}). Add that key to TRIBUTARY_VAULT_KEY or vault.key, or remove the tokens of this authorization.`,
      failureClass: "misconfigured"
    })
  }

  const unseal = (authorization: string, generation: number, id: string, sealed: Uint8Array): StoredTokens => {
    const key = keyOf(authorization, id)
    try {
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes))
        .setAAD(place(authorization, generation))
        .setAuthTag(sealed.subarray(-tagBytes))
      const text = decipher.update(sealed.subarray(nonceBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8")
      const contents = decodeContents(text)
      return {
        ...contents,
        generation,
        accessToken: Redacted.make(contents.accessToken),
        expiresAt: contents.expiresAt ?? undefined,
        refreshToken: contents.refreshToken === null ? undefined : Redacted.make(contents.refreshToken),
        seed: contents.seed ?? undefined
      }
    } catch {
      // The original error is left out: a decoder's message could quote what it read.
      throw new VaultError({
        authorization,
        problem:
          "the record in vault.db was changed or damaged. Restore vault.db from a backup, or remove the tokens of this authorization.",
        failureClass: "misconfigured"
      })
    }
  }

  const load = Effect.fn("TokenStore.load")(function* (authorization: string) {
    return yield* Effect.try({
      try: () =>
        Option.flatMap(decodeRow(select.get(authorization)), ({ generation, key_id, sealed }) =>
          key_id === null || sealed === null
            ? Option.none()
            : Option.some(unseal(authorization, generation, key_id, sealed))
        ),
      catch: failed(authorization)
    })
  })

  const saveNow = (authorization: string, expected: number, tokens: Omit<StoredTokens, "generation">) => {
    database.exec("BEGIN IMMEDIATE")
    try {
      const row = Option.getOrUndefined(decodeRow(select.get(authorization)))
      // Tokens whose key is missing are not overwritten: the key may come back.
      if (row?.key_id != null) keyOf(authorization, row.key_id)
      const current = row?.sealed == null ? 0 : row.generation
      if (current !== expected) {
        database.exec("ROLLBACK")
        return current
      }
      const stored: StoredTokens = { ...tokens, generation: (row?.generation ?? 0) + 1 }
      upsert.run(authorization, stored.generation, keyring.current, seal(keyring, authorization, stored))
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
