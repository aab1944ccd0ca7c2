import { Redis, RedisTokenStore } from "@tributary/redis"
import type { SealedRecords, TokenStore } from "@tributary/vault"
import { refreshing, rotating } from "@tributary/vault/testing"
import { Effect, Layer } from "effect"
import process from "node:process"

/** A process of the tests: refreshes or rotates for ever, and is killed by the test. */
const [url = "", mode = ""] = process.argv.slice(2)

const modes: Readonly<Record<string, Effect.Effect<unknown, unknown, TokenStore | SealedRecords>>> = {
  refresh: refreshing,
  rotate: rotating
}

await Effect.runPromise(
  Effect.provide(
    modes[mode] ?? Effect.die(`There is no mode ${mode}.`),
    RedisTokenStore.layer.pipe(Layer.provide(Redis.layer({ url })))
  )
)
