import { Effect, type Redacted, type Scope } from "effect"
import type { PlaceError } from "./PlaceError.ts"

/** A key that encrypts other keys, and may be kept where nobody can copy it. */
export interface WrappingKey {
  /** Names the key; kept beside what it wrapped. */
  readonly id: string
  /** Whether it is in this process, so that wrapping costs nothing. */
  readonly isHere: boolean
  readonly wrap: (dataKey: Redacted.Redacted<Uint8Array>) => Effect.Effect<Uint8Array, PlaceError>
  readonly unwrap: (wrapped: Uint8Array) => Effect.Effect<Redacted.Redacted<Uint8Array>, PlaceError>
}

/** Whose keys can be used without being copied: HashiCorp Vault transit, AWS KMS, Google Cloud KMS. */
export const remoteKeyKinds = ["vault", "aws", "gcp"] as const
export type RemoteKeyKind = (typeof remoteKeyKinds)[number]

export const isRemoteKeyKind = (kind: string): kind is RemoteKeyKind => remoteKeyKinds.some((known) => known === kind)

/** Ties a wrapped key to its use, where the keeper can: what was wrapped for another one does not open. */
export const wrappingPurpose = "tributary-vault"

/**
 * A key that another server keeps: `vault:transit/name`, `aws:` with a key id, ARN or alias, `gcp:` with the key's full name. Clients
 * are loaded here and not before. Fails if its settings are missing or wrong; the server is not asked yet.
 */
export const remoteKey = (kind: RemoteKeyKind, name: string): Effect.Effect<WrappingKey, PlaceError, Scope.Scope> => {
  switch (kind) {
    case "vault":
      return Effect.flatMap(
        Effect.promise(() => import("./hashicorp/transitKey.ts")),
        ({ transitKey }) => transitKey(name)
      )
    case "aws":
      return Effect.flatMap(
        Effect.promise(() => import("./aws/kmsKey.ts")),
        ({ kmsKey }) => kmsKey(name)
      )
    case "gcp":
      return Effect.flatMap(
        Effect.promise(() => import("./google/cloudKmsKey.ts")),
        ({ cloudKmsKey }) => cloudKmsKey(name)
      )
  }
}
