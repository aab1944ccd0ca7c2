import { Context, type Effect } from "effect"
import type { VaultError } from "./TokenStore.ts"

/** What is known of a record without opening it. */
export interface SealedRecord {
  readonly authorization: string
  /** The key that it needs. */
  readonly keyId: string
  /** It has the form of an earlier version, which is still read. */
  readonly isFirstForm: boolean
}

/** Ids of keys. */
export interface KeyIds {
  /** Seals. */
  readonly current: string
  /** All that open, the current one first. */
  readonly given: ReadonlyArray<string>
}

/** The records of a token store as they lie there, for changing the key that they are sealed with. */
export class SealedRecords extends Context.Service<
  SealedRecords,
  {
    /** The store as a message names it. */
    readonly store: string
    /** The keys as they are now. */
    readonly keys: Effect.Effect<KeyIds, VaultError>
    /** Every record that holds tokens. */
    readonly list: Effect.Effect<ReadonlyArray<SealedRecord>, VaultError>
    /**
     * Seals a record anew with the current key and a data key of its own; its generation, its journal and what is in it stay as
     * they are. Only if it is still what was read: `changed` says that it was replaced or removed meanwhile, and nothing was done.
     */
    readonly reseal: (authorization: string) => Effect.Effect<"resealed" | "changed", VaultError>
  }
>()("@tributary/vault/SealedRecords") {}
