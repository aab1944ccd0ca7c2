import { Effect, type Redacted, type Scope } from "effect"
import type { PlaceError } from "./PlaceError.ts"

/** A server that keeps secrets. */
export interface SecretStore {
  /** Reads a secret as it is now; a secret of several fields as a JSON object. Timed and repeated as far as it may pass. */
  readonly read: (name: string) => Effect.Effect<Redacted.Redacted<string>, PlaceError>
}

/** Stores by the kind of reference that names them: `${vault:...}`, `${aws:...}`, `${gcp:...}`. */
export const storeKinds = ["vault", "aws", "gcp"] as const
export type StoreKind = (typeof storeKinds)[number]

/** Loads the client of a store and its settings; fails if they are missing or wrong. The store is not asked yet. */
export const secretStore = (kind: StoreKind): Effect.Effect<SecretStore, PlaceError, Scope.Scope> => {
  switch (kind) {
    case "vault":
      return Effect.flatMap(
        Effect.promise(() => import("./hashicorp/keyValueStore.ts")),
        ({ keyValueStore }) => keyValueStore
      )
    case "aws":
      return Effect.flatMap(
        Effect.promise(() => import("./aws/secretsManager.ts")),
        ({ secretsManager }) => secretsManager
      )
    case "gcp":
      return Effect.flatMap(
        Effect.promise(() => import("./google/secretManager.ts")),
        ({ secretManager }) => secretManager
      )
  }
}
