import { OAuth2 } from "@tributary/domain"
import { Tokens } from "@tributary/oauth"
import { RedisBudgets, RedisLeases, RedisTokenStore } from "@tributary/redis"
import { type AuthServer, startAuthServer, unhurried } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { TokenStore } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Option, Redacted, Schedule, Schema, Scope } from "effect"
import { newKey } from "./keys.ts"
import { logged } from "./logged.ts"
import { call, client, durable, missing, redisServer } from "./RedisServer.ts"

const title = `Tokens that Redis was away for${missing === undefined ? "" : ` (${missing})`}`
/** Twice the longest token request, see `libs/oauth`. */
const leaseTime = 4000
const decode = Schema.decodeUnknownSync(OAuth2)

/** Waits until a condition holds; the test's own time limit bounds it. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))))

/** Rotating refresh tokens, a Redis that keeps its data, and processes that use both. */
const world = Effect.fnUntraced(function* (drain: string) {
  const auth: AuthServer = yield* Effect.acquireRelease(
    Effect.promise(() => startAuthServer()),
    (server) => Effect.promise(() => server.stop())
  )
  const first = auth.control.issueRefreshToken("client", ["read"])
  const redis = yield* redisServer(...durable)
  const { layer: logger, messages } = logged()
  const key = newKey()
  const process = Layer.suspend(() =>
    Layer.fresh(
      Tokens.layer.pipe(
        Layer.provide(RedisBudgets.layer),
        Layer.provideMerge(Layer.merge(RedisLeases.layer, RedisTokenStore.layer)),
        Layer.provide([
          redis.layer({ timeout: "1 second" }),
          Secrets.layer.pipe(
            Layer.provide(Layer.succeed(Environment, { CLIENT_SECRET: "client-secret", FIRST: first }))
          ),
          ConfigProvider.layer(
            ConfigProvider.fromEnvRecord({
              TRIBUTARY_VAULT_KEY: key,
              TRIBUTARY_OAUTH_TIMEOUT: "2 seconds",
              TRIBUTARY_DRAIN_DEADLINE: drain
            })
          )
        ]),
        Layer.provideMerge(logger)
      )
    )
  )
  /** A connector's manager. */
  const manager = (scopes: ReadonlyArray<string> = []) =>
    Effect.flatMap(Tokens, (tokens) =>
      tokens.manager({
        id: "shop",
        oauth2: decode({
          oauth2: "refresh_token",
          client_id: "client",
          client_secret: "${env:CLIENT_SECRET}",
          token_url: auth.tokenUrl,
          refresh_token: "${env:FIRST}",
          scopes
        }),
        base: "/"
      })
    )
  /** Gets a token, and has it replaced while Redis goes away: the answer comes, and cannot be stored. */
  const beginAndLoseRedis = (connector: Scope.Scope) =>
    Effect.gen(function* () {
      const before = yield* Scope.provide(manager(), connector)
      const token = yield* before.get
      auth.control.faults({ latencyMs: 500 })
      yield* Effect.forkDetach(Effect.exit(before.rejected(token)), { startImmediately: true })
      yield* until(() => auth.stats.inFlight === 1)
      yield* redis.kill
      yield* until(() => messages.some((line) => line.includes("cannot be stored yet")))
      assert.strictEqual(auth.stats.issued, 2)
    })
  const stored = Effect.flatMap(TokenStore, (store) => Effect.map(store.load("shop"), Option.getOrUndefined))
  return { auth, redis, process, messages, manager, beginAndLoseRedis, stored }
})

describe.skipIf(missing !== undefined)(title, () => {
  it.live(
    "outlive their connector, and are what the next one goes on with",
    () =>
      Effect.gen(function* () {
        const { auth, beginAndLoseRedis, manager, process, redis, stored } = yield* world("20 seconds")
        yield* Effect.gen(function* () {
          const connector = yield* Scope.make()
          yield* beginAndLoseRedis(connector)
          yield* Scope.close(connector, Exit.void)
          const after = yield* manager(["read"])
          const error = yield* Effect.flip(after.get)
          assert.strictEqual(error.failureClass, "transient", error.message)
          yield* redis.start
          const renewed = yield* Effect.retry(after.get, {
            schedule: Schedule.spaced("50 millis"),
            while: ({ failureClass }) => failureClass === "transient"
          })
          assert.isTrue(auth.validate(Redacted.value(renewed.value)).active)
          assert.isAtLeast((yield* stored)?.generation ?? 0, 2)
          yield* after.rejected(renewed)
          assert.deepInclude(auth.stats, { reuses: 0, refused: 0, maxInFlight: 1 })
        }).pipe(Effect.scoped, Effect.provide(process))
      }),
    240_000
  )

  it.live(
    "keep their lease while they wait, renewed, so that no other process sends what was spent",
    () =>
      Effect.gen(function* () {
        const { auth, manager, messages, process, redis, stored } = yield* world("20 seconds")
        const redisClient = yield* client(redis)
        const record = "tributary:tokens:shop"
        yield* Effect.gen(function* () {
          const connector = yield* Scope.make()
          const before = yield* Scope.provide(manager(), connector)
          const token = yield* before.get
          auth.control.faults({ latencyMs: 500 })
          yield* Effect.forkDetach(Effect.exit(before.rejected(token)), { startImmediately: true })
          yield* until(() => auth.stats.inFlight === 1)
          // Only the record cannot be used; leases can.
          yield* call(redisClient, "RENAME", record, "aside")
          yield* call(redisClient, "SET", record, "no record")
          yield* until(() => messages.some((line) => line.includes("cannot be stored yet")))
          yield* Scope.close(connector, Exit.void)
          const lease = yield* call(redisClient, "GET", "tributary:lease:{tokens/shop}")
          assert.isString(lease)
          yield* Effect.sleep(1.5 * leaseTime)
          assert.strictEqual(yield* call(redisClient, "GET", "tributary:lease:{tokens/shop}"), lease)
          yield* call(redisClient, "RENAME", "aside", record)
          // Another process, at once.
          const renewed = yield* Effect.gen(function* () {
            const other = yield* manager()
            yield* other.rejected(yield* other.get)
            return yield* other.get
          }).pipe(Effect.scoped, Effect.provide(process, { local: true }))
          assert.isTrue(auth.validate(Redacted.value(renewed.value)).active)
          assert.isAtLeast((yield* stored)?.generation ?? 0, 2)
          assert.deepInclude(auth.stats, { reuses: 0, refused: 0, maxInFlight: 1 })
        }).pipe(Effect.scoped, Effect.provide(process))
      }),
    240_000
  )

  const ending = Effect.fnUntraced(function* (drain: string) {
    const all = yield* world(drain)
    const running = yield* Effect.gen(function* () {
      yield* Effect.flatMap(Effect.scope, all.beginAndLoseRedis)
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.provide(all.process), Effect.forkDetach)
    yield* until(() => all.messages.some((line) => line.includes("cannot be stored yet")))
    const ended = yield* Effect.forkChild(Fiber.interrupt(running), { startImmediately: true })
    return { ...all, ended }
  })

  it.live(
    "are stored by the end of their process if Redis is back within the drain deadline",
    () =>
      Effect.gen(function* () {
        const { auth, ended, manager, messages, process, redis, stored } = yield* ending("20 seconds")
        yield* Effect.sleep("6 seconds")
        assert.isUndefined(ended.pollUnsafe())
        yield* redis.start
        yield* Fiber.join(ended)
        assert.isEmpty(messages.filter((line) => line.startsWith("Error")))
        yield* Effect.gen(function* () {
          assert.strictEqual((yield* stored)?.generation, 2)
          const { get, rejected } = yield* manager()
          yield* rejected(yield* get)
          assert.deepInclude(auth.stats, { issued: 3, reuses: 0, refused: 0 })
        }).pipe(Effect.scoped, Effect.provide(process))
      }),
    240_000
  )

  it.live(
    "are an error in the log when Redis stays away, which names the authorization",
    () =>
      Effect.gen(function* () {
        const { ended, messages } = yield* ending("4 seconds")
        const started = performance.now()
        yield* Fiber.join(ended)
        assert.isBelow(performance.now() - started, unhurried(6000))
        const errors = messages.filter((line) => line.startsWith("Error"))
        assert.strictEqual(errors.length, 1, messages.join("\n"))
        assert.match(
          errors.join(),
          /Authorization shop: a new refresh token was received .* waited for 3s 200ms \(.*Redis/
        )
      }),
    240_000
  )
})
