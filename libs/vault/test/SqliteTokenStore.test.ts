import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Redacted } from "effect"
import {
  type Conflict,
  rotateVault,
  SqliteTokenStore,
  type Superseded,
  TokenStore,
  type VaultError
} from "@tributary/vault"
import { randomBytes } from "node:crypto"
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { entry, temporaryDirectory, tokens } from "./tokens.ts"

const newKey = () => randomBytes(32).toString("base64")

/** Opens the vault, works with it and closes it again, as one run of the program does. */
const run = <A, E>(
  directory: string,
  environment: Record<string, string>,
  work: (store: TokenStore["Service"]) => Effect.Effect<A, E>
) =>
  Effect.flatMap(TokenStore, work).pipe(
    Effect.provide(SqliteTokenStore.layer({ directory }), { local: true }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(environment))
  )

const accessTokenOf = (store: TokenStore["Service"], id = "shop") =>
  Effect.map(store.load(id), (found) => Redacted.value(Option.getOrThrow(found).accessToken))

describe("SqliteTokenStore", () => {
  it.effect("keeps tokens across runs with a generated key, in files for the owner only", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) =>
        Effect.gen(function* () {
          yield* store.save("shop", 0, tokens("1"))
          const files = readdirSync(directory)
          assert.includeMembers(files, ["vault.db", "vault.db-wal", "vault.key"])
          for (const file of files) assert.strictEqual(statSync(join(directory, file)).mode & 0o777, 0o600, file)
        })
      )
      assert.strictEqual(yield* run(directory, {}, accessTokenOf), "access-1")
      assert.isEmpty(readdirSync(directory).filter((file) => file.endsWith(".new")))
    })
  )

  it.effect(
    "writes no token in clear: not to the database, its log, a dump or a copy, and neither does a rotation",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const [older, newer] = [newKey(), newKey()]
        const secrets = ["canary", older, newer, Buffer.from(older, "base64"), Buffer.from(newer, "base64")]
        let seen = 0
        const look = () => {
          for (const name of readdirSync(directory)) {
            const bytes = readFileSync(join(directory, name))
            if (bytes.includes("shop")) seen++
            for (const secret of secrets) assert.isFalse(bytes.includes(secret), `${name} holds a secret`)
          }
        }
        yield* run(directory, { TRIBUTARY_VAULT_KEY: older }, (store) =>
          Effect.gen(function* () {
            for (let generation = 0; generation < 50; generation++) {
              yield* store.note("shop", generation, undefined, entry(`attempt-${generation}`))
              yield* store.save("shop", generation, tokens(`canary-${generation}`), `attempt-${generation}`)
            }
            yield* store.save("gone", 0, tokens("canary-gone"))
            yield* store.remove("gone")
            look()
          })
        )
        yield* rotateVault({ isDryRun: false, isAll: true }).pipe(
          Effect.tap(() => Effect.sync(look)),
          Effect.provide(SqliteTokenStore.layer({ directory }), { local: true }),
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: `${newer},${older}` })
          )
        )
        const database = new DatabaseSync(join(directory, "vault.db"))
        database.exec(`VACUUM INTO '${join(directory, "backup.db")}'`)
        const dump = ["tokens", "journal"].flatMap((table) => database.prepare(`SELECT * FROM ${table}`).all())
        database.close()
        const cells = dump.flatMap((row) =>
          Object.values(row).map((value) => (value instanceof Uint8Array ? value : Buffer.from(String(value))))
        )
        writeFileSync(join(directory, "dump"), Buffer.concat(cells))
        look()
        assert.isAbove(seen, 3, "the search looks at the right files")
      })
  )

  it.effect("says so when the key is missing, and makes no new one", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) => store.save("shop", 0, tokens("1")))
      const key = readFileSync(join(directory, "vault.key"))
      rmSync(join(directory, "vault.key"))
      const error = yield* Effect.flip(run(directory, {}, accessTokenOf))
      assert.strictEqual(error._tag, "VaultError")
      assert.match(error.message, /key that sealed them is gone.*TRIBUTARY_VAULT_KEY.*vault\.key.*Restore/s)
      assert.notInclude(readdirSync(directory), "vault.key")
      writeFileSync(join(directory, "vault.key"), key)
      assert.strictEqual(yield* run(directory, {}, accessTokenOf), "access-1")
    })
  )

  it.effect("says so when the key is wrong, and overwrites nothing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [right, wrong] = [newKey(), newKey()]
      yield* run(directory, { TRIBUTARY_VAULT_KEY: right }, (store) => store.save("shop", 0, tokens("1")))
      const error = yield* Effect.flip(run(directory, { TRIBUTARY_VAULT_KEY: wrong }, accessTokenOf))
      assert.match(error.message, /sealed with another key/)
      assert.notInclude(error.message, wrong)
      assert.strictEqual(yield* run(directory, { TRIBUTARY_VAULT_KEY: right }, accessTokenOf), "access-1")
      assert.notInclude(readdirSync(directory), "vault.key")
    })
  )

  it.effect("a record whose key is missing stays as it is while others work", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [first, second] = [newKey(), newKey()]
      yield* run(directory, { TRIBUTARY_VAULT_KEY: first }, (store) => store.save("old", 0, tokens("old")))
      yield* run(directory, { TRIBUTARY_VAULT_KEY: `${second},${first}` }, (store) =>
        store.save("new", 0, tokens("new"))
      )
      yield* run(directory, { TRIBUTARY_VAULT_KEY: second }, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* accessTokenOf(store, "new"), "access-new")
          const calls: ReadonlyArray<Effect.Effect<unknown, VaultError | Conflict | Superseded>> = [
            store.load("old"),
            store.save("old", 1, tokens("x")),
            store.save("old", 0, tokens("x"))
          ]
          for (const call of calls) {
            const error = yield* Effect.flip(call)
            assert.match(error.message, /Tokens of old: they were sealed with a key that is not given/)
          }
        })
      )
      const old = yield* run(directory, { TRIBUTARY_VAULT_KEY: first + "\n" + second }, (store) =>
        accessTokenOf(store, "old")
      )
      assert.strictEqual(old, "access-old")
    })
  )

  it.effect("seals with the first of several keys, so that a key can be changed step by step", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) => store.save("shop", 0, tokens("1")))
      const key = newKey()
      // From the file to the environment: the file's key still opens what it sealed.
      yield* run(directory, { TRIBUTARY_VAULT_KEY: key }, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* accessTokenOf(store), "access-1")
          yield* store.save("shop", 1, tokens("2"))
        })
      )
      rmSync(join(directory, "vault.key"))
      assert.strictEqual(yield* run(directory, { TRIBUTARY_VAULT_KEY: key }, accessTokenOf), "access-2")
    })
  )

  it.effect("refuses keys that are no keys", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      for (const key of ["secret", randomBytes(16).toString("base64"), "!".repeat(44)]) {
        const error = yield* Effect.flip(run(directory, { TRIBUTARY_VAULT_KEY: key }, accessTokenOf))
        assert.match(error.message, /32 bytes in base64 were expected.*openssl rand/s)
        assert.notInclude(error.message, key)
      }
    })
  )

  it.effect("notices a record that was changed or moved", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) =>
        Effect.andThen(store.save("a", 0, tokens("a")), store.save("b", 0, tokens("b")))
      )
      const tamper = (sql: string) => {
        const database = new DatabaseSync(join(directory, "vault.db"))
        database.exec(sql)
        database.close()
      }
      tamper(
        "UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE authorization = 'a') WHERE authorization = 'b'"
      )
      const moved = yield* Effect.flip(run(directory, {}, (store) => store.load("b")))
      assert.match(moved.message, /changed or damaged/)
      tamper("UPDATE tokens SET generation = 7 WHERE authorization = 'a'")
      const rolled = yield* Effect.flip(run(directory, {}, (store) => store.load("a")))
      assert.match(rolled.message, /changed or damaged/)
      assert.strictEqual(rolled.failureClass, "misconfigured")
      // The way out that the message names works.
      yield* run(directory, {}, (store) =>
        Effect.andThen(store.remove("b"), Effect.asVoid(store.save("b", 0, tokens("b2"))))
      )
      assert.strictEqual(yield* run(directory, {}, (store) => accessTokenOf(store, "b")), "access-b2")
    })
  )

  it.effect("says what is wrong with the file", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      writeFileSync(join(directory, "vault.db"), "no database at all, but text ".repeat(100))
      const damaged = yield* Effect.flip(run(directory, {}, accessTokenOf))
      assert.match(damaged.message, /damaged/)
      rmSync(join(directory, "vault.db"))
      const newer = new DatabaseSync(join(directory, "vault.db"))
      newer.exec("PRAGMA user_version = 99")
      newer.close()
      const tooNew = yield* Effect.flip(run(directory, {}, accessTokenOf))
      assert.match(tooNew.message, /newer version/)
    })
  )

  it.effect("says which file is damaged, however it was, and forgets no token for it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const path = join(directory, "vault.db")
      yield* run(directory, {}, (store) =>
        Effect.forEach(
          Array.from({ length: 60 }, (_, k) => `a${k}`),
          (id) => store.save(id, 0, tokens(id))
        )
      )
      const whole = readFileSync(path)
      const damages: ReadonlyArray<readonly [string, () => void]> = [
        ["cut after its first page", () => writeFileSync(path, whole.subarray(0, 4096))],
        ["cut in the middle", () => writeFileSync(path, whole.subarray(0, whole.length - 5000))],
        ["overwritten in the middle", () => writeFileSync(path, Buffer.from(whole).fill(0x55, 4096, 20_000))],
        [
          "without a table",
          () => {
            writeFileSync(path, whole)
            const database = new DatabaseSync(path)
            database.exec("DROP TABLE journal")
            database.close()
          }
        ]
      ]
      for (const [what, damage] of damages) {
        damage()
        const error = yield* Effect.flip(
          run(directory, {}, (store) =>
            Effect.forEach(
              Array.from({ length: 60 }, (_, k) => `a${k}`),
              store.read
            )
          )
        )
        assert.deepInclude(error, { _tag: "VaultError", failureClass: "misconfigured" }, what)
        assert.include(error.message, `vault.db in ${directory} is damaged`, what)
      }
      writeFileSync(path, whole)
      assert.strictEqual(yield* run(directory, {}, (store) => accessTokenOf(store, "a59")), "access-a59")
    })
  )

  it.effect("says where the file cannot be opened", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      writeFileSync(join(directory, "file"), "")
      mkdirSync(join(directory, "taken", "vault.db"), { recursive: true })
      for (const place of [join(directory, "file"), join(directory, "file", "below"), join(directory, "taken")]) {
        const error = yield* Effect.flip(run(place, {}, accessTokenOf))
        assert.deepInclude(error, { _tag: "VaultError", failureClass: "misconfigured" })
        assert.include(error.message, `vault.db in ${place} cannot be opened for writing`)
      }
    })
  )

  it.effect("is transient while another process holds the file", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) =>
        Effect.gen(function* () {
          const other = new DatabaseSync(join(directory, "vault.db"))
          other.exec("BEGIN IMMEDIATE")
          const error = yield* Effect.flip(store.save("shop", 0, tokens("1")))
          assert.deepInclude(error, { _tag: "VaultError", failureClass: "transient" })
          other.exec("ROLLBACK")
          other.close()
          assert.strictEqual((yield* store.save("shop", 0, tokens("1"))).generation, 1)
        })
      )
    })
  )

  it.effect("takes away a wider mode that the files were given", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* run(directory, {}, (store) => store.save("shop", 0, tokens("1")))
      for (const file of ["vault.db", "vault.key"]) chmodSync(join(directory, file), 0o644)
      yield* run(directory, {}, accessTokenOf)
      for (const file of ["vault.db", "vault.key"]) {
        assert.strictEqual(statSync(join(directory, file)).mode & 0o777, 0o600)
      }
    })
  )
})
