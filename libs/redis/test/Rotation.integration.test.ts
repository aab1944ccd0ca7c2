import { RedisTokenStore } from "@tributary/redis"
import { rotateVault, vaultStatus } from "@tributary/vault"
import {
  acknowledgedIn,
  intact,
  newKey,
  refreshed,
  sealedRecordsConformance,
  startSpeaker,
  type Vessel
} from "@tributary/vault/testing"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { call, client, missing, redisServer, type RedisServer } from "./RedisServer.ts"

/** Acknowledged at once; what is lost in a power cut is not what is tested here. */
const quick = ["--appendonly", "yes", "--appendfsync", "always"] as const
const kills = 12
const module = new URL("rotation-loop.ts", import.meta.url).pathname

const opened = (server: RedisServer, keys: string, settings: Readonly<Record<string, string>> = {}) =>
  RedisTokenStore.layer.pipe(
    Layer.provide(
      Layer.merge(
        server.layer(),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...settings, TRIBUTARY_VAULT_KEY: keys }))
      )
    )
  )

describe.skipIf(missing !== undefined)(
  `Keys of the vault in Redis${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    sealedRecordsConformance(
      "SealedRecords of RedisTokenStore",
      Effect.gen(function* () {
        const server = yield* redisServer(...quick)
        const redis = yield* client(server)
        const vessel: Vessel = {
          opened: (keys, settings) => opened(server, keys, settings),
          plant: (authorization, generation, keyId, sealed) =>
            Effect.gen(function* () {
              const fields = [
                "generation",
                generation,
                "key_id",
                keyId,
                "sealed",
                Buffer.from(sealed).toString("base64")
              ]
              yield* call(redis, "HSET", `tributary:tokens:${authorization}`, ...fields)
              yield* call(redis, "SADD", "tributary:tokens", authorization)
            }),
          bytesOf: (authorization) =>
            Effect.gen(function* () {
              const [keyId, sealed] = yield* Effect.all([
                call(redis, "HGET", `tributary:tokens:${authorization}`, "key_id"),
                call(redis, "HGET", `tributary:tokens:${authorization}`, "sealed")
              ])
              return { keyId: String(keyId), sealed: Buffer.from(String(sealed), "base64") }
            })
        }
        return vessel
      })
    )

    it.live(
      `a rotation loses nothing while tokens are refreshed and it is killed ${kills} times`,
      () =>
        Effect.gen(function* () {
          const server = yield* redisServer(...quick)
          const [older, newer] = [newKey(), newKey()]
          const start = (mode: string, keys: string) =>
            startSpeaker(module, [server.url, mode], { TRIBUTARY_VAULT_KEY: keys })
          const worker = yield* start("refresh", `${older},${newer}`)
          yield* worker.until((line) => line.startsWith("saved"), 2 * refreshed.length)
          for (let round = 0; round < kills; round++) {
            const rotation = yield* start("rotate", `${newer},${older}`)
            yield* rotation.until((line) => line.startsWith(round % 2 === 0 ? "begin" : "end"), 1 + ((round * 7) % 23))
            yield* rotation.kill
            yield* worker.until((line) => line.startsWith("saved"), 1)
            const acknowledged = acknowledgedIn(worker.lines)
            assert.deepStrictEqual(yield* Effect.provide(intact(acknowledged), opened(server, `${newer},${older}`)), [])
          }
          yield* worker.kill
          assert.deepStrictEqual(
            worker.lines.filter((line) => line.startsWith("refused")),
            []
          )
          yield* Effect.provide(rotateVault({ isDryRun: false, isAll: false }), opened(server, `${newer},${older}`))
          const last = yield* Effect.provide(
            Effect.all({ problems: intact(acknowledgedIn(worker.lines)), status: vaultStatus }),
            opened(server, newer)
          )
          assert.deepStrictEqual(last.problems, [])
          assert.deepStrictEqual(
            last.status.keys.map(({ records, state }) => [records, state]),
            [[refreshed.length, "current"]]
          )
        }),
      240_000
    )
  }
)
