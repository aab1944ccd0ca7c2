import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option, Redacted } from "effect"
import { inspect } from "node:util"
import { servers, WrongServer } from "../src/Servers.ts"

const secret = "planted-secret-77aa"

const given = (environment: Record<string, string>) =>
  servers.pipe(
    Effect.provide(Layer.merge(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)), NodeFileSystem.layer))
  )

describe("servers that the environment names", () => {
  const addresses: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["TRIBUTARY_CLICKHOUSE_URL", `http://user:${secret}@host:8123`, /TRIBUTARY_CLICKHOUSE_USER .*CLICKHOUSE_PASSWORD/u],
    ["TRIBUTARY_CLICKHOUSE_URL", `http://${secret}@host:8123`, /TRIBUTARY_CLICKHOUSE_USER/u],
    ["TRIBUTARY_CLICKHOUSE_URL", `http://host:8123/?user=me&password=${secret}`, /question mark.*CLICKHOUSE_PASSWORD/u],
    ["TRIBUTARY_CLICKHOUSE_URL", `user:${secret}@host:8123`, /form http:\/\/host:port/u],
    ["TRIBUTARY_CLICKHOUSE_URL", `http://user:${secret}@host:port`, /form http:\/\/host:port/u],
    [
      "TRIBUTARY_REGISTRY_URL",
      `https://key:${secret}@registry.example`,
      /TRIBUTARY_REGISTRY_USER .*REGISTRY_PASSWORD/u
    ],
    ["TRIBUTARY_REGISTRY_URL", `https://registry.example/?access_token=${secret}`, /question mark/u],
    ["TRIBUTARY_REDIS_URL", `http://:${secret}@host`, /form redis:\/\/host:port/u],
    ["TRIBUTARY_REDIS_URL", `${secret}@host:6379`, /form redis:\/\/host:port/u],
    ["TRIBUTARY_KAFKA_BROKERS", `user:${secret}@host:9092`, /TRIBUTARY_KAFKA_USERNAME and TRIBUTARY_KAFKA_PASSWORD/u]
  ]
  for (const [index, [variable, address, message]] of addresses.entries()) {
    it.effect(`are refused with credentials in ${variable}, which are not shown (${index + 1})`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(given({ [variable]: address }))
        assert.instanceOf(error, WrongServer)
        assert.include(error.message, variable)
        assert.match(error.message, message)
        assert.notInclude(inspect(error, { depth: 10 }), secret)
      })
    )
  }

  it.effect("may have the credentials of Redis in its address, and nobody sees them there", () =>
    Effect.gen(function* () {
      const { redis } = yield* given({ TRIBUTARY_REDIS_URL: `rediss://me%40home:${secret}%2F%21@host:6380/3` })
      const found = Option.getOrThrow(redis)
      assert.strictEqual(found.url, "rediss://host:6380/3")
      assert.strictEqual(found.username, "me@home")
      assert(found.password !== undefined)
      assert.strictEqual(Redacted.value(found.password), `${secret}/!`)
      assert.notInclude(inspect(redis, { depth: 10 }), secret)
      assert.notInclude(JSON.stringify(found), secret)
      // Without a name, as most have it.
      const plain = Option.getOrThrow((yield* given({ TRIBUTARY_REDIS_URL: `redis://:${secret}@host` })).redis)
      assert.deepStrictEqual([plain.url, plain.username], ["redis://host", undefined])
      assert(plain.password !== undefined)
      assert.strictEqual(Redacted.value(plain.password), secret)
    })
  )

  it.effect("have one password of Redis, not two", () =>
    Effect.gen(function* () {
      const url = `redis://:${secret}@host:6379`
      const error = yield* Effect.flip(given({ TRIBUTARY_REDIS_URL: url, TRIBUTARY_REDIS_PASSWORD: "another" }))
      assert.include(error.message, "TRIBUTARY_REDIS_PASSWORD is another")
      assert.notInclude(error.message, secret)
      const blank = yield* given({ TRIBUTARY_REDIS_URL: url, TRIBUTARY_REDIS_PASSWORD: "" })
      const { password } = Option.getOrThrow(blank.redis)
      assert.strictEqual(password === undefined ? "" : Redacted.value(password), secret)
      const apart = yield* given({ TRIBUTARY_REDIS_URL: "redis://host:6379", TRIBUTARY_REDIS_PASSWORD: secret })
      assert.strictEqual(Option.getOrThrow(apart.redis).url, "redis://host:6379")
    })
  )

  it.effect("are taken as they are given otherwise", () =>
    Effect.gen(function* () {
      const found = yield* given({
        TRIBUTARY_KAFKA_BROKERS: "one:9092, two:9092",
        TRIBUTARY_CLICKHOUSE_URL: "https://host:8443/path?database=x",
        TRIBUTARY_CLICKHOUSE_USER: "loader",
        TRIBUTARY_CLICKHOUSE_PASSWORD: secret,
        TRIBUTARY_REGISTRY_URL: "http://registry:8080/apis/ccompat/v7",
        TRIBUTARY_REDIS_URL: ""
      })
      assert.deepStrictEqual(Option.getOrThrow(found.kafka).brokers, ["one:9092", "two:9092"])
      assert.deepInclude(Option.getOrThrow(found.clickhouse), {
        url: "https://host:8443/path?database=x",
        user: "loader"
      })
      assert.strictEqual(Option.getOrThrow(found.registry).url, "http://registry:8080/apis/ccompat/v7")
      assert.isTrue(Option.isNone(found.redis))
    })
  )
})
