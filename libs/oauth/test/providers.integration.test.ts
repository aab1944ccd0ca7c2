import { assert, describe, it } from "@effect/vitest"
import { Profiles, type TokenManager } from "@tributary/oauth"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { Profile } from "../src/profile/Profile.ts"
import { type Case, casesOf, onTestClock, overHttp } from "./providerWorld.ts"

const all = Effect.gen(function* () {
  const profiles = yield* Profiles
  return yield* Effect.forEach(yield* profiles.ids, profiles.get)
})

const nameOf = ({ grantType, profile }: Case) => `${profile.id} (${grantType})`

/** Obtains and refreshes a token; what goes wrong is the failure. */
const refreshes = Effect.fnUntraced(function* (one: Case, known?: Profile) {
  const { manager, server } = yield* overHttp(one, known)
  const first = yield* manager.get
  yield* manager.rejected(first)
  const second = yield* manager.get
  const isValid = [first, second].map(({ value }) => server.validate(Redacted.value(value)))
  return { manager, server, first, second, isValid }
})

/** Keeps a token for so many lives and asks for it all the time; counts how often what is handed out was not valid. */
const lives = Effect.fnUntraced(function* (one: Case, count: number, known?: Profile) {
  const { life, manager, state } = yield* onTestClock(one, known)
  let invalid = 0
  const look = (from: TokenManager) =>
    Effect.matchEffect(from.get, {
      onFailure: () => Effect.sync(() => void invalid++),
      onSuccess: ({ value }) =>
        Effect.sync(() => {
          if (!state.validate(Redacted.value(value)).active) invalid++
        })
    })
  yield* look(manager)
  for (let step = 0; step < count * 20; step++) {
    yield* TestClock.adjust(life / 20)
    yield* look(manager)
  }
  return { invalid, stats: state.stats }
})

describe("each profile against the strict server in its provider's manner", () => {
  it.live(
    "obtains and refreshes a token by each of its grants, and knows its provider's words for a dead one",
    () =>
      Effect.gen(function* () {
        let tried = 0
        const providers = new Set<string>()
        for (const profile of yield* all) {
          for (const one of casesOf(profile)) {
            const name = nameOf(one)
            yield* Effect.gen(function* () {
              const { first, isValid, manager, second, server } = yield* Effect.orDie(refreshes(one))
              tried++
              providers.add(profile.id)
              assert.strictEqual(server.stats.refused, 0, name)
              assert.strictEqual(server.stats.tokenRequests, 2, name)
              assert.notStrictEqual(Redacted.value(first.value), Redacted.value(second.value), name)
              assert.deepInclude(isValid[1], { active: true }, name)
              const life = profile.lifecycle?.access_token_life?.value
              if (life === "unlimited") assert.isUndefined(second.expiresAt, name)
              // A token that is rejected lives on at the server; its successor is told by its own life.
              else assert.approximately((second.expiresAt ?? 0) - (isValid[1]?.expiresAt ?? 0), 0, 2000, name)
              if (one.grantType !== "refresh_token") return
              server.control.revokeFamilies()
              const dead = yield* Effect.flip(manager.rejected(second))
              assert.strictEqual(dead.failureClass, "needs-consent", `${name}: ${dead.message}`)
              assert.isTrue((yield* manager.status).isReconnectDue, name)
            }).pipe(Effect.scoped)
          }
        }
        assert.strictEqual(providers.size, (yield* all).length)
        assert.isAtLeast(tried, 65)
      }),
    240_000
  )

  it.effect(
    "gets over a lost answer wherever the provider lets it, and never makes one that revokes grants do so",
    () =>
      Effect.gen(function* () {
        const ends: Record<string, number> = { recovered: 0, "needs-consent": 0 }
        for (const profile of yield* all) {
          const one = casesOf(profile).find(({ grantType }) => grantType === "refresh_token")
          if (one === undefined) continue
          const { manager, server, state } = yield* onTestClock(one, profile, { refreshWindow: 1e9 })
          const first = yield* manager.get
          server.losesNext = true
          const lost = yield* Effect.forkChild(Effect.exit(manager.rejected(first)), { startImmediately: true })
          yield* TestClock.adjust(3000)
          yield* Fiber.join(lost)
          yield* TestClock.adjust(2000)
          const end = yield* Effect.result(manager.get)
          const { grace, reuse, rotation } = profile.lifecycle ?? {}
          // A grace that nobody has looked up is not relied on where a repetition could kill the grant.
          const isLenient = grace !== undefined && grace.value !== "none"
          const isTaken =
            rotation?.value === "never" ||
            (isLenient && (grace.unverified !== true || reuse?.value !== "revokes_family"))
          assert.strictEqual(end._tag, isTaken ? "Success" : "Failure", profile.id)
          if (end._tag === "Failure")
            assert.strictEqual(end.failure.failureClass, "needs-consent", `${profile.id}: ${end.failure.message}`)
          // Once the family is dead all the same, a repetition has cost nothing; where the profile knows that it kills, there is none.
          if (reuse?.value === "revokes_family" || isTaken) assert.strictEqual(state.stats.reuses, 0, profile.id)
          const name = end._tag === "Success" ? "recovered" : "needs-consent"
          ends[name] = (ends[name] ?? 0) + 1
        }
        assert.isAtLeast(ends["recovered"] ?? 0, 15)
        assert.isAtLeast(ends["needs-consent"] ?? 0, 15)
      }).pipe(Effect.scoped)
  )

  it.effect("always hands out a token that is valid, and never asks before the provider lets it", () =>
    Effect.gen(function* () {
      for (const profile of yield* all) {
        for (const one of casesOf(profile)) {
          const { invalid, stats } = yield* Effect.scoped(lives(one, 3))
          assert.deepInclude({ invalid, ...stats }, { invalid: 0, refused: 0, reuses: 0 }, nameOf(one))
        }
      }
    })
  )
})

/** Facts without which a request is not what the provider wants; each with how to lose it. */
const losses: Readonly<Record<string, (profile: Profile) => Profile | undefined>> = {
  client_auth: (profile) => {
    const { client_auth, ...request } = profile.request ?? {}
    return client_auth === undefined || client_auth.value === "basic" ? undefined : { ...profile, request }
  },
  body: (profile) => {
    const { body, ...request } = profile.request ?? {}
    return body === undefined || body.value === "form" ? undefined : { ...profile, request }
  },
  client_id_param: (profile) => {
    const { client_id_param, ...request } = profile.request ?? {}
    return client_id_param === undefined ? undefined : { ...profile, request }
  },
  scope_separator: (profile) => {
    const { scope_separator, ...request } = profile.request ?? {}
    return scope_separator === undefined || scope_separator.value === " " ? undefined : { ...profile, request }
  },
  refresh: (profile) => {
    const { refresh, ...endpoints } = profile.endpoints
    return refresh === undefined ? undefined : { ...profile, endpoints }
  }
}

describe("a quirk that is not applied is noticed", () => {
  for (const [quirk, lose] of Object.entries(losses)) {
    it.live(
      quirk,
      () =>
        Effect.gen(function* () {
          let tried = 0
          for (const profile of yield* all) {
            const without = lose(profile)
            const one = casesOf(profile)[0]
            if (without === undefined || one === undefined || (quirk === "scope_separator" && "custom" in one.settings))
              continue
            tried++
            const error = yield* Effect.scoped(Effect.flip(Effect.asVoid(refreshes(one, without))))
            assert.match(error.message, /the server answered [45]/u, nameOf(one))
          }
          assert.isAtLeast(tried, 1)
        }),
      240_000
    )
  }

  it.live("headers", () =>
    Effect.gen(function* () {
      const github = yield* (yield* Profiles).get("github")
      // GitHub's own header is one that every request has.
      const headers = { value: { "x-version": "2" }, unverified: true } as const
      const [one] = casesOf({ ...github, request: { ...github.request, headers } })
      if (one === undefined) return assert.fail("no grant")
      yield* Effect.scoped(refreshes(one))
      yield* Effect.scoped(Effect.flip(Effect.asVoid(refreshes(one, github))))
    })
  )

  it.live("parameters of a grant", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      for (const [id, grantType] of [
        ["withings", "refresh_token"],
        ["zoom", "account_credentials"]
      ]) {
        const profile = yield* profiles.get(id ?? "")
        const { grant_params: _, ...request } = profile.request ?? {}
        const one = casesOf(profile).find((candidate) => candidate.grantType === grantType)
        if (one === undefined) return assert.fail(`${id} has no ${grantType}`)
        const { params: __, ...rest } = profile
        const settings = { ...one.settings, params: {} }
        yield* Effect.scoped(Effect.flip(refreshes({ ...one, settings }, { ...rest, request })))
      }
    })
  )

  it.live("the provider's words for a dead refresh token", () =>
    Effect.gen(function* () {
      let tried = 0
      for (const profile of yield* all) {
        const { errors, ...response } = profile.response ?? {}
        const says = errors?.value.find(({ means }) => means === "needs-consent")?.says
        const one = casesOf(profile).find(({ grantType }) => grantType === "refresh_token")
        if (says === undefined || one === undefined) continue
        tried++
        yield* Effect.gen(function* () {
          const { manager, second, server } = yield* refreshes(one, { ...profile, response })
          server.control.revokeFamilies()
          const error = yield* Effect.flip(manager.rejected(second))
          assert.notStrictEqual(error.failureClass, "needs-consent", profile.id)
        }).pipe(Effect.scoped)
      }
      assert.isAtLeast(tried, 5)
    })
  )

  it.effect("a ban of early refreshes", () =>
    Effect.gen(function* () {
      const profiles = yield* Profiles
      for (const id of ["exact-online", "strava"]) {
        const profile = yield* profiles.get(id)
        const { early_refresh: _, refresh_window: __, ...lifecycle } = profile.lifecycle ?? {}
        const [one] = casesOf(profile)
        if (one === undefined) return assert.fail(id)
        const { stats } = yield* Effect.scoped(lives(one, 2, { ...profile, lifecycle }))
        assert.isAbove(stats.refused, 0, id)
      }
    })
  )
})
