import { isEnvelope, rotateVault, SealedRecords, TokenStore, VaultError, vaultStatus } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { hashicorpStandIn } from "@tributary/secrets/testing"
import { Effect, Fiber, Layer, Option, Redacted, type Scope } from "effect"
import { createCipheriv, createHash, randomBytes } from "node:crypto"
import { entry, tokens } from "./tokens.ts"

export const newKey = (): string => randomBytes(32).toString("base64")

/** The id of a key, as records name it. */
export const keyIdOf = (key: string): string =>
  createHash("sha256").update("tributary vault key\0").update(Buffer.from(key, "base64")).digest("hex").slice(0, 16)

/** A record as the first version sealed it: under the key itself, bound to name and generation. */
export const sealedBefore = (key: string, authorization: string, generation: number): Buffer => {
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", Buffer.from(key, "base64"), nonce).setAAD(
    Buffer.from(JSON.stringify([authorization, generation]))
  )
  const text = JSON.stringify({
    accessToken: `access-${authorization}`,
    tokenType: "Bearer",
    expiresAt: 1_900_000_000_000,
    obtainedAt: 1_800_000_000_000,
    refreshToken: `refresh-${authorization}`,
    scopes: [],
    settings: "settings",
    seed: null
  })
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()])
}

/** A store of one test, which may be opened with other keys again and again. */
export interface Vessel {
  /** `keys` as TRIBUTARY_VAULT_KEY has them. */
  readonly opened: (
    keys: string,
    settings?: Readonly<Record<string, string>>
  ) => Layer.Layer<TokenStore | SealedRecords, VaultError>
  /** Writes bytes as they are, past the store. */
  readonly plant: (authorization: string, generation: number, keyId: string, sealed: Uint8Array) => Effect.Effect<void>
  readonly bytesOf: (authorization: string) => Effect.Effect<{ readonly keyId: string; readonly sealed: Uint8Array }>
}

const accessTokenOf = Effect.fnUntraced(function* (name: string) {
  const store = yield* TokenStore
  return Redacted.value(Option.getOrThrow(yield* store.load(name)).accessToken)
})
const save = (name: string, generation: number, text = name) =>
  TokenStore.use((store) => store.save(name, generation, tokens(text)))

/** What every store promises of its sealed records. */
export const sealedRecordsConformance = <E>(name: string, vessel: Effect.Effect<Vessel, E, Scope.Scope>) =>
  describe(name, () => {
    const promises = (title: string, body: (vessel: Vessel) => Effect.Effect<void, unknown>) =>
      it.live(title, () => Effect.scoped(Effect.flatMap(vessel, body)))
    const on = <A, E>(
      { opened }: Vessel,
      keys: string,
      work: Effect.Effect<A, E, TokenStore | SealedRecords>
    ): Effect.Effect<A, E | VaultError> => Effect.provide(work, opened(keys), { local: true })
    const rotated = rotateVault({ isDryRun: false, isAll: false })

    promises("seals each record under a data key of its own, and names the key that this needs", (vessel) =>
      Effect.gen(function* () {
        const key = newKey()
        yield* on(vessel, key, Effect.andThen(save("a", 0, "same"), save("b", 0, "same")))
        const [a, b] = [yield* vessel.bytesOf("a"), yield* vessel.bytesOf("b")]
        for (const { keyId, sealed } of [a, b]) {
          assert.strictEqual(keyId, keyIdOf(key))
          assert.isTrue(isEnvelope(sealed))
        }
        // Mark and length are the same; the wrapped keys are not.
        assert.deepStrictEqual(a.sealed.subarray(0, 10), b.sealed.subarray(0, 10))
        assert.notDeepEqual(a.sealed.subarray(10, 70), b.sealed.subarray(10, 70))
      })
    )

    promises("opens nothing that was changed anywhere, or is at another place", (vessel) =>
      Effect.gen(function* () {
        const [key, other] = [newKey(), newKey()]
        const keys = `${key},${other}`
        yield* on(vessel, keys, save("a", 0))
        const { keyId, sealed } = yield* vessel.bytesOf("a")
        const attempts: Array<readonly [string, number, string, Uint8Array]> = [
          ["b", 1, keyId, sealed],
          ["a", 2, keyId, sealed],
          ["a", 1, keyIdOf(other), sealed],
          ["a", 1, keyId, sealed.subarray(0, -1)],
          ["a", 1, keyId, sealed.subarray(0, 9)],
          ["a", 1, keyId, Buffer.alloc(0)]
        ]
        for (let at = 0; at < sealed.length; at += 5) {
          const changed = Buffer.from(sealed)
          changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
          attempts.push(["a", 1, keyId, changed])
        }
        for (const [name, generation, id, bytes] of attempts) {
          yield* vessel.plant(name, generation, id, bytes)
          const error = yield* Effect.flip(on(vessel, keys, accessTokenOf(name)))
          assert.instanceOf(error, VaultError)
          assert.match(error.message, /changed or damaged/)
        }
        yield* vessel.plant("a", 1, keyId, sealed)
        assert.strictEqual(yield* on(vessel, keys, accessTokenOf("a")), "access-a")
      })
    )

    promises("reads what earlier versions sealed, and gives it the present form when it is sealed anew", (vessel) =>
      Effect.gen(function* () {
        const key = newKey()
        for (const name of ["rotated", "saved"]) {
          yield* vessel.plant(name, 3, keyIdOf(key), sealedBefore(key, name, 3))
        }
        yield* on(
          vessel,
          key,
          Effect.gen(function* () {
            assert.strictEqual(yield* accessTokenOf("rotated"), "access-rotated")
            assert.strictEqual((yield* vaultStatus).keys[0]?.firstForm, 2)
            assert.strictEqual((yield* save("saved", 3)).generation, 4)
            assert.strictEqual((yield* rotated).resealed, 1)
            assert.strictEqual((yield* vaultStatus).keys[0]?.firstForm, 0)
            assert.strictEqual(yield* accessTokenOf("rotated"), "access-rotated")
          })
        )
        for (const name of ["rotated", "saved"]) assert.isTrue(isEnvelope((yield* vessel.bytesOf(name)).sealed))
        yield* vessel.plant("tampered", 3, keyIdOf(key), sealedBefore(key, "other", 3))
        assert.match((yield* Effect.flip(on(vessel, key, accessTokenOf("tampered")))).message, /changed or damaged/)
      })
    )

    promises(
      "seals all records with the first key; generations and journals stay, and a dry run changes nothing",
      (vessel) =>
        Effect.gen(function* () {
          const [older, newer] = [newKey(), newKey()]
          yield* on(
            vessel,
            older,
            Effect.gen(function* () {
              const store = yield* TokenStore
              for (const name of ["a", "b", "c"]) yield* store.save(name, 0, tokens(name))
              yield* store.save("a", 1, tokens("a2"))
              yield* store.note("a", 2, undefined, entry("attempt"))
              yield* store.remove("c")
            })
          )
          const before = yield* vessel.bytesOf("a")
          yield* on(
            vessel,
            `${newer},${older}`,
            Effect.gen(function* () {
              const store = yield* TokenStore
              assert.deepStrictEqual(
                (yield* vaultStatus).keys.map(({ keyId, records, state }) => [keyId, records, state]),
                [
                  [keyIdOf(newer), 0, "current"],
                  [keyIdOf(older), 2, "readable"]
                ]
              )
              const dry = yield* rotateVault({ isDryRun: true, isAll: false })
              assert.deepInclude(dry, { resealed: 2, isDryRun: true })
              assert.deepStrictEqual(yield* vessel.bytesOf("a"), before)
              assert.strictEqual((yield* rotated).resealed, 2)
              assert.strictEqual((yield* rotated).resealed, 0, "there is nothing left to do")
              assert.strictEqual((yield* rotateVault({ isDryRun: false, isAll: true })).resealed, 2)
              const record = yield* store.read("a")
              assert.strictEqual(record.tokens?.generation, 2)
              assert.deepStrictEqual(record.entry, entry("attempt"))
              assert.isTrue(Option.isNone(yield* store.load("c")))
            })
          )
          assert.strictEqual(yield* on(vessel, newer, accessTokenOf("a")), "access-a2")
          const error = yield* Effect.flip(on(vessel, older, accessTokenOf("a")))
          assert.include(error.message, keyIdOf(newer))
          assert.include(error.message, keyIdOf(older))
        })
    )

    promises("leaves records whose key is missing as they are, does the others, and names both keys", (vessel) =>
      Effect.gen(function* () {
        const [lost, older, newer] = [newKey(), newKey(), newKey()]
        yield* on(vessel, lost, save("lost", 0))
        yield* on(vessel, `${older},${lost}`, save("old", 0))
        const before = yield* vessel.bytesOf("lost")
        yield* on(
          vessel,
          `${newer},${older}`,
          Effect.gen(function* () {
            const error = yield* Effect.flip(rotated)
            assert.strictEqual(error._tag, "NotRotated")
            for (const id of [lost, older, newer].map(keyIdOf)) assert.include(error.message, id)
            for (const secret of [lost, older, newer]) assert.notInclude(error.message, secret)
            assert.strictEqual(yield* accessTokenOf("old"), "access-old")
            assert.deepStrictEqual(
              (yield* vaultStatus).keys.map(({ records, state }) => [records, state]),
              [
                [1, "current"],
                [0, "readable"],
                [1, "missing"]
              ]
            )
            const refused = yield* Effect.flip(accessTokenOf("lost"))
            assert.include(refused.message, keyIdOf(lost))
            assert.include(refused.message, keyIdOf(newer))
          })
        )
        assert.deepStrictEqual(yield* vessel.bytesOf("lost"), before)
        assert.strictEqual(yield* on(vessel, `${newer},${lost}`, accessTokenOf("lost")), "access-lost")
      })
    )

    promises("does not put a record in the place of what was saved or removed since it was read", (vessel) =>
      Effect.gen(function* () {
        // The key's keeper answers late, and meanwhile a worker goes on.
        const keeper = yield* hashicorpStandIn
        keeper.rotateKey("tributary")
        const settings = { VAULT_ADDR: keeper.url, VAULT_TOKEN: "root-token" }
        const older = newKey()
        const worker = yield* Layer.build(vessel.opened(older))
        yield* Effect.provide(Effect.andThen(save("a", 0), save("b", 0)), worker)
        const changes = [
          ["a", TokenStore.use((store) => store.save("a", 1, tokens("a2")))],
          ["b", Effect.asVoid(TokenStore.use((store) => store.remove("b")))]
        ] as const
        for (const [name, change] of changes) {
          const rotation = yield* Layer.build(vessel.opened(`vault:transit/tributary,${older}`, settings))
          const before = keeper.asked.length
          keeper.fault("/transit/encrypt/", "reset", "reset")
          const resealing = yield* Effect.forkChild(
            Effect.provide(
              SealedRecords.use((records) => records.reseal(name)),
              rotation
            )
          )
          yield* keeper.until(() => keeper.asked.slice(before).some(({ path }) => path.includes("/transit/encrypt/")))
          yield* Effect.provide(change, worker)
          assert.strictEqual(yield* Fiber.join(resealing), "changed")
        }
        assert.strictEqual(yield* Effect.provide(accessTokenOf("a"), worker), "access-a2")
        assert.isTrue(
          Option.isNone(
            yield* Effect.provide(
              TokenStore.use((store) => store.load("b")),
              worker
            )
          )
        )
        const none = SealedRecords.use((records) => records.reseal("never saved"))
        assert.strictEqual(yield* Effect.provide(none, worker), "changed")
      }).pipe(Effect.scoped)
    )
  })
