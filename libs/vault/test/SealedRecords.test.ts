import { SqliteTokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { sealedRecordsConformance, type Vessel } from "./SealedRecordsConformance.ts"
import { temporaryDirectory } from "./tokens.ts"

sealedRecordsConformance(
  "SealedRecords of SqliteTokenStore",
  Effect.map(temporaryDirectory, (directory): Vessel => {
    const database = () => new DatabaseSync(join(directory, "vault.db"))
    const opened: Vessel["opened"] = (keys, settings = {}) =>
      SqliteTokenStore.layer({ directory }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...settings, TRIBUTARY_VAULT_KEY: keys })))
      )
    return {
      opened,
      plant: (authorization, generation, keyId, sealed) =>
        Effect.andThen(
          // The file is there, with its tables.
          Effect.orDie(
            Effect.provide(Effect.void, opened(Buffer.alloc(32, 7).toString("base64")), { local: true })
          ).pipe(Effect.ignoreCause),
          Effect.sync(() => {
            const file = database()
            file
              .prepare("INSERT OR REPLACE INTO tokens (authorization, generation, key_id, sealed) VALUES (?, ?, ?, ?)")
              .run(authorization, generation, keyId, sealed)
            file.close()
          })
        ),
      bytesOf: (authorization) =>
        Effect.sync(() => {
          const file = database()
          const row = file.prepare("SELECT key_id, sealed FROM tokens WHERE authorization = ?").get(authorization)
          file.close()
          const sealed = row?.["sealed"]
          return { keyId: String(row?.["key_id"]), sealed: sealed instanceof Uint8Array ? sealed : new Uint8Array() }
        })
    }
  })
)
