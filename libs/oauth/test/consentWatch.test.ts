import { assert, describe, it } from "@effect/vitest"
import { makeConsentWatch } from "@tributary/oauth"
import { TokenStore } from "@tributary/vault"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"

const tokens = (seed: string) => ({
  accessToken: Redacted.make("access"),
  tokenType: "Bearer",
  expiresAt: undefined,
  obtainedAt: 0,
  refreshToken: Redacted.make("refresh"),
  scopes: [],
  settings: "settings",
  seed
})

describe("a consent that is awaited", () => {
  it.effect("is seen within seconds, whoever stores it, and not before", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const watch = yield* makeConsentWatch("shop")
      yield* watch.begin
      const waiting = yield* Effect.forkChild(watch.consented)
      yield* TestClock.adjust("1 hour")
      yield* store.save("other", 0, tokens("a"))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
      yield* store.save("shop", 0, tokens("a"))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(TokenStore.layerMemory))
  )

  it.effect("that came while the work was failing is seen at once", () =>
    Effect.gen(function* () {
      const watch = yield* makeConsentWatch("shop")
      yield* watch.begin
      yield* TokenStore.use((store) => store.save("shop", 0, tokens("a")))
      yield* watch.consented
    }).pipe(Effect.provide(TokenStore.layerMemory))
  )

  it.effect("is not what the work refreshed before it failed", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const watch = yield* makeConsentWatch("shop")
      const life = (consentedAt: number, obtainedAt: number) => ({
        ...tokens("a"),
        refreshLife: { consentedAt, obtainedAt, saidEnd: undefined, isFixed: false }
      })
      yield* store.save("shop", 0, life(1, 1))
      yield* watch.begin
      yield* store.save("shop", 1, life(1, 2))
      const waiting = yield* Effect.forkChild(watch.consented)
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
      yield* store.save("shop", 2, life(3, 3))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(TokenStore.layerMemory))
  )

  it.effect("is another refresh token where one is configured, however late it comes", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      let configured: string | undefined = "a"
      const watch = yield* makeConsentWatch(
        "shop",
        Effect.sync(() => configured)
      )
      yield* watch.begin
      yield* store.save("shop", 0, tokens("a"))
      yield* store.save("shop", 1, tokens("a"))
      const waiting = yield* Effect.forkChild(watch.consented)
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
      // A file that is being replaced may be away for a moment.
      configured = undefined
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
      configured = "b"
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    }).pipe(Effect.provide(TokenStore.layerMemory))
  )

  it.effect("is tried again while managers may share the failure of before, and no longer", () =>
    Effect.gen(function* () {
      const store = yield* TokenStore
      const watch = yield* makeConsentWatch("shop")
      yield* watch.begin
      yield* store.save("shop", 0, tokens("a"))
      yield* watch.consented
      let tries = 0
      const work = Effect.forever(
        Effect.andThen(
          watch.begin,
          Effect.tap(watch.consented, () => Effect.sync(() => tries++))
        )
      )
      yield* Effect.forkChild(work)
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(tries, 4)
      assert.isAtMost(tries, 7)
    }).pipe(Effect.provide(TokenStore.layerMemory))
  )
})
