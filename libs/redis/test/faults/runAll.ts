import { RedisTokenStore } from "@tributary/redis"
import { TokenTransport } from "@tributary/oauth"
import { SqliteTokenStore, type TokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer, Logger } from "effect"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { newKey } from "../keys.ts"
import { anyRedis } from "../RedisServer.ts"
import type { Case, Result } from "./matrix.ts"
import { run } from "./run.ts"

const withKey = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: newKey() }))

/** In memory where that can be had: what a disk keeps is tested elsewhere, and each write waits for it. */
const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()

const sqlite = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(folder, "tributary-faults-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    ),
    (directory) => SqliteTokenStore.layer({ directory })
  )
)

/** The stores of both engines. */
export const stores = {
  sqlite: Layer.provide(sqlite, withKey),
  redis: RedisTokenStore.layer.pipe(Layer.provide(Layer.mergeAll(anyRedis, withKey)))
} satisfies Record<string, Layer.Layer<TokenStore, unknown>>

/** Carries out these runs against one store, so many at a time. */
export const runAll = (
  store: keyof typeof stores,
  plans: ReadonlyArray<Case>,
  client: "journal" | "naive",
  concurrency: number,
  onResult: (result: Result) => void = () => undefined
) =>
  Effect.forEach(plans, (plan) => Effect.tap(run(plan, client), (result) => Effect.sync(() => onResult(result))), {
    concurrency
  }).pipe(
    // What a process says that is killed, by the thousand.
    Effect.provide(Layer.mergeAll(stores[store], TokenTransport.layer, Logger.layer([])))
  )
