import { SqliteTokenStore, TokenStore, VaultError, rotateVault, vaultStatus } from "@tributary/vault"
import { hashicorpStandIn } from "@tributary/secrets/testing"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option, Redacted } from "effect"
import { chmodSync, existsSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { keyIdOf, newKey } from "./SealedRecordsConformance.ts"
import { entry, temporaryDirectory, tokens } from "./tokens.ts"

const opened = (directory: string, settings: Readonly<Record<string, string>>) =>
  SqliteTokenStore.layer({ directory }).pipe(
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_SECRETS_TIMEOUT: "5 seconds", ...settings }))
    )
  )
const load = (name: string) =>
  TokenStore.use((store) =>
    Effect.map(store.load(name), (found) => Redacted.value(Option.getOrThrow(found).accessToken))
  )
const save = (name: string, generation = 0) => TokenStore.use((store) => store.save(name, generation, tokens(name)))

/** A folder for tokens, and a file for keys, which is complete before it has its name. */
const places = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const file = join(yield* temporaryDirectory, "keys")
  const write = (...keys: ReadonlyArray<string>) => {
    writeFileSync(`${file}.new`, `${keys.join("\n")}\n`, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  return { directory, file, write, settings: { TRIBUTARY_VAULT_KEY: `file:${file}` } }
})

describe("Keys of the vault", () => {
  it.live("come from a file, and a change of it is taken up by a process that runs", () =>
    Effect.gen(function* () {
      const { directory, file, settings, write } = yield* places
      const [older, newer] = [newKey(), newKey()]
      write(older)
      yield* Effect.gen(function* () {
        yield* save("a")
        yield* save("b")
        // Another process has the new key only; it cannot read what is there, and says which key that needs.
        const other = yield* Effect.flip(
          Effect.provide(load("a"), opened(directory, { TRIBUTARY_VAULT_KEY: newer }), { local: true })
        )
        assert.include(other.message, `id ${keyIdOf(older)}`)
        assert.include(other.message, `id ${keyIdOf(newer)}`)
        assert.isFalse(existsSync(join(directory, "vault.key")), "no key is made where one is given")

        write(newer, older)
        yield* save("c")
        const status = Effect.provide(vaultStatus, opened(directory, settings), { local: true })
        assert.deepStrictEqual(
          (yield* status).keys.map(({ keyId, records }) => [keyId, records]),
          [
            [keyIdOf(newer), 1],
            [keyIdOf(older), 2]
          ]
        )
        const rotated = Effect.provide(rotateVault({ isDryRun: false, isAll: false }), opened(directory, settings), {
          local: true
        })
        assert.strictEqual((yield* rotated).resealed, 2)
        write(newer)
        for (const name of ["a", "b", "c"]) assert.strictEqual(yield* load(name), `access-${name}`)
        // What an editor leaves for a moment does not take the keys away.
        writeFileSync(file, "no key at all\n")
        assert.strictEqual(yield* load("a"), "access-a")
        write(older)
        const lost = yield* Effect.flip(load("a"))
        assert.match(lost.message, /sealed with a key that is not given/)
      }).pipe(Effect.provide(opened(directory, settings)))
    })
  )

  it.live("in a file that others may read or write are refused", () =>
    Effect.gen(function* () {
      const { directory, file, settings, write } = yield* places
      write(newKey())
      for (const [mode, isAllowed] of [
        [0o644, false],
        [0o660, false],
        [0o640, true],
        [0o440, true],
        [0o400, true]
      ] as const) {
        chmodSync(file, mode)
        const result = yield* Effect.result(
          Effect.provide(save(`mode-${mode}`), opened(directory, settings), { local: true })
        )
        assert.strictEqual(result._tag, isAllowed ? "Success" : "Failure", mode.toString(8))
        if (result._tag === "Failure")
          assert.match(result.failure.message, /is open to others \(mode 6\d\d\)\. Run `chmod 600/)
      }
      const none = yield* Effect.flip(
        Effect.provide(Effect.void, opened(directory, { TRIBUTARY_VAULT_KEY: "file:/nonexistent" }))
      )
      assert.match(none.message, /key file \/nonexistent cannot be read \(ENOENT\)/)
      const unknown = yield* Effect.flip(
        Effect.provide(Effect.void, opened(directory, { TRIBUTARY_VAULT_KEY: "canary:x" }))
      )
      assert.match(unknown.message, /names a key of the kind canary\. Expected/)
    })
  )

  it.live(
    "may be kept by another server: asked once for many records, and seldom; away, it makes a failure that passes",
    () =>
      Effect.gen(function* () {
        const { directory } = yield* places
        const vault = yield* hashicorpStandIn
        vault.rotateKey("tributary")
        const settings = {
          VAULT_ADDR: vault.url,
          VAULT_TOKEN: "root-token",
          TRIBUTARY_VAULT_KEY: "vault:transit/tributary"
        }
        const asked = (action: string) => vault.asked.filter(({ path }) => path.includes(`/transit/${action}/`)).length
        yield* Effect.gen(function* () {
          for (let index = 0; index < 50; index++) yield* save(`n${index}`)
          assert.strictEqual(asked("encrypt"), 1)
          assert.strictEqual(yield* load("n0"), "access-n0")
          assert.strictEqual(asked("decrypt"), 0, "it knows what it made")
        }).pipe(Effect.provide(opened(directory, settings), { local: true }))
        yield* Effect.gen(function* () {
          yield* Effect.forEach(
            Array.from({ length: 50 }, (_, index) => `n${index}`),
            load,
            { concurrency: "unbounded" }
          )
          assert.strictEqual(asked("decrypt"), 1)
        }).pipe(Effect.provide(opened(directory, settings), { local: true }))

        yield* Effect.gen(function* () {
          vault.fault("/transit/", "reset", "reset", "reset")
          const error = yield* Effect.flip(load("n0"))
          assert.instanceOf(error, VaultError)
          assert.strictEqual(error.failureClass, "transient")
          assert.strictEqual(yield* load("n0"), "access-n0", "it is asked again")
        }).pipe(Effect.provide(opened(directory, settings), { local: true }))

        // To a key of one's own and back again, and to a new version of the same key.
        const own = newKey()
        const onBoth = (keys: string, isAll = false) =>
          Effect.provide(
            rotateVault({ isDryRun: false, isAll }),
            opened(directory, { ...settings, TRIBUTARY_VAULT_KEY: keys }),
            { local: true }
          )
        assert.strictEqual((yield* onBoth(`${own},vault:transit/tributary`)).resealed, 50)
        assert.strictEqual(
          yield* Effect.provide(load("n7"), opened(directory, { TRIBUTARY_VAULT_KEY: own }), { local: true }),
          "access-n7"
        )
        assert.strictEqual((yield* onBoth(`vault:transit/tributary,${own}`)).resealed, 50)
        vault.rotateKey("tributary")
        assert.strictEqual((yield* onBoth("vault:transit/tributary")).resealed, 0)
        assert.strictEqual((yield* onBoth("vault:transit/tributary", true)).resealed, 50)

        vault.tokens.set("root-token", { ttl: 0, isRenewable: false, isAllowed: false })
        const denied = yield* Effect.flip(Effect.provide(load("n0"), opened(directory, settings), { local: true }))
        assert.match(
          denied.message,
          /transit key transit\/tributary: it is denied .* allow update on transit\/decrypt\/tributary/
        )
      })
  )

  it.live("that are kept elsewhere are asked for before a refresh token is spent, not after", () =>
    Effect.gen(function* () {
      const { directory } = yield* places
      const vault = yield* hashicorpStandIn
      vault.rotateKey("tributary")
      const layer = opened(directory, {
        VAULT_ADDR: vault.url,
        VAULT_TOKEN: "root-token",
        TRIBUTARY_VAULT_KEY: "vault:transit/tributary"
      })
      yield* Effect.provide(save("shop"), layer, { local: true })
      // Started anew, it can open what is stored, and has made no data key of its own.
      yield* Effect.gen(function* () {
        const store = yield* TokenStore
        assert.strictEqual(yield* load("shop"), "access-shop")
        vault.fault("/transit/encrypt/", "reset", "reset", "reset")
        const error = yield* Effect.flip(store.note("shop", 1, undefined, entry("a")))
        assert.strictEqual(error._tag === "VaultError" && error.failureClass, "transient")
        assert.isUndefined((yield* store.read("shop")).entry)
        yield* store.note("shop", 1, undefined, entry("a"))
        vault.fault("/transit/encrypt/", "reset", "reset", "reset")
        yield* store.save("shop", 1, tokens("next"), "a")
        assert.strictEqual(yield* load("shop"), "access-next")
        // Writing down an end needs no key.
        yield* store.note("shop", 2, undefined, undefined)
      }).pipe(Effect.provide(layer, { local: true }))
    })
  )
})
