import { Effect, Layer, Option, Schema } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { differencesOf } from "./Differences.ts"
import { RegistryError, RegistryUnusable, SchemaIncompatible, SchemaRefused, UnknownSchema } from "./RegistryError.ts"
import { type Compatibility, type RegisteredSchema, type RegisterOptions, SchemaRegistry } from "./SchemaRegistry.ts"

const formatVersion = 1
const types = ["avro", "json-schema"] as const
const SchemaRow = Schema.Struct({ id: Schema.Int, type: Schema.Literals(types), text: Schema.String })
const SubjectRow = Schema.Struct({
  compatibility: Schema.Literals([
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
    "NONE"
  ])
})
const decodeSchema = Schema.decodeUnknownOption(SchemaRow)
const decodeSchemas = Schema.decodeUnknownSync(Schema.Array(SchemaRow))
const decodeSubject = Schema.decodeUnknownOption(SubjectRow)

/** What SQLite's result code means, and whether it passes by itself. */
const problemOf = (error: unknown): { readonly problem: string; readonly passes: boolean } => {
  const code = error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0
  switch (code & 0xff) {
    case 5:
    case 6:
      return { problem: "another process holds it.", passes: true }
    case 13:
      return { problem: "there is no space left. Make room; nothing was lost.", passes: true }
    case 8:
    case 14:
    case 23:
      return { problem: "it cannot be opened for writing. Check its owner and permissions.", passes: false }
    case 11:
    case 26:
      return { problem: "it is damaged. Restore it from a backup.", passes: false }
    default:
      return { problem: `${error instanceof Error ? error.message : String(error)}.`, passes: true }
  }
}

const open = (path: string): DatabaseSync => {
  const database = new DatabaseSync(path, { timeout: 1_000 })
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = 1")
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"]
  if (typeof version === "number" && version > formatVersion) {
    database.close()
    throw new RegistryError({
      reason: new RegistryUnusable({
        path,
        problem: `a newer version of Tributary wrote it (format ${version}, this one reads ${formatVersion}). Use that version.`,
        passes: false
      })
    })
  }
  database.exec(`
    CREATE TABLE IF NOT EXISTS schemas (
      id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (type, text)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS subjects (subject TEXT PRIMARY KEY, compatibility TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS versions (
      subject TEXT NOT NULL, version INTEGER NOT NULL, schema INTEGER NOT NULL, PRIMARY KEY (subject, version)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = ${formatVersion}`)
  return database
}

const statementsOf = (database: DatabaseSync) => ({
  database,
  byId: database.prepare("SELECT id, type, text FROM schemas WHERE id = ?"),
  byText: database.prepare("SELECT id, type, text FROM schemas WHERE type = ? AND text = ?"),
  history: database.prepare(
    "SELECT id, type, text FROM versions JOIN schemas ON id = schema WHERE subject = ? ORDER BY version DESC"
  ),
  subject: database.prepare("SELECT compatibility FROM subjects WHERE subject = ?"),
  setSubject: database.prepare(
    "INSERT INTO subjects (subject, compatibility) VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET compatibility = excluded.compatibility"
  ),
  addSchema: database.prepare("INSERT INTO schemas (type, text) VALUES (?, ?) RETURNING id, type, text"),
  addVersion: database.prepare(
    "INSERT INTO versions (subject, version, schema) SELECT ?, coalesce(max(version), 0) + 1, ? FROM versions WHERE subject = ?"
  )
})
type Statements = ReturnType<typeof statementsOf>

const make = Effect.fnUntraced(function* (path: string, directory: string | undefined) {
  const asError = (error: unknown): RegistryError =>
    error instanceof RegistryError
      ? error
      : new RegistryError({ reason: new RegistryUnusable({ path, ...problemOf(error) }) })
  let statements: Statements | undefined
  /** Opened when it is needed: most runs never need it. */
  const attempt = <A>(run: (statements: Statements) => A) =>
    Effect.try({
      try: () => {
        if (statements === undefined) {
          if (directory !== undefined) mkdirSync(directory, { recursive: true })
          statements = statementsOf(open(path))
        }
        return run(statements)
      },
      catch: asError
    })
  yield* Effect.addFinalizer(() => Effect.sync(() => statements?.database.close()))

  const byId = Effect.fn("SchemaRegistry.byId")(function* (id: number) {
    const row = yield* attempt(({ byId }) => decodeSchema(byId.get(id)))
    if (Option.isNone(row)) return yield* new RegistryError({ reason: new UnknownSchema({ registry: path, id }) })
    return { type: row.value.type, text: row.value.text } satisfies RegisteredSchema
  })
  const latest = Effect.fn("SchemaRegistry.latest")((subject: string) =>
    attempt(({ history }) => decodeSchema(history.get(subject)))
  )

  const register = Effect.fn("SchemaRegistry.register")(function* (
    subject: string,
    text: string,
    { compatibility: wanted, type }: RegisterOptions
  ) {
    // Loaded when a schema is first compared: most commands never do.
    const { incompatibility, parseAvro } = yield* Effect.promise(() => import("./Compatibility.ts"))
    const wrong = type === "avro" ? parseAvro(text) : undefined
    if (typeof wrong === "string")
      return yield* new RegistryError({
        reason: new SchemaRefused({
          registry: path,
          action: `register a schema of ${subject}`,
          status: 422,
          detail: wrong
        })
      })
    /** Within a transaction, so that of two processes the second sees the version of the first. */
    const registerNow = (sql: Statements): number => {
      const own = Option.getOrUndefined(decodeSubject(sql.subject.get(subject)))?.compatibility
      const compatibility: Compatibility = wanted ?? own ?? "BACKWARD"
      if (own !== compatibility) sql.setSubject.run(subject, compatibility)
      const versions = decodeSchemas(sql.history.all(subject))
      const same = versions.find((version) => version.type === type && version.text === text)
      if (same !== undefined) return same.id
      const last = versions[0]
      const problem =
        last !== undefined && last.type !== type && compatibility !== "NONE"
          ? `the versions before it are ${last.type}`
          : incompatibility(
              type,
              compatibility,
              text,
              versions.map((version) => version.text)
            )
      if (problem !== undefined) {
        const differences = last?.type === type ? `${differencesOf(last.text, text)}: ${problem}` : problem
        throw new RegistryError({ reason: new SchemaIncompatible({ subject, compatibility, differences }) })
      }
      const known = decodeSchema(sql.byText.get(type, text))
      const { id } = Option.getOrElse(known, () => Schema.decodeUnknownSync(SchemaRow)(sql.addSchema.get(type, text)))
      sql.addVersion.run(subject, id, subject)
      return id
    }
    return yield* attempt((sql) => {
      const { database } = sql
      database.exec("BEGIN IMMEDIATE")
      try {
        const id = registerNow(sql)
        database.exec("COMMIT")
        return id
      } catch (error) {
        // SQLite ends the transaction by itself after some errors, such as a full disk.
        if (database.isTransaction) database.exec("ROLLBACK")
        throw error
      }
    })
  })

  return SchemaRegistry.of({ register, latest, byId })
})

/** The registry of the embedded engine: the file `registry.db` of a data directory (SQLite, WAL, synced at every commit). */
export const layerSqlite = (options: { readonly directory: string }): Layer.Layer<SchemaRegistry> =>
  Layer.effect(SchemaRegistry, make(join(options.directory, "registry.db"), options.directory))

/** A registry that ends with its scope. */
export const layerMemory: Layer.Layer<SchemaRegistry> = Layer.effect(SchemaRegistry, make(":memory:", undefined))
