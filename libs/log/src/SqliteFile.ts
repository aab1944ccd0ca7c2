import { Effect } from "effect"
import { statSync } from "node:fs"
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite"
import { LogError, LogFull, LogUnavailable, LogUnusable } from "./LogError.ts"
import { CorruptRecords } from "./RecordCodec.ts"

/** A row of a result. */
export type Row = Readonly<Record<string, SQLOutputValue>>

const unexpected = (column: string, value: SQLOutputValue | undefined): never => {
  throw new CorruptRecords(`column ${column} holds a value of type ${typeof value}`)
}
export const integer = (row: Row, column: string): number => {
  const value = row[column]
  return typeof value === "number" ? value : unexpected(column, value)
}
export const integerOrNull = (row: Row, column: string): number | undefined =>
  row[column] === null ? undefined : integer(row, column)
export const text = (row: Row, column: string): string => {
  const value = row[column]
  return typeof value === "string" ? value : unexpected(column, value)
}
export const blob = (row: Row, column: string): Uint8Array => {
  const value = row[column]
  return value instanceof Uint8Array ? value : unexpected(column, value)
}

const sqliteCode = (cause: unknown): number | undefined =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode : undefined

const isClosed = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_INVALID_STATE"

export const closedError = (path: string): LogError =>
  new LogError({ reason: new LogUnavailable({ cause: new Error(`${path} was closed`) }) })

/*
 * SQLite reports a full disk as SQLITE_FULL, but an exceeded quota, and a full disk met at an fsync or when the shared memory
 * file grows, as an IO error of a write: SQLITE_IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMSIZE, _SHMMAP.
 */
const failedWrites: ReadonlySet<number> = new Set([778, 1034, 1290, 1546, 4874, 5386])

/** Results that do not mend by themselves: READONLY, CORRUPT, CANTOPEN, NOTADB. */
const unusable: ReadonlyMap<number, string> = new Map([
  [8, "it is not writable for this user"],
  [11, "it is damaged. Restore the directory from a backup, or start with an empty one"],
  [14, "it cannot be opened. Check that the directory exists and that this user may read and write it"],
  [26, "it is not a SQLite database. Choose another directory with --data"]
])

/** Says which error of the log an exception is; exceptions that are none of SQLite's are thrown on, they are defects. */
export const toLogError =
  (path: string) =>
  (cause: unknown): LogError => {
    if (cause instanceof LogError) return cause
    if (cause instanceof CorruptRecords)
      return new LogError({ reason: new LogUnusable({ path, problem: `it is damaged: ${cause.message}.` }) })
    if (isClosed(cause)) return closedError(path)
    const code = sqliteCode(cause)
    if (code === undefined) throw cause
    const primary = code & 0xff
    if (primary === 13 || failedWrites.has(code)) return new LogError({ reason: new LogFull({ path, cause }) })
    const problem = unusable.get(primary)
    return problem === undefined
      ? new LogError({ reason: new LogUnavailable({ cause }) })
      : new LogError({ reason: new LogUnusable({ path, problem: `${problem}.` }) })
  }

/** 16 KB pages are the best of 4 to 64 KB for batches of 400 KB, and cost small commits 7 us more than 4 KB pages do. */
const pageSize = 16_384
/** The WAL is copied into the database when it has this size; then it is written from its beginning again. */
const checkpointBytes = 4 * 1024 * 1024
/**
 * The same where a thread copies what it has: the writer does the rest, which is little, and begins the WAL again. Without a pause between
 * writes the thread alone never gets to an end.
 */
const largestBesideBytes = 24 * 1024 * 1024
/** Readers of other processes can keep the WAL from being started again; from this size on we wait for them, briefly. */
const walLimit = 64 * 1024 * 1024

export interface SqliteFileOptions {
  readonly path: string
  readonly readOnly: boolean
  readonly synchronous: "NORMAL" | "FULL"
  readonly maxBytes?: number
}

/**
 * One SQLite database in WAL mode, with its statements prepared once. All calls are synchronous, so what happens inside one
 * function happens without another fiber in between.
 */
export class SqliteFile {
  readonly path: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #toLogError: (cause: unknown) => LogError
  #writtenSinceCheck = 0
  #checkpoint: (() => void) | undefined
  #writtenSinceCheckpoint = 0

  /** Throws what SQLite throws. */
  constructor(options: SqliteFileOptions) {
    this.path = options.path
    this.#toLogError = toLogError(options.path)
    // Other processes only read; the one moment at which they can make us wait is the recovery of a WAL after a crash.
    const database = new DatabaseSync(options.path, { readOnly: options.readOnly, timeout: 5000 })
    this.#database = database
    try {
      if (!options.readOnly) {
        database.exec(`PRAGMA page_size = ${pageSize}`)
        database.exec("PRAGMA journal_mode = WAL")
        database.exec(`PRAGMA synchronous = ${options.synchronous}`)
        this.#autocheckpoint(checkpointBytes)
        database.exec(`PRAGMA journal_size_limit = ${walLimit}`)
        database.exec("PRAGMA foreign_keys = OFF")
        if (options.maxBytes !== undefined)
          database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxBytes / pageSize))}`)
      }
      database.exec("PRAGMA cache_size = -16384")
    } catch (cause) {
      database.close()
      throw cause
    }
  }

  #autocheckpoint(bytes: number): void {
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${bytes / pageSize}`)
  }

  /** Has checkpoints made elsewhere, asked for by `ask`; `undefined`: by the writer again. */
  checkpointBeside(ask: (() => void) | undefined): void {
    this.#checkpoint = ask
    if (this.#database.isOpen) this.#autocheckpoint(ask === undefined ? checkpointBytes : largestBesideBytes)
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }
  run(sql: string, ...values: ReadonlyArray<SQLInputValue>): void {
    this.#prepare(sql).run(...values)
  }
  insert(sql: string, ...values: ReadonlyArray<SQLInputValue>): number {
    return Number(this.#prepare(sql).run(...values).lastInsertRowid)
  }
  get(sql: string, ...values: ReadonlyArray<SQLInputValue>): Row | undefined {
    return this.#prepare(sql).get(...values)
  }
  /** Only for queries whose result is bounded: by a LIMIT, or by the number of partitions. */
  all(sql: string, ...values: ReadonlyArray<SQLInputValue>): ReadonlyArray<Row> {
    return this.#prepare(sql).all(...values)
  }

  /** Runs `body` in a write transaction; when it throws nothing of it is kept. `bytes` is about what it writes. */
  transaction<A>(bytes: number, body: () => A): A {
    this.run("BEGIN IMMEDIATE")
    let result: A
    try {
      result = body()
      this.run("COMMIT")
    } catch (cause) {
      // A full disk makes SQLite roll back by itself.
      if (this.#database.isOpen && this.#database.isTransaction) this.run("ROLLBACK")
      throw cause
    }
    this.#writtenSinceCheckpoint += bytes
    if (this.#checkpoint !== undefined && this.#writtenSinceCheckpoint >= checkpointBytes) {
      this.#writtenSinceCheckpoint = 0
      this.#checkpoint()
    }
    this.#writtenSinceCheck += bytes
    if (this.#writtenSinceCheck > walLimit / 4) this.#boundWal()
    return result
  }

  /** Runs `body` on one state of the database, whatever other processes write meanwhile. */
  snapshot<A>(body: () => A): A {
    this.run("BEGIN")
    try {
      return body()
    } finally {
      this.run("COMMIT")
    }
  }

  /*
   * The automatic checkpoint keeps the WAL at about 4 MB unless a reader of another process is in the middle of a read at each
   * of them. Then the WAL grows; beyond the limit wait for the readers (their reads take milliseconds) and start it again.
   */
  #boundWal(): void {
    this.#writtenSinceCheck = 0
    if (this.walBytes() < walLimit) return
    this.#database.exec("PRAGMA busy_timeout = 250")
    try {
      this.get("PRAGMA wal_checkpoint(TRUNCATE)")
    } finally {
      this.#database.exec("PRAGMA busy_timeout = 5000")
    }
  }

  walBytes(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Runs synchronous code that uses the database, with its exceptions as errors of the log. */
  attempt<A>(body: () => A): Effect.Effect<A, LogError> {
    return Effect.try({
      try: () => {
        // What is answered from memory ends with the file too.
        if (!this.#database.isOpen) throw closedError(this.path)
        return body()
      },
      catch: this.#toLogError
    })
  }

  close(): void {
    this.#statements.clear()
    if (this.#database.isOpen) this.#database.close()
  }
}
