import { PlaceError } from "@tributary/secrets"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { makeDataKeys } from "../src/DataKeys.ts"
import type { VaultKey } from "../src/VaultKey.ts"

describe("data keys", () => {
  it.effect("go on sealing while their keeper is away, and no longer than it is; what it denies is not used", () =>
    Effect.gen(function* () {
      let asked = 0
      let refusal: PlaceError["failureClass"] | undefined
      const answer = (bytes: Uint8Array) =>
        Effect.suspend(() => {
          asked++
          return refusal === undefined
            ? Effect.succeed(bytes)
            : new PlaceError({ place: "the keeper", problem: "it is away.", failureClass: refusal })
        })
      const under = {
        id: "kept",
        isHere: false,
        itself: undefined,
        wrap: () => answer(new Uint8Array(8)),
        unwrap: () => Effect.die("it is not asked to unwrap")
      } satisfies VaultKey
      const { toSeal } = makeDataKeys(yield* Effect.scope)
      const first = yield* toSeal(under)
      yield* TestClock.adjust("61 minutes")
      for (const failureClass of ["transient", "throttled"] as const) {
        refusal = failureClass
        assert.strictEqual(yield* toSeal(under), first)
        assert.strictEqual(yield* toSeal(under), first)
        yield* TestClock.adjust("2 days")
      }
      assert.strictEqual(asked, 3, "a keeper that is away is left alone for a while")
      refusal = "misconfigured"
      assert.strictEqual((yield* Effect.flip(toSeal(under))).failureClass, "misconfigured")
      refusal = "transient"
      assert.strictEqual((yield* Effect.flip(toSeal(under))).failureClass, "transient", "it was denied before")
      refusal = undefined
      assert.notStrictEqual(yield* toSeal(under), first)
    })
  )
})
