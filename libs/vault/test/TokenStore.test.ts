import { Effect, Layer } from "effect"
import { SqliteTokenStore, TokenStore } from "@tributary/vault"
import { temporaryDirectory } from "./tokens.ts"
import { tokenStoreConformance } from "./TokenStoreConformance.ts"

tokenStoreConformance("TokenStore.layerMemory", TokenStore.layerMemory)
tokenStoreConformance(
  "SqliteTokenStore.layer",
  Layer.unwrap(Effect.map(temporaryDirectory, (directory) => SqliteTokenStore.layer({ directory })))
)
