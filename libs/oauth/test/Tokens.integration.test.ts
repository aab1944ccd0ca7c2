import { unhurried } from "@tributary/testkit"
import { assert, describe, it } from "@effect/vitest"
import { TokenError, tokenRequests, Tokens } from "@tributary/oauth"
import { TokenStore } from "@tributary/vault"
import type { AuthServer } from "@tributary/testkit"
import { Context, Effect, Exit, Fiber, Layer, Metric, Option, Redacted, Schedule, Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { authorization, authServer, live, until } from "./support.ts"

const manager = (settings: Record<string, unknown>, id?: string) =>
  Effect.flatMap(Tokens, (tokens) => tokens.manager(authorization(settings, id)))

/** A manager whose program lives as long as the test. */
const open = Effect.fnUntraced(function* (
  settings: Record<string, unknown>,
  environment?: Record<string, string>,
  id?: string
) {
  const program = yield* Layer.build(live(environment))
  return yield* Effect.provideContext(manager(settings, id), Context.pick(Tokens)(program))
})

/** Another server on loopback that answers as the test says. */
const httpServer = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly stop: Effect.Effect<void> }>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const stop = Effect.callback<void>((stopped) => {
          server.close(() => stopped(Effect.void))
          server.closeAllConnections()
        })
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, stop }))
      })
    }),
    ({ stop }) => stop
  )

const value = (token: { readonly value: Redacted.Redacted<string> }) => Redacted.value(token.value)

describe("client_credentials", () => {
  for (const client_auth of ["basic", "post"] as const) {
    it.live(`authenticates by ${client_auth}, with characters that need encoding, and asks once for many callers`, () =>
      Effect.gen(function* () {
        const secret = "p%a+s:s w&ö=rd"
        const server = yield* authServer({
          clients: [{ id: "shop:1", secret, auth: client_auth, scopes: ["orders.read", "b"] }]
        })
        const { get } = yield* open(
          {
            client_id: "shop:1",
            client_auth,
            token_url: server.tokenUrl,
            scopes: ["orders.read", "b"]
          },
          { CLIENT_SECRET: secret }
        )
        const tokens = yield* Effect.all(
          Array.from({ length: 100 }, () => get),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(tokens.map(value)).size, 1)
        assert.strictEqual(server.stats.tokenRequests, 1)
        const token = tokens[0] ?? assert.fail()
        assert.deepInclude(token, { generation: 1, tokenType: "Bearer" })
        assert.deepInclude(server.validate(value(token)), { active: true, scope: "orders.read b" })
      })
    )
  }

  for (const discovery of ["oidc", "oauth2"] as const) {
    it.live(`finds the token endpoint by ${discovery} metadata, once`, () =>
      Effect.gen(function* () {
        const server = yield* authServer({ discovery })
        const { get, rejected } = yield* open({ issuer: server.issuer })
        yield* rejected(yield* get)
        const token = yield* get
        assert.strictEqual(token.generation, 2)
        assert.deepInclude(server.stats, { discoveries: 1, tokenRequests: 2 })
      })
    )
  }

  it.live("uses a valid token from the vault after a restart, without a request, but not with other settings", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const run = (settings: Record<string, unknown>) =>
        Effect.scoped(Effect.flatMap(manager({ token_url: server.tokenUrl, ...settings }), ({ get }) => get))
      const results = yield* Effect.gen(function* () {
        return [yield* run({}), yield* run({}), yield* run({ scopes: ["more"] }), yield* run({ scopes: ["more"] })]
      }).pipe(Effect.provide(live()))
      assert.deepStrictEqual(
        results.map(({ generation }) => generation),
        [1, 1, 2, 2]
      )
      assert.strictEqual(server.stats.tokenRequests, 2)
    })
  )

  it.live("shares one manager among equal authorizations, and one request among different ones of an id", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { latencyMs: 30 } })
      yield* Effect.gen(function* () {
        const one = yield* manager({ token_url: server.tokenUrl })
        const same = yield* manager({ token_url: server.tokenUrl })
        assert.strictEqual(one, same)
        const other = yield* manager({ token_url: server.tokenUrl, client_auth: "post" })
        assert.notStrictEqual<unknown>(one, other)
        yield* Effect.all([one.get, other.get, same.get], { concurrency: "unbounded" })
        assert.deepInclude(server.stats, { tokenRequests: 1, maxInFlight: 1 })
      }).pipe(Effect.provide(live()))
    })
  )

  it.live("interrupting a caller does not disturb the others", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { latencyMs: 100 } })
      const { get } = yield* open({ token_url: server.tokenUrl })
      const first = yield* Effect.forkChild(get)
      yield* until(() => server.stats.inFlight === 1)
      const second = yield* Effect.forkChild(get)
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* Fiber.join(second)).generation, 1)
      assert.strictEqual(server.stats.tokenRequests, 1)
    })
  )

  it.live("refreshes once for any number of rejections of one token", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { latencyMs: 20 } })
      const { get, rejected } = yield* open({ token_url: server.tokenUrl })
      const token = yield* get
      yield* Effect.all(
        Array.from({ length: 50 }, () => rejected(token)),
        { concurrency: "unbounded" }
      )
      yield* rejected(token)
      assert.strictEqual(server.stats.tokenRequests, 2)
      assert.strictEqual((yield* get).generation, 2)
    })
  )

  it.live("spares the token endpoint when the API rejects every new token", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const { get, rejected } = yield* open({ token_url: server.tokenUrl })
      const loop = Effect.forever(Effect.flatMap(get, rejected))
      const error = yield* Effect.flip(loop)
      assert.match(error.message, /the API rejected 5 tokens in a row/)
      assert.match(error.message, /audience/)
      yield* Effect.flip(Effect.all([get, loop]))
      assert.strictEqual(server.stats.tokenRequests, 5)
    })
  )

  it.live("uses a token of unknown end until it is rejected", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      server.control.shape(({ access_token, token_type }) => ({ access_token, token_type }))
      const { get, rejected } = yield* open({ token_url: server.tokenUrl })
      const token = yield* get
      assert.isUndefined(token.expiresAt)
      assert.strictEqual((yield* get).generation, 1)
      yield* rejected(token)
      assert.strictEqual((yield* get).generation, 2)
      assert.strictEqual(server.stats.tokenRequests, 2)
    })
  )

  it.live("lives with tokens of two seconds: each is valid when handed out, and no caller waits for a refresh", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ tokenLife: 2 })
      const { get } = yield* open({ token_url: server.tokenUrl })
      const generations = new Set<number>()
      let slowest = 0
      for (let turn = 0; turn < 55; turn++) {
        const before = performance.now()
        const token = yield* get
        if (turn > 0) slowest = Math.max(slowest, performance.now() - before)
        assert.isTrue(server.validate(value(token)).active)
        assert.isAbove((server.validate(value(token)).expiresAt ?? 0) - performance.timeOrigin - before, 450)
        generations.add(token.generation)
        yield* Effect.sleep("100 millis")
      }
      assert.isBelow(slowest, unhurried(100))
      assert.isAtLeast(generations.size, 3)
      assert.strictEqual(server.stats.tokenRequests, generations.size)
    })
  )

  it.live("counts its requests", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const { get } = yield* open({ token_url: server.tokenUrl }, undefined, "counted")
      server.control.next("internal-error")
      yield* get
      const counted = (outcome: string) =>
        Effect.map(
          Metric.value(Metric.withAttributes(tokenRequests, { authorization: "counted", outcome })),
          ({ count }) => count
        )
      assert.deepStrictEqual([yield* counted("granted"), yield* counted("transient")], [1, 1])
    })
  )
})

describe("refresh_token", () => {
  const settings = (server: AuthServer) => ({
    oauth2: "refresh_token",
    refresh_token: "${env:FIRST}",
    token_url: server.tokenUrl
  })
  const environment = (first: string) => ({ CLIENT_SECRET: "client-secret", FIRST: first })

  it.live("stores the rotated token before it hands out the access token", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const first = server.control.issueRefreshToken()
      yield* Effect.gen(function* () {
        const { get, rejected } = yield* manager(settings(server))
        const store = yield* TokenStore
        let token = yield* get
        const seen = new Set([first])
        for (let turn = 1; turn <= 4; turn++) {
          const stored = Option.getOrThrow(yield* store.load("shop"))
          assert.strictEqual(stored.generation, token.generation)
          assert.strictEqual(Redacted.value(stored.accessToken), value(token))
          seen.add(Redacted.value(stored.refreshToken ?? assert.fail()))
          yield* rejected(token)
          token = yield* get
        }
        assert.strictEqual(seen.size, 5)
      }).pipe(Effect.provide(live(environment(first))))
      assert.deepInclude(server.stats, { issued: 5, reuses: 0, replays: 0 })
    })
  )

  it.live("goes on with the stored token after a restart, also when the first one's source is gone", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const folder = mkdtempSync(join(tmpdir(), "tributary-oauth-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "refresh-token")
      writeFileSync(file, `${server.control.issueRefreshToken()}\n`)
      const turn = Effect.scoped(
        Effect.gen(function* () {
          const { get, rejected } = yield* manager({ ...settings(server), refresh_token: `\${file:${file}}` })
          yield* rejected(yield* get)
          return (yield* get).generation
        })
      )
      const generations = yield* Effect.gen(function* () {
        const all = [yield* turn, yield* turn]
        rmSync(file)
        all.push(yield* turn)
        // Somebody authorized again and put the new token there.
        server.control.revokeFamilies()
        writeFileSync(file, server.control.issueRefreshToken())
        all.push(yield* turn)
        return all
      }).pipe(Effect.provide(live()))
      assert.deepStrictEqual(generations, [2, 3, 4, 6])
      assert.deepInclude(server.stats, { reuses: 0, refused: 0 })
    })
  )

  it.live("asks for consent when the token is dead, never sends it again, and takes its replacement", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const folder = mkdtempSync(join(tmpdir(), "tributary-oauth-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "refresh-token")
      writeFileSync(file, server.control.issueRefreshToken())
      const { get, rejected } = yield* open({ ...settings(server), refresh_token: `\${file:${file}}` })
      const token = yield* get
      server.control.revokeFamilies()
      const error = yield* Effect.flip(rejected(token))
      assert.strictEqual(error.failureClass, "needs-consent")
      assert.match(error.message, /^Authorization shop at 127\.0\.0\.1:\d+: the server answered 400 invalid_grant/)
      assert.match(error.message, /Authorize again/)
      const requests = server.stats.tokenRequests
      yield* Effect.flip(get)
      yield* Effect.sleep("1100 millis")
      yield* Effect.flip(get)
      assert.strictEqual(server.stats.tokenRequests, requests)
      writeFileSync(file, server.control.issueRefreshToken())
      yield* Effect.retry(get, Schedule.spaced("100 millis")).pipe(Effect.timeout("90 seconds"))
      assert.strictEqual(server.stats.tokenRequests, requests + 1)
    })
  )

  it.live("finishes a request that spends its token when it is stopped", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { latencyMs: 200 } })
      const first = server.control.issueRefreshToken()
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { get } = yield* Scope.provide(manager(settings(server)), scope)
        const caller = yield* Effect.forkChild(get)
        yield* until(() => server.stats.inFlight === 1)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(caller)))
        const again = yield* manager(settings(server))
        assert.strictEqual((yield* again.get).generation, 1)
        const stored = Option.getOrThrow(yield* (yield* TokenStore).load("shop"))
        assert.strictEqual(stored.generation, 1)
        assert.isDefined(stored.refreshToken)
      }).pipe(Effect.provide(live(environment(first))))
      assert.deepInclude(server.stats, { tokenRequests: 1, reuses: 0 })
    })
  )

  it.live("recovers from a lost answer inside the grace window, and explains itself outside of it", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ graceMs: 10_000 })
      const first = server.control.issueRefreshToken()
      const { get, rejected } = yield* open(settings(server), environment(first))
      server.control.next("drop")
      const token = yield* get
      assert.deepInclude(server.stats, { tokenRequests: 2, replays: 1, reuses: 0 })
      server.control.graceMs(0)
      server.control.next("drop")
      const error = yield* Effect.flip(rejected(token))
      assert.strictEqual(error.failureClass, "needs-consent")
      assert.match(error.message, /answer to an earlier request with this refresh token was lost/)
    })
  )

  it.live("keeps the old refresh token when the server sends no new one", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ rotate: false })
      const first = server.control.issueRefreshToken()
      const { get, rejected } = yield* open(settings(server), environment(first))
      for (let turn = 0; turn < 3; turn++) yield* rejected(yield* get)
      assert.deepInclude(server.stats, { issued: 4, refused: 0 })
    })
  )
})

describe("failures", () => {
  const failing = Effect.fnUntraced(function* (settings: Record<string, unknown>, env?: Record<string, string>) {
    const program = yield* Layer.build(live(env, { TRIBUTARY_OAUTH_TIMEOUT: "1 second" }))
    return yield* Effect.flatMap(manager(settings), ({ get }) => get).pipe(
      Effect.provideContext(Context.pick(Tokens)(program)),
      Effect.flip
    )
  })

  it.live("of the configuration are told before anything is asked", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
        [{}, /neither issuer nor token_url/],
        [{ token_url: "${env:ADDRESS}" }, /token_url is not an address/],
        [{ token_url: "http://id.example/token" }, /plain http \(id\.example\).*TRIBUTARY_OAUTH_ALLOW_HTTP/],
        [{ issuer: "http://169.254.0.1" }, /plain http/],
        [{ token_url: "https://user:pw@id.example/token" }, /holds a user or password/],
        [{ token_url: "https://id.example", oauth2: "refresh_token" }, /needs a first token/],
        [{ token_url: "https://${env:NOT_SET}/token" }, /NOT_SET is not set/]
      ]
      for (const [settings, message] of table) {
        const error = yield* failing(settings, { CLIENT_SECRET: "x", ADDRESS: "id.example/token" })
        assert.instanceOf(error, TokenError)
        assert.match(error.message, message)
        assert.strictEqual(error.failureClass, "misconfigured")
        assert.notInclude(error.message, "user:pw")
      }
    })
  )

  it.live("of the server have a class, and say what to do", () =>
    Effect.gen(function* () {
      const server = yield* authServer({
        clients: [{ id: "client", secret: "client-secret", auth: "post", scopes: ["a"] }]
      })
      const dead = yield* httpServer(() => {})
      yield* dead.stop
      const foreign = yield* httpServer((_, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ issuer: "https://other.example", token_endpoint: "https://other.example/token" }))
      })
      const careless = yield* httpServer((request, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(
          JSON.stringify({ issuer: `http://${request.headers.host}`, token_endpoint: "http://other.example/token" })
        )
      })
      const post = { client_auth: "post" }
      const table: ReadonlyArray<readonly [string, Record<string, unknown>, string, RegExp]> = [
        [
          "wrong way to authenticate",
          { token_url: server.tokenUrl },
          "misconfigured",
          /invalid_client.*client_auth: post/
        ],
        [
          "wrong secret",
          { token_url: server.tokenUrl, client_id: "x", ...post },
          "misconfigured",
          /401 invalid_client/
        ],
        [
          "wrong scope",
          { token_url: server.tokenUrl, scopes: ["z"], ...post },
          "misconfigured",
          /invalid_scope.*Correct `scopes`/
        ],
        ["wrong path", { token_url: `${server.url}/nowhere`, ...post }, "misconfigured", /404.*Check token_url/],
        ["wrong issuer", { issuer: `${server.url}/nowhere`, ...post }, "misconfigured", /no metadata.*give token_url/],
        ["other issuer", { issuer: foreign.url, ...post }, "misconfigured", /names another issuer/],
        ["careless issuer", { issuer: careless.url, ...post }, "misconfigured", /without https/],
        [
          "nobody there",
          { token_url: `${dead.url}/token`, ...post },
          "transient",
          /cannot be reached \(ECONNREFUSED\)/
        ],
        ["no such host", { token_url: "https://no-such-host.invalid/token" }, "transient", /cannot be reached/]
      ]
      for (const [name, settings, failureClass, message] of table) {
        const error = yield* failing(settings)
        assert.strictEqual(error.failureClass, failureClass, name)
        assert.match(error.message, message, name)
        assert.isDefined(error.endpoint, name)
      }
    })
  )

  it.live("that pass are overcome, each within one get", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const faults = ["reset", "drop", "truncated", "bad-gateway", "internal-error", "error-200", "empty"] as const
      for (const fault of faults) {
        server.control.next(fault)
        const { get } = yield* open({ token_url: server.tokenUrl }, undefined, fault)
        assert.isTrue(server.validate(value(yield* get)).active, fault)
      }
      assert.strictEqual(server.stats.tokenRequests, 2 * faults.length)
    })
  )

  it.live("that last are shared for a while, and the server is not hammered", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { rates: { "internal-error": 1 } } })
      const { get } = yield* open({ token_url: server.tokenUrl })
      const errors = yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.flip(get)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(server.stats.tokenRequests, 4)
      assert.strictEqual(new Set(errors).size, 1)
      yield* Effect.flip(get)
      assert.strictEqual(server.stats.tokenRequests, 4)
      server.control.faults({ rates: {} })
      yield* Effect.sleep("1100 millis")
      assert.strictEqual((yield* get).generation, 1)
    })
  )

  it.live("of throttling are told with the time to wait, and waited for", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ faults: { retryAfter: "30" } })
      const { get } = yield* open({ token_url: server.tokenUrl })
      server.control.next("throttled")
      const error = yield* Effect.flip(get)
      assert.deepInclude(error, { failureClass: "throttled", retryAfter: 30_000 })
      yield* Effect.flip(get)
      assert.strictEqual(server.stats.tokenRequests, 1)
    })
  )

  it.live("by size and by time are bounded", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      server.control.next("huge", "hang", "hang", "hang", "hang")
      const huge = yield* failing({ token_url: server.tokenUrl })
      assert.match(huge.message, /an answer of more than 1048576 bytes/)
      const before = performance.now()
      const hung = yield* failing({ token_url: server.tokenUrl })
      assert.match(hung.message, /no answer within 1 seconds/)
      assert.isBelow(performance.now() - before, unhurried(8000))
      yield* until(() => server.stats.inFlight === 0)
    })
  )

  it.live("of a missing secret are told before the server is asked", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const error = yield* failing({ token_url: server.tokenUrl }, {})
      assert.match(error.message, /CLIENT_SECRET is not set/)
      assert.deepInclude(error, { failureClass: "misconfigured" })
      assert.strictEqual(server.stats.tokenRequests, 0)
    })
  )
})
