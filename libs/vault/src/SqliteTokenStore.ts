import { Context, Effect, Layer, Option, Result, Schema } from "effect"
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { isEnvelope } from "./Envelope.ts"
import { decodeEntry, encodeEntry, isOpenTo, isSameEntry, type JournalEntry } from "./JournalEntry.ts"
import { SealedRecords } from "./SealedRecords.ts"
import { makeSealer } from "./Sealer.ts"
import { Conflict, forgetAdvice, type StoredTokens, Superseded, TokenStore, VaultError } from "./TokenStore.ts"

/** 3: records are envelopes, which earlier versions cannot open; those that they sealed are still read. */
const schemaVersion = 3
const Row = Schema.Struct({
  generation: Schema.Int,
  key_id: Schema.NullOr(Schema.String),
  sealed: Schema.NullOr(Schema.Uint8Array),
  journal: Schema.NullOr(Schema.String)
})
const decodeRow = Schema.decodeUnknownOption(Row)
const KeyRow = Schema.Struct({ key_id: Schema.String })
const decodeKeyRow = Schema.decodeUnknownSync(KeyRow)
const SealedRow = Schema.Struct({ authorization: Schema.String, key_id: Schema.String, head: Schema.Uint8Array })
const decodeSealedRow = Schema.decodeUnknownSync(SealedRow)

/** What is the matter with the file `place`. */
const problemOf = (
  place: string,
  error: unknown
): { readonly text: string; readonly failureClass: VaultError["failureClass"] } => {
  const notWritable = {
    text: `${place} cannot be opened for writing. Check its owner and permissions, those of its folder, and --data.`,
    failureClass: "misconfigured"
  } as const
  const noSpace = {
    text: `there is no space left for ${place}. Make room; nothing was lost.`,
    failureClass: "transient"
  } as const
  // Of the file system, before SQLite has the file.
  const system = error instanceof Error && "code" in error ? String(error.code) : ""
  if (/^(EACCES|EPERM|EROFS|EISDIR|ENOTDIR|ENOENT|EEXIST|ELOOP|ENAMETOOLONG)$/u.test(system)) return notWritable
  if (/^(ENOSPC|EDQUOT)$/u.test(system)) return noSpace
  const code = error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0
  switch (code & 0xff) {
    case 5:
    case 6:
      return { text: `${place} is locked by another process.`, failureClass: "transient" }
    case 13:
      return noSpace
    case 8:
    case 14:
    case 23:
      return notWritable
    // A table that should be there is not.
    case 1:
    case 11:
    case 26:
      return { text: `${place} is damaged. Restore it from a backup.`, failureClass: "misconfigured" }
    default:
      return { text: `${place} cannot be used (SQLite code ${code}).`, failureClass: "transient" }
  }
}

const failedAt = (place: string) => (authorization: string | undefined) => (error: unknown) => {
  if (error instanceof VaultError) return error
  const { failureClass, text } = problemOf(place, error)
  return new VaultError({ authorization, problem: text, failureClass, cause: error })
}

/** Brings a file that was opened into the form that is used here. */
const prepareDatabase = (database: DatabaseSync, directory: string): void => {
  // FULL syncs the write-ahead log at every commit; fullfsync makes macOS really do it.
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA secure_delete = ON")
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"]
  if (typeof version === "number" && version > schemaVersion) {
    throw new VaultError({
      authorization: undefined,
      problem: `vault.db in ${directory} was written by a newer version of Tributary (format ${version}, this one reads ${schemaVersion}). Use that version.`,
      failureClass: "misconfigured"
    })
  }
  // Nothing is written to open the file: a process that only looks does not wait for those that write.
  if (version === schemaVersion) return
  // A removed record keeps its row and generation, see `TokenStore.save`.
  database.exec(`
    CREATE TABLE IF NOT EXISTS tokens (
      authorization TEXT PRIMARY KEY,
      generation INTEGER NOT NULL,
      key_id TEXT,
      sealed BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS journal (
      authorization TEXT PRIMARY KEY,
      entry TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = ${schemaVersion}`)
}

/** Opens the file so that it and its side files, which take over its mode, are the owner's alone from the start. */
const openDatabase = (directory: string): DatabaseSync => {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, "vault.db")
  closeSync(openSync(path, "a", 0o600))
  chmodSync(path, 0o600)
  const database = new DatabaseSync(path, { timeout: 1000 })
  try {
    prepareDatabase(database, directory)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const statementsOf = (database: DatabaseSync) => ({
  select: database.prepare(`
    SELECT ifnull(generation, 0) AS generation, key_id, sealed, entry AS journal
    FROM (SELECT ? AS name) LEFT JOIN tokens ON tokens.authorization = name LEFT JOIN journal ON journal.authorization = name`),
  upsert: database.prepare(`
    INSERT INTO tokens (authorization, generation, key_id, sealed) VALUES (?, ?, ?, ?)
    ON CONFLICT (authorization) DO UPDATE SET
      generation = excluded.generation, key_id = excluded.key_id, sealed = excluded.sealed`),
  erase: database.prepare("UPDATE tokens SET key_id = NULL, sealed = NULL WHERE authorization = ?"),
  write: database.prepare(
    "INSERT INTO journal (authorization, entry) VALUES (?, ?) ON CONFLICT (authorization) DO UPDATE SET entry = excluded.entry"
  ),
  clear: database.prepare("DELETE FROM journal WHERE authorization = ?"),
  names: database.prepare(
    "SELECT authorization, key_id, substr(sealed, 1, 16) AS head FROM tokens WHERE sealed IS NOT NULL ORDER BY authorization"
  ),
  replace: database.prepare(
    "UPDATE tokens SET key_id = ?, sealed = ? WHERE authorization = ? AND generation = ? AND key_id = ? AND sealed = ?"
  )
})

const make = Effect.fnUntraced(function* (directory: string) {
  const failed = failedAt(`vault.db in ${directory}`)
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

  const { clear, erase, names, replace, select, upsert, write } = yield* Effect.try({
    try: () => statementsOf(database),
    catch: failed(undefined)
  })

  const rowOf = (authorization: string) => {
    const row = Option.getOrUndefined(decodeRow(select.get(authorization)))
    if (row === undefined) return { generation: 0, sealed: undefined, entry: undefined, current: 0 }
    const { generation, journal, key_id: keyId } = row
    const sealed = keyId === null || row.sealed === null ? undefined : { keyId, bytes: row.sealed }
    let entry: JournalEntry | undefined
    try {
      entry = journal === null ? undefined : decodeEntry(journal)
    } catch {
      throw new VaultError({
        authorization,
        problem: `the journal in vault.db in ${directory} was changed or damaged. Restore vault.db from a backup, or forget the tokens of this authorization: ${forgetAdvice(authorization)}`,
        failureClass: "misconfigured"
      })
    }
    return { generation, sealed, entry, current: sealed === undefined ? 0 : generation }
  }

  const row = (authorization: string) => Effect.try({ try: () => rowOf(authorization), catch: failed(authorization) })

  const read = Effect.fn("TokenStore.read")(function* (authorization: string) {
    const { entry, generation, sealed } = yield* row(authorization)
    if (sealed === undefined) return { tokens: undefined, entry }
    return { tokens: yield* sealer.open(authorization, generation, sealed.keyId, sealed.bytes), entry }
  })
  const load = (authorization: string) =>
    Effect.map(read(authorization), ({ tokens }) => Option.fromUndefinedOr(tokens))

  /** Does all of it or nothing. What it gives back as a refusal has changed nothing. */
  const inTransaction = <A, E extends Conflict | Superseded>(authorization: string, work: () => Result.Result<A, E>) =>
    Effect.try({
      try: () => {
        database.exec("BEGIN IMMEDIATE")
        try {
          const result = work()
          database.exec(Result.isSuccess(result) ? "COMMIT" : "ROLLBACK")
          return result
        } catch (error) {
          // SQLite ends the transaction by itself after some errors, such as a full disk.
          if (database.isTransaction) database.exec("ROLLBACK")
          throw error
        }
      },
      catch: failed(authorization)
    }).pipe(Effect.flatMap(Effect.fromResult))

  const save = Effect.fn("TokenStore.save")(function* (
    authorization: string,
    expected: number,
    tokens: Omit<StoredTokens, "generation">,
    attempt?: string
  ) {
    const { keyId, requireKey, seal } = yield* sealer.ready
    return yield* inTransaction(authorization, (): Result.Result<StoredTokens, Conflict | Superseded> => {
      const { current, entry, generation, sealed } = rowOf(authorization)
      // Tokens whose key is missing are not overwritten: the key may come back.
      if (sealed !== undefined) requireKey(authorization, sealed.keyId)
      if (current !== expected) return Result.fail(new Conflict({ authorization, expected, current }))
      if (!isOpenTo(entry, attempt))
        return Result.fail(new Superseded({ authorization, current: entry?.attempt ?? "" }))
      const stored: StoredTokens = { ...tokens, generation: generation + 1 }
      upsert.run(authorization, stored.generation, keyId, seal(authorization, stored))
      clear.run(authorization)
      return Result.succeed(stored)
    })
  })

  const note = Effect.fn("TokenStore.note")(function* (
    authorization: string,
    expected: number,
    over: string | undefined,
    next: JournalEntry | undefined
  ) {
    // What is about to be spent is answered by tokens that have to be sealed: without a key nothing is sent.
    if (next?.state === "sent") yield* sealer.ready
    yield* inTransaction(authorization, (): Result.Result<void, Conflict | Superseded> => {
      const { current, entry } = rowOf(authorization)
      if (current !== expected) return Result.fail(new Conflict({ authorization, expected, current }))
      if (isSameEntry(entry, next)) return Result.void
      if (entry?.attempt !== over) return Result.fail(new Superseded({ authorization, current: entry?.attempt ?? "" }))
      if (next === undefined) clear.run(authorization)
      else write.run(authorization, encodeEntry(next))
      return Result.void
    })
  })

  const remove = Effect.fn("TokenStore.remove")(function* (authorization: string, expected?: number) {
    return yield* inTransaction(authorization, () => {
      if (expected !== undefined) {
        const { current } = rowOf(authorization)
        if (current !== 0 && current !== expected) return Result.succeed(false)
      }
      erase.run(authorization)
      clear.run(authorization)
      return Result.succeed(true)
    })
  })

  const list = Effect.try({
    try: () =>
      names.all().map((found) => {
        const { authorization, head, key_id: keyId } = decodeSealedRow(found)
        return { authorization, keyId, isFirstForm: !isEnvelope(head) }
      }),
    catch: failed(undefined)
  })
  const reseal = Effect.fn("SealedRecords.reseal")(function* (authorization: string) {
    const { generation, sealed } = yield* row(authorization)
    if (sealed === undefined) return "changed" as const
    const tokens = yield* sealer.open(authorization, generation, sealed.keyId, sealed.bytes)
    const next = yield* sealer.ready
    const { changes } = yield* Effect.try({
      try: () =>
        replace.run(
          next.keyId,
          next.seal(authorization, tokens),
          authorization,
          generation,
          sealed.keyId,
          sealed.bytes
        ),
      catch: failed(authorization)
    })
    return Number(changes) === 1 ? ("resealed" as const) : ("changed" as const)
  })

  return Context.make(TokenStore, TokenStore.of({ load, read, save, note, remove })).pipe(
    Context.add(SealedRecords, SealedRecords.of({ store: `vault.db in ${directory}`, keys: sealer.keys, list, reseal }))
  )
})

/**
 * The token store in the file `vault.db` of a data directory (SQLite, WAL, synced at every commit), and its records as they lie
 * there. Records are sealed as `Sealer` says, and name the key they need; see `loadKeyring` for where keys come from. Fails when the
 * key is missing or wrong, and never overwrites what it cannot open. Several processes may use the file at once.
 */
export const SqliteTokenStore = {
  layer: (options: { readonly directory: string }): Layer.Layer<TokenStore | SealedRecords, VaultError> =>
    Layer.effectContext(make(options.directory))
}
