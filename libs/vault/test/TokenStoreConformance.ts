import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { Conflict, Superseded, TokenStore } from "@tributary/vault"
import { entry, tokens } from "./tokens.ts"

/** What every token store promises; run against each of them. The layer is built anew, and empty, for each promise. */
export const tokenStoreConformance = <E>(name: string, layer: Layer.Layer<TokenStore, E>) =>
  describe(name, () => {
    const promises = (title: string, body: (store: TokenStore["Service"]) => Effect.Effect<void, unknown>) =>
      it.live(title, () => Effect.provide(Effect.flatMap(TokenStore, body), Layer.fresh(layer)))

    promises("gives back what was saved", (store) =>
      Effect.gen(function* () {
        assert.isTrue(Option.isNone(yield* store.load("shop")))
        const saved = yield* store.save("shop", 0, tokens("1"))
        assert.strictEqual(saved.generation, 1)
        const loaded = Option.getOrThrow(yield* store.load("shop"))
        assert.deepStrictEqual(
          { ...loaded, accessToken: Redacted.value(loaded.accessToken), refreshToken: undefined },
          { ...tokens("1"), generation: 1, accessToken: "access-1", refreshToken: undefined }
        )
        assert.strictEqual(loaded.refreshToken && Redacted.value(loaded.refreshToken), "refresh-1")
      })
    )

    promises("keeps what was not said as not said", (store) =>
      Effect.gen(function* () {
        yield* store.save("shop", 0, { ...tokens("1"), expiresAt: undefined, refreshToken: undefined, seed: undefined })
        const loaded = Option.getOrThrow(yield* store.load("shop"))
        assert.isUndefined(loaded.expiresAt)
        assert.isUndefined(loaded.refreshToken)
        assert.isUndefined(loaded.seed)
      })
    )

    promises("keeps authorizations apart, whatever their names", (store) =>
      Effect.gen(function* () {
        const names = ["a", "A", "a/b", "ä", "'; DROP TABLE tokens; --", ""]
        for (const id of names) yield* store.save(id, 0, tokens(id))
        for (const id of names) {
          const loaded = Option.getOrThrow(yield* store.load(id))
          assert.strictEqual(Redacted.value(loaded.accessToken), `access-${id}`)
        }
      })
    )

    promises("refuses a save that missed another one, and changes nothing", (store) =>
      Effect.gen(function* () {
        yield* store.save("shop", 0, tokens("1"))
        yield* store.save("shop", 1, tokens("2"))
        for (const expected of [0, 1, 3]) {
          const error = yield* Effect.flip(store.save("shop", expected, tokens("late")))
          assert.instanceOf(error, Conflict)
          assert.deepInclude(error, { expected, current: 2 })
        }
        assert.strictEqual(Redacted.value(Option.getOrThrow(yield* store.load("shop")).accessToken), "access-2")
      })
    )

    promises("lets exactly one of many concurrent savers win each generation", (store) =>
      Effect.gen(function* () {
        for (let generation = 0; generation < 5; generation++) {
          const exits = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (index) => Effect.exit(store.save("shop", generation, tokens(String(index)))),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        }
      })
    )

    promises("never uses a generation twice, so a late writer cannot undo a removal", (store) =>
      Effect.gen(function* () {
        yield* store.save("shop", 0, tokens("1"))
        yield* store.remove("shop")
        assert.isTrue(Option.isNone(yield* store.load("shop")))
        assert.instanceOf(yield* Effect.flip(store.save("shop", 1, tokens("late"))), Conflict)
        assert.strictEqual((yield* store.save("shop", 0, tokens("2"))).generation, 2)
        assert.instanceOf(yield* Effect.flip(store.save("shop", 1, tokens("late"))), Conflict)
        yield* store.remove("never saved")
      })
    )

    promises("forgets no other generation than the one that is meant", (store) =>
      Effect.gen(function* () {
        yield* store.save("shop", 0, tokens("1"))
        yield* store.save("shop", 1, tokens("2"))
        assert.isFalse(yield* store.remove("shop", 1))
        assert.strictEqual((yield* store.read("shop")).tokens?.generation, 2)
        assert.isTrue(yield* store.remove("shop", 2))
        assert.isTrue(Option.isNone(yield* store.load("shop")))
        assert.isTrue(yield* store.remove("shop", 2), "so are they when it is repeated")
      })
    )

    promises("keeps a journal entry beside the tokens, also before there are any, until tokens are saved", (store) =>
      Effect.gen(function* () {
        for (const generation of [0, 1]) {
          yield* store.note("shop", generation, undefined, entry("a"))
          assert.deepStrictEqual((yield* store.read("shop")).entry, entry("a"))
          assert.strictEqual((yield* store.read("shop")).tokens?.generation ?? 0, generation)
          assert.isUndefined((yield* store.read("other")).entry)
          const saved = yield* store.save("shop", generation, tokens(String(generation)), "a")
          assert.strictEqual(saved.generation, generation + 1)
          assert.isUndefined((yield* store.read("shop")).entry)
        }
        yield* store.note("shop", 2, undefined, entry("b"))
        yield* store.remove("shop")
        assert.deepStrictEqual(yield* store.read("shop"), { tokens: undefined, entry: undefined })
        yield* store.note("shop", 0, undefined, entry("c"))
        assert.strictEqual((yield* store.save("shop", 0, tokens("3"), "c")).generation, 3)
      })
    )

    promises("changes the journal only over the entry that was read, and the same change twice is one", (store) =>
      Effect.gen(function* () {
        yield* store.save("shop", 0, tokens("1"))
        yield* store.note("shop", 1, undefined, undefined)
        yield* store.note("shop", 1, undefined, entry("a"))
        yield* store.note("shop", 1, undefined, entry("a"))
        const refused = [
          store.note("shop", 0, "a", entry("late")),
          store.note("shop", 2, "a", entry("late")),
          store.note("shop", 1, undefined, entry("late")),
          store.note("shop", 1, "other", entry("late")),
          store.note("shop", 1, "other", undefined)
        ]
        const errors = yield* Effect.forEach(refused, Effect.flip)
        assert.deepStrictEqual(
          errors.map((error) => error._tag),
          ["Conflict", "Conflict", "Superseded", "Superseded", "Superseded"]
        )
        assert.deepStrictEqual((yield* store.read("shop")).entry, entry("a"))
        yield* store.note("shop", 1, "a", entry("b"))
        yield* store.note("shop", 1, "b", entry("b", "given-up"))
        assert.deepStrictEqual((yield* store.read("shop")).entry, entry("b", "given-up"))
        yield* store.note("shop", 1, "b", entry("a"))
        yield* store.note("shop", 1, "a", undefined)
        yield* store.note("shop", 1, "a", undefined)
        assert.isUndefined((yield* store.read("shop")).entry)
      })
    )

    promises("refuses tokens of a request that a later one superseded, until that one is given up", (store) =>
      Effect.gen(function* () {
        yield* store.note("shop", 0, undefined, entry("a"))
        yield* store.note("shop", 0, "a", entry("b"))
        const error = yield* Effect.flip(store.save("shop", 0, tokens("late"), "a"))
        assert.instanceOf(error, Superseded)
        assert.isUndefined((yield* store.read("shop")).tokens)
        yield* store.note("shop", 0, "b", entry("b", "given-up"))
        assert.strictEqual((yield* store.save("shop", 0, tokens("a"), "a")).generation, 1)
        assert.isUndefined((yield* store.read("shop")).entry)
      })
    )

    promises("lets exactly one of many concurrent requests into the journal", (store) =>
      Effect.gen(function* () {
        const exits = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => index),
          (index) => Effect.exit(store.note("shop", 0, undefined, entry(String(index)))),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      })
    )
  })
