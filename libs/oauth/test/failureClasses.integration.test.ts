import { assert, describe, it } from "@effect/vitest"
import { Tokens } from "@tributary/oauth"
import type { AuthServer, AuthServerOptions } from "@tributary/testkit"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { authorization, authServer, live, secrets } from "./support.ts"

const strict = { rotation: "always", grace: "none", reuse: "revokes_family" } as const

/** A failure is shared for some seconds; the test's own time limit bounds the wait. */
const again = { schedule: Schedule.spaced("200 millis") }

const settingsOf = (server: AuthServer, more: Readonly<Record<string, unknown>> = {}) =>
  authorization({
    oauth2: "refresh_token",
    token_url: server.tokenUrl,
    refresh_token: "${env:FIRST}",
    lifecycle: strict,
    ...more
  })

const environmentOf = (server: AuthServer, secret = "client-secret") => ({
  CLIENT_SECRET: secret,
  FIRST: server.control.issueRefreshToken("client")
})

/** A connector that has its first token. */
const world = Effect.fnUntraced(function* (
  options: AuthServerOptions = {},
  more: Readonly<Record<string, unknown>> = {}
) {
  const server = yield* authServer(options)
  const context = yield* Layer.build(live(environmentOf(server)))
  const tokens = yield* Effect.provideContext(Tokens, context)
  const manager = yield* tokens.manager(settingsOf(server, more))
  const first = yield* manager.get
  return { server, manager, first }
})

const isValid = (server: AuthServer, token: { readonly value: Redacted.Redacted<string> }) =>
  server.validate(Redacted.value(token.value)).active

describe("each class of failures, at the strict server", () => {
  it.live("needs consent: a grant that was withdrawn; the token is not sent again", () =>
    Effect.gen(function* () {
      const { first, manager, server } = yield* world()
      server.control.revokeFamilies()
      const error = yield* Effect.flip(manager.rejected(first))
      assert.strictEqual(error.failureClass, "needs-consent")
      const sent = server.stats.tokenRequests
      yield* Effect.sleep("1100 millis")
      assert.strictEqual((yield* Effect.flip(manager.get)).failureClass, "needs-consent")
      assert.strictEqual(server.stats.tokenRequests, sent)
    }).pipe(Effect.scoped)
  )

  it.live("misconfigured: a wrong secret; nobody is asked to consent, and the right one mends it", () =>
    Effect.gen(function* () {
      const { first, manager, server } = yield* world()
      server.control.setClient({ id: "client", secret: "another" })
      const error = yield* Effect.flip(manager.rejected(first))
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.match(error.message, /invalid_client/u)
      server.control.setClient({ id: "client", secret: "client-secret" })
      assert.isTrue(isValid(server, yield* Effect.retry(manager.get, again)))
      assert.strictEqual(server.stats.reuses, 0)
    }).pipe(Effect.scoped)
  )

  it.live("transient: the server's own failures; it is tried again", () =>
    Effect.gen(function* () {
      const { first, manager, server } = yield* world()
      server.control.next("error-200", "error-200")
      yield* manager.rejected(first)
      assert.isTrue(isValid(server, yield* manager.get))
      server.control.next("error-200", "error-200", "error-200", "error-200")
      const error = yield* Effect.flip(manager.rejected(yield* manager.get))
      assert.strictEqual(error.failureClass, "transient")
    }).pipe(Effect.scoped)
  )

  it.live("throttled: the server is spared for as long as it says", () =>
    Effect.gen(function* () {
      const { first, manager, server } = yield* world()
      server.control.faults({ retryAfter: "2" })
      server.control.next("throttled")
      const error = yield* Effect.flip(manager.rejected(first))
      assert.deepInclude({ ...error }, { failureClass: "throttled", retryAfter: 2000 })
      const sent = server.stats.tokenRequests
      yield* Effect.flip(manager.get)
      assert.strictEqual(server.stats.tokenRequests, sent)
      yield* Effect.sleep("2100 millis")
      assert.isTrue(isValid(server, yield* manager.get))
    }).pipe(Effect.scoped)
  )

  it.live("unknown outcome: a lost answer is never asked for again where that revokes the grant", () =>
    Effect.gen(function* () {
      const { first, manager, server } = yield* world()
      const sent = server.stats.tokenRequests
      server.control.next("drop")
      const error = yield* Effect.flip(manager.rejected(first))
      assert.strictEqual(error.failureClass, "needs-consent")
      assert.match(error.message, /was lost/u)
      assert.strictEqual(server.stats.tokenRequests, sent + 1)
      assert.strictEqual(server.stats.reuses, 0)
    }).pipe(Effect.scoped)
  )

  it.live("unknown outcome: it is asked for again within the grace", () =>
    Effect.gen(function* () {
      const lifecycle = { ...strict, grace: "1 minute" }
      const { first, manager, server } = yield* world({ graceMs: 60_000 }, { lifecycle })
      server.control.next("drop")
      yield* manager.rejected(first)
      assert.isTrue(isValid(server, yield* manager.get))
      assert.deepInclude(server.stats, { reuses: 0, replays: 1 })
    }).pipe(Effect.scoped)
  )

  it.live("race recovered: of two processes whose leases do not know of each other both end with a good token", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const store = yield* Layer.build(TokenStore.layerMemory)
      const environment = environmentOf(server)
      const process = Effect.gen(function* () {
        const layer = Tokens.layer.pipe(
          Layer.provide([secrets(environment), Leases.layerMemory, Budgets.layer, Layer.succeedContext(store)])
        )
        const tokens = yield* Effect.provideContext(Tokens, yield* Layer.build(layer))
        return yield* tokens.manager(settingsOf(server))
      })
      const managers = [yield* process, yield* process]
      server.control.faults({ latencyMs: 50 })
      for (let round = 0; round < 5; round++) {
        const held = yield* Effect.forEach(managers, ({ get }) => Effect.retry(get, again), { concurrency: 2 })
        for (const token of held) assert.isTrue(isValid(server, token))
        const [one, two] = held
        const [first, second] = managers
        if (one === undefined || two === undefined || first === undefined || second === undefined) return assert.fail()
        yield* Effect.all([Effect.ignore(first.rejected(one)), Effect.ignore(second.rejected(two))], { concurrency: 2 })
      }
      assert.strictEqual(server.stats.reuses, 0)
    }).pipe(Effect.scoped)
  )
})
