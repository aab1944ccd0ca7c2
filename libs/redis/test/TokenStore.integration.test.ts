import { RedisTokenStore } from "@tributary/redis"
import { TokenStore, VaultError } from "@tributary/vault"
import { hashicorpStandIn } from "@tributary/secrets/testing"
import { entry, tokens } from "@tributary/vault/testing"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option, Redacted, Schedule } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { newKey } from "./keys.ts"
import { logged } from "./logged.ts"
import { call, canWaitForDisk, client, durable, missing, redisServer, type RedisServer } from "./RedisServer.ts"
import { makeWorkers } from "./Workers.ts"

/** Opens the store, works with it and closes it again, as one run of the program does. */
const run = <A, E>(
  server: RedisServer,
  key: string | undefined,
  work: (store: TokenStore["Service"]) => Effect.Effect<A, E>,
  more: Readonly<Record<string, string>> = {}
) => {
  const { layer, messages } = logged()
  const environment = key === undefined ? {} : { TRIBUTARY_VAULT_KEY: key, ...more }
  return Effect.flatMap(TokenStore, work).pipe(
    Effect.provide(
      RedisTokenStore.layer.pipe(
        Layer.provide(server.layer({ timeout: "300 millis" })),
        Layer.provideMerge(Layer.merge(layer, ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))
      ),
      { local: true }
    ),
    Effect.map((result) => ({ result, messages }))
  )
}

const accessTokenOf = (store: TokenStore["Service"], id: string) =>
  Effect.map(store.load(id), (found) => Redacted.value(Option.getOrThrow(found).accessToken))

describe.skipIf(missing !== undefined)(`RedisTokenStore${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.live(
    "every acknowledged save is there after each of 8 kills and pauses of Redis, and none is a conflict",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer(...durable)
        const { lines, start, until } = yield* makeWorkers
        const key = newKey()
        yield* start("save", server.url, "one", key)
        yield* start("save", server.url, "two", key)
        for (let fault = 0; fault < 8; fault++) {
          const from = lines.length
          // Where each save waits for the disk, it takes up to a second.
          const more = canWaitForDisk ? 1 : 3
          yield* until("more saves of each", (all) =>
            ["one", "two"].every(
              (name) => all.slice(from).filter(([who, event]) => who === name && event === "saved").length >= more
            )
          )
          yield* Effect.sleep((fault * 31) % 50)
          if (fault % 4 === 3) {
            yield* server.pause
            yield* Effect.sleep(700)
            yield* server.resume
            continue
          }
          yield* server.kill
          const acknowledged = new Map(
            lines
              .filter(([, event]) => event === "saved")
              .map(([name = "", , generation]) => [name, Number(generation)])
          )
          yield* server.start
          const redis = yield* client(server)
          for (const [name, generation] of acknowledged) {
            const now = Number(yield* call(redis, "HGET", `tributary:tokens:${name}`, "generation"))
            assert.isAtLeast(now, generation)
          }
        }
        yield* server.kill
        yield* server.start
        assert.isFalse(lines.some(([, event]) => event === "conflict"))
        for (const name of ["one", "two"]) {
          const saved = lines.filter(([who, event]) => who === name && event === "saved").map((line) => Number(line[2]))
          // Each generation is acknowledged once: no save was lost, none was made twice.
          assert.deepStrictEqual(
            saved,
            saved.map((_, index) => index + 1)
          )
          yield* run(server, key, (store) =>
            Effect.gen(function* () {
              const found = Option.getOrThrow(yield* store.load(name))
              assert.isAtLeast(found.generation, saved.length)
              assert.strictEqual(Redacted.value(found.accessToken), `access-${name}-${found.generation}`)
            })
          )
        }
      }),
    240_000
  )

  it.live("of processes that compete each generation is one's", () =>
    Effect.gen(function* () {
      const server = yield* redisServer()
      const { lines, start, until } = yield* makeWorkers
      const key = newKey()
      const names = ["a", "b", "c"]
      const team = yield* Effect.forEach(names, (name) => start("compete", server.url, name, key, "150"))
      yield* until("all started", (all) => all.filter(([, event]) => event === "started").length === names.length)
      for (const worker of team) yield* worker.tell
      yield* until("all done", (all) => all.filter(([, event]) => event === "done").length === names.length)
      const saved = lines.filter(([, event]) => event === "saved").map((line) => Number(line[2]))
      assert.deepStrictEqual(
        saved.toSorted((a, b) => a - b),
        Array.from({ length: 450 }, (_, index) => index + 1)
      )
    })
  )

  it.live("keeps tokens across runs and writes none in clear, nor the key", () =>
    Effect.gen(function* () {
      const server = yield* redisServer("--appendonly", "yes", "--appendfsync", "always")
      const key = newKey()
      yield* run(server, key, (store) =>
        Effect.gen(function* () {
          yield* store.save("shop", 0, tokens("canary-1"))
          yield* store.save("shop", 1, tokens("canary-2"))
        })
      )
      const { messages, result } = yield* run(server, key, (store) => accessTokenOf(store, "shop"))
      assert.strictEqual(result, "access-canary-2")
      assert.isEmpty(messages)
      const redis = yield* client(server)
      yield* call(redis, "SAVE")
      const text = readdirSync(server.directory, { recursive: true, encoding: "utf8" })
        .filter((file) => /\.(aof|rdb|manifest)$/.test(file))
        .map((file) => readFileSync(join(server.directory, file), "latin1"))
        .join("")
      assert.include(text, "REDIS0", "a dump is among them")
      assert.include(text, "shop", "the search looks at the right files")
      for (const secret of ["canary", key]) assert.notInclude(text, secret)
    })
  )

  it.live("needs a key, and the right one", () =>
    Effect.gen(function* () {
      const server = yield* redisServer("--appendonly", "yes", "--appendfsync", "always")
      const [right, wrong, third] = [newKey(), newKey(), newKey()]
      const none = yield* Effect.flip(run(server, undefined, () => Effect.void))
      assert.match(
        none.message,
        /no key is given for Redis at 127\.0\.0\.1:\d+\. Set TRIBUTARY_VAULT_KEY to the same key/
      )
      yield* run(server, right, (store) => store.save("old", 0, tokens("old")))
      const error = yield* Effect.flip(run(server, wrong, () => Effect.void))
      assert.match(error.message, /the tokens of Redis at .* were sealed with another key/)
      assert.notInclude(error.message, wrong)
      // With a record for which the key is given, the other one stays as it is.
      yield* run(server, `${wrong},${right}`, (store) => store.save("new", 0, tokens("new")))
      yield* run(server, `${wrong},${third}`, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* accessTokenOf(store, "new"), "access-new")
          const calls: ReadonlyArray<Effect.Effect<unknown, Error>> = [
            store.load("old"),
            store.save("old", 1, tokens("x")),
            store.save("old", 0, tokens("x"))
          ]
          for (const call of calls)
            assert.match((yield* Effect.flip(call)).message, /sealed with a key that is not given/)
        })
      )
      assert.strictEqual((yield* run(server, right, (store) => accessTokenOf(store, "old"))).result, "access-old")
    })
  )

  it.live("asks for a key that is kept elsewhere before a refresh token is spent, not after", () =>
    Effect.gen(function* () {
      const server = yield* redisServer(...durable)
      const vault = yield* hashicorpStandIn
      vault.rotateKey("tributary")
      yield* run(
        server,
        "vault:transit/tributary",
        Effect.fnUntraced(function* (store) {
          vault.fault("/transit/encrypt/", "reset", "reset", "reset")
          const error = yield* Effect.flip(store.note("shop", 0, undefined, entry("a")))
          assert.strictEqual(error._tag === "VaultError" && error.failureClass, "transient")
          assert.isUndefined((yield* store.read("shop")).entry)
          yield* store.note("shop", 0, undefined, entry("a"))
          vault.fault("/transit/encrypt/", "reset", "reset", "reset")
          yield* store.save("shop", 0, tokens("next"), "a")
        }),
        { VAULT_ADDR: vault.url, VAULT_TOKEN: "root-token" }
      )
    })
  )

  it.live("notices a record that was changed, moved, or is somebody else's", () =>
    Effect.gen(function* () {
      const server = yield* redisServer()
      const key = newKey()
      const redis = yield* client(server)
      const message = (id: string) =>
        Effect.map(
          run(server, key, (store) => Effect.flip(store.load(id))),
          ({ result }): string => `${result.failureClass} ${result.message}`
        )
      yield* run(server, key, (store) =>
        Effect.andThen(store.save("a", 0, tokens("a")), store.save("b", 0, tokens("b")))
      )
      const sealed = String(yield* call(redis, "HGET", "tributary:tokens:a", "sealed"))
      yield* call(redis, "HSET", "tributary:tokens:b", "sealed", sealed)
      assert.match(yield* message("b"), /^misconfigured .*changed or damaged/)
      yield* call(redis, "HSET", "tributary:tokens:a", "generation", "7")
      assert.match(yield* message("a"), /changed or damaged/)
      yield* call(redis, "HSET", "tributary:tokens:a", "generation", "seven")
      assert.match(yield* message("a"), /not one of Tributary's/)
      yield* call(redis, "SET", "tributary:tokens:c", "text")
      assert.match(yield* message("c"), /^misconfigured .*made by another program/)
      // The way out that the message names works.
      yield* run(server, key, (store) => Effect.andThen(store.remove("b"), store.save("b", 0, tokens("b2"))))
      assert.strictEqual((yield* run(server, key, (store) => accessTokenOf(store, "b"))).result, "access-b2")
    })
  )

  it.live("warns when Redis does not keep what it acknowledges", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp | undefined]> = [
        [
          ["--appendonly", "no"],
          /keeps no append-only file \(appendonly no, expected yes\).*CONFIG SET appendonly yes/
        ],
        [
          ["--appendonly", "yes", "--appendfsync", "no"],
          /appendfsync no, expected always or.*CONFIG SET appendfsync always/
        ],
        [
          ["--appendonly", "yes", "--appendfsync", "everysec"],
          canWaitForDisk ? undefined : /appendfsync everysec, expected always, as this is Redis \d/
        ],
        [
          ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"],
          /maxmemory-policy allkeys-lru, expected noeviction; maxmemory 0\), tokens, leases/
        ],
        [
          ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "volatile-ttl"],
          /volatile-ttl.*, leases and budgets/
        ],
        [
          ["--appendonly", "yes", "--rename-command", "CONFIG", ""],
          /does not tell its settings.*aof_enabled 1\. Expected: appendonly yes/
        ],
        [
          ["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config"],
          /does not tell its settings.*aof_enabled 0.*ACL: \+config\|get/
        ]
      ]
      for (const [settings, expected] of cases) {
        const server = yield* redisServer(...settings)
        const { messages } = yield* run(server, newKey(), (store) =>
          Effect.andThen(store.save("a", 0, tokens("1")), store.save("a", 1, tokens("2")))
        )
        if (expected === undefined) assert.isEmpty(messages)
        else {
          assert.strictEqual(messages.length, 1, messages.join())
          assert.match(messages[0] ?? "", expected)
        }
        yield* server.kill
      }
    })
  )

  it.live.skipIf(!canWaitForDisk)("waits for the disk before it acknowledges (Redis 7.2 or later)", () =>
    Effect.gen(function* () {
      const server = yield* redisServer("--appendonly", "yes", "--appendfsync", "everysec")
      const redis = yield* client(server)
      yield* run(server, newKey(), (store) =>
        Effect.gen(function* () {
          // Nothing of this connection was written yet, so only its own save can have been waited for.
          yield* store.save("shop", 0, tokens("1"))
          const saved = /aof_pending_bio_fsync:(\d+)/.exec(String(yield* call(redis, "INFO", "persistence")))?.[1]
          assert.strictEqual(saved, "0")
          yield* store.remove("shop")
        })
      )
      const calls = /cmdstat_waitaof:calls=(\d+)/.exec(String(yield* call(redis, "INFO", "commandstats")))?.[1]
      assert.strictEqual(calls, "2")
    })
  )

  it.live("is transient while Redis is paused or down, and works again by itself", () =>
    Effect.gen(function* () {
      const server = yield* redisServer(...durable)
      yield* run(server, newKey(), (store) =>
        Effect.gen(function* () {
          yield* store.save("shop", 0, tokens("1"))
          for (const [stop, go, said] of [
            [server.pause, server.resume, /did not answer within 300ms/],
            [server.kill, server.start, /ECONNREFUSED|connection was closed/]
          ] as const) {
            yield* stop
            const calls: ReadonlyArray<Effect.Effect<unknown, Error>> = [
              store.load("shop"),
              store.save("shop", 1, tokens("2")),
              store.remove("shop")
            ]
            // The removal comes last, and is refused before anything is sent, as no connection can be made.
            for (const call of stop === server.kill ? calls : calls.slice(0, 2)) {
              const error = yield* Effect.flip(Effect.timeout(call, "20 seconds"))
              assert.instanceOf(error, VaultError)
              assert.strictEqual(error.failureClass, "transient")
              assert.match(error.message, /^Tokens of shop: Redis at 127\.0\.0\.1:\d+: /)
              assert.notInclude(error.message, "access-")
              if (call === calls[0]) assert.match(error.message, said)
            }
            yield* go
            yield* Effect.retry(store.load("shop"), { schedule: Schedule.spaced("50 millis"), times: 200 })
          }
          const again: Effect.Effect<unknown, VaultError> = Effect.retry(accessTokenOf(store, "shop"), {
            schedule: Schedule.spaced("50 millis"),
            times: 200
          })
          assert.strictEqual(yield* again, "access-1")
        })
      )
    })
  )
})
