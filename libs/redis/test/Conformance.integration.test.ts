import { type Redis, RedisLeases, RedisTokenStore } from "@tributary/redis"
import { leasesConformance, tokenStoreConformance } from "@tributary/vault/testing"
import { describe } from "@effect/vitest"
import { ConfigProvider, Layer } from "effect"
import { anyRedis, missingAny } from "./RedisServer.ts"
import { newKey } from "./keys.ts"

const key = newKey()

/** The layer with the server below it, which it shares with nobody. */
const withKey = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: key }))

describe.skipIf(missingAny !== undefined)(`Redis${missingAny === undefined ? "" : ` (${missingAny})`}`, () => {
  tokenStoreConformance(
    "RedisTokenStore.layer",
    RedisTokenStore.layer.pipe(Layer.provide(Layer.mergeAll(anyRedis satisfies Layer.Layer<Redis>, withKey)))
  )
  leasesConformance("RedisLeases.layer", RedisLeases.layer.pipe(Layer.provide(anyRedis)))
})
