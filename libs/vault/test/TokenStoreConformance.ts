import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { Conflict, TokenStore } from "@tributary/vault"
import { tokens } from "./tokens.ts"

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
  })
