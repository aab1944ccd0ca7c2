import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { heldOf } from "../src/Held.ts"
import { schedule } from "../src/lifetime.ts"
import type { Profile } from "../src/profile/Profile.ts"
import { casesOf, onTestClock } from "./providerWorld.ts"

const hour = 3_600_000
const day = 24 * hour

const acme = (lifecycle: NonNullable<Profile["lifecycle"]> = {}): Profile => ({
  id: "acme",
  name: "Acme",
  sources: {},
  grants: { value: ["refresh_token"], unverified: true },
  endpoints: { token: { value: "https://id.acme.example/token", unverified: true } },
  lifecycle: { access_token_life: { value: 3600, unverified: true }, ...lifecycle }
})
const idle = { idle_life: { value: 864_000, unverified: true } } as const

const worldOf = (profile: Profile, known?: Profile) => {
  const [one] = casesOf(profile)
  return one === undefined ? Effect.die("no grant") : onTestClock(one, known)
}

const days = Effect.fnUntraced(function* (count: number) {
  for (let hours = 0; hours < count * 24; hours++) yield* TestClock.adjust(hour)
})

describe("a refresh token that dies unused", () => {
  it.effect("is used in time while nobody wants a token, without haste", () =>
    Effect.gen(function* () {
      const { manager, server, state } = yield* worldOf(acme(idle))
      yield* manager.get
      const before = server.requests
      yield* days(60)
      // Every 5 to 6 days of 10, and the first token's own replacement.
      assert.isAtLeast(server.requests - before, 10)
      assert.isAtMost(server.requests - before, 14)
      const { value } = yield* manager.get
      assert.isTrue(state.validate(Redacted.value(value)).active)
      assert.strictEqual(state.stats.refused, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("is so from the start, though nobody ever asked for a token since", () =>
    Effect.gen(function* () {
      const { manager, reopen, server } = yield* worldOf(acme(idle))
      yield* manager.get
      const before = server.requests
      const again = yield* reopen
      yield* days(20)
      assert.isAtLeast(server.requests - before, 2)
      yield* again.get
    }).pipe(Effect.scoped)
  )

  it.effect("would be dead if nothing were known of it", () =>
    Effect.gen(function* () {
      const { manager } = yield* worldOf(acme(idle), acme())
      yield* manager.get
      yield* days(60)
      assert.strictEqual((yield* Effect.flip(manager.get)).failureClass, "needs-consent")
    }).pipe(Effect.scoped)
  )
})

describe("the status of an authorization", () => {
  it.effect("tells two weeks ahead that a person has to authorize anew, and nothing of it before", () =>
    Effect.gen(function* () {
      const { manager } = yield* worldOf(acme({ ...idle, absolute_life: { value: 30 * 86_400, unverified: true } }))
      assert.deepInclude(yield* manager.status, { generation: 0, reconnectBy: undefined, isReconnectDue: false })
      yield* manager.get
      const first = yield* manager.status
      assert.deepInclude(first, {
        authorization: "acme",
        generation: 1,
        obtainedAt: 0,
        expiresAt: hour,
        reconnectBy: 30 * day,
        unusedEnd: 10 * day,
        isReconnectDue: false,
        failure: undefined
      })
      yield* days(15)
      assert.isFalse((yield* manager.status).isReconnectDue)
      yield* days(1)
      yield* manager.get
      const later = yield* manager.status
      assert.deepInclude(later, { reconnectBy: 30 * day, isReconnectDue: true })
      assert.isAbove(later.unusedEnd ?? 0, 20 * day)
    }).pipe(Effect.scoped)
  )

  it.effect("tells the failure, and that a dead refresh token needs a person", () =>
    Effect.gen(function* () {
      const { manager, state } = yield* worldOf(acme())
      const token = yield* manager.get
      state.revokeFamilies()
      yield* Effect.flip(manager.rejected(token))
      const { failure, isReconnectDue } = yield* manager.status
      assert.strictEqual(failure?.failureClass, "needs-consent")
      assert.isTrue(isReconnectDue)
    }).pipe(Effect.scoped)
  )
})

describe("where the provider refuses early refreshes", () => {
  it("the plan keeps to the time that is left", () => {
    for (const random of [0, 0.5, 1]) {
      const short = schedule(0, 600_000, random, 30_000)
      assert.isAtLeast(short.refreshAt, 572_000)
      assert.isAtMost(short.refreshAt, short.usableUntil)
      assert.isBelow(short.usableUntil, 600_000)
      assert.deepStrictEqual(schedule(0, 600_000, random, 0), { refreshAt: 602_000, usableUntil: 600_000 })
      assert.deepStrictEqual(schedule(0, 600_000, random, 590_000), schedule(0, 600_000, random))
    }
  })

  it.effect("a token is handed out until its end, and the next one asked for after it", () =>
    Effect.gen(function* () {
      const profile = acme({ early_refresh: { value: "refused", unverified: true } })
      const { manager, server, state } = yield* worldOf(profile)
      const first = yield* manager.get
      yield* TestClock.adjust(hour - 1)
      assert.strictEqual((yield* manager.get).generation, first.generation)
      assert.strictEqual(server.requests, 1)
      yield* TestClock.adjust(1)
      // It has ended here; at the server perhaps a moment later, which is waited for.
      const next = yield* Effect.forkChild(manager.get, { startImmediately: true })
      yield* TestClock.adjust(1999)
      assert.strictEqual(server.requests, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(next)).generation, first.generation + 1)
      assert.strictEqual(state.stats.refused, 0)
    }).pipe(Effect.scoped)
  )
})

it.effect("no more token requests are sent than the provider answers, and that is told", () =>
  Effect.gen(function* () {
    const limit = { value: { requests: 2, per: 600, by: "refresh_token" as const }, unverified: true as const }
    const { manager, server } = yield* worldOf(acme({ token_requests: limit }))
    const first = yield* manager.get
    yield* manager.rejected(first)
    const second = yield* manager.get
    const third = yield* Effect.forkChild(Effect.flip(manager.rejected(second)), { startImmediately: true })
    yield* TestClock.adjust("6 seconds")
    const error = yield* Fiber.join(third)
    assert.strictEqual(error.failureClass, "throttled")
    assert.match(error.message, /answers 2 token requests in 10m/u)
    assert.strictEqual(server.requests, 2)
    // Requests leave a little further apart than they may arrive.
    yield* TestClock.adjust("11 minutes")
    yield* manager.get
    assert.strictEqual(server.requests, 3)
  }).pipe(Effect.scoped)
)

it.effect("tokens without a refresh token have no outlook", () =>
  Effect.gen(function* () {
    const tokens = {
      accessToken: Redacted.make("a"),
      tokenType: "Bearer",
      expiresAt: undefined,
      obtainedAt: 0,
      refreshToken: undefined,
      scopes: [],
      settings: "",
      seed: undefined
    }
    const { outlook } = yield* heldOf(tokens, 1, { idle_life: 10, absolute_life: 20 })
    assert.deepStrictEqual(outlook, { unusedEnd: undefined, reconnectBy: undefined, keepAliveAt: undefined })
  })
)
