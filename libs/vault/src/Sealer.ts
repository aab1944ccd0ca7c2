import type { PlaceError } from "@tributary/secrets"
import { Effect } from "effect"
import { contentsOf, tokensOf } from "./Contents.ts"
import { makeDataKeys } from "./DataKeys.ts"
import { isEnvelope, openEnvelope, openFirstForm, readEnvelope, sealEnvelope } from "./Envelope.ts"
import { type KeyPlace, type Keys, loadKeyring, missingKey } from "./Keyring.ts"
import type { KeyIds } from "./SealedRecords.ts"
import { forgetAdvice, type StoredTokens, VaultError } from "./TokenStore.ts"

/** What seals records now, without waiting for anything. */
export interface Seal {
  /** Names the key that the records need; kept beside them. */
  readonly keyId: string
  readonly seal: (authorization: string, tokens: StoredTokens) => Buffer
  /** Throws a `VaultError` if the key `id` is not given: what it sealed must not be overwritten, for the key may come back. */
  readonly requireKey: (authorization: string, id: string) => void
}

/**
 * Encrypts the records of a token store, the same way whatever the store: AES-256-GCM under a data key, which is encrypted under the
 * key that the record names. Name, generation and key of a record are authenticated with it.
 */
export interface Sealer {
  /** The keys as they are now. */
  readonly keys: Effect.Effect<KeyIds, VaultError>
  /** Gets what is needed to seal. */
  readonly ready: Effect.Effect<Seal, VaultError>
  /** Opens what `seal` made under the key `id`, or what earlier versions did. No error quotes what was read. */
  readonly open: (
    authorization: string,
    generation: number,
    id: string,
    sealed: Uint8Array
  ) => Effect.Effect<StoredTokens, VaultError>
}

const fromKeeper = (authorization: string | undefined) => (error: PlaceError) =>
  new VaultError({
    authorization,
    problem: error.message,
    failureClass: error.failureClass === "misconfigured" ? "misconfigured" : "transient"
  })

/** Loads the keys; `sealedWith` are the ids of the keys that the stored records need. See `loadKeyring`. */
export const makeSealer = Effect.fnUntraced(function* (where: KeyPlace, sealedWith: ReadonlyArray<string>) {
  const keyring = yield* loadKeyring(where, sealedWith)
  const dataKeys = makeDataKeys(yield* Effect.scope)

  const keyOf = (keys: Keys, authorization: string, id: string) => {
    const key = keys.byId.get(id)
    if (key !== undefined) return key
    throw new VaultError({
      authorization,
      problem: missingKey(authorization, id, keys, keyring.places),
      failureClass: "misconfigured"
    })
  }

  const ready = Effect.gen(function* () {
    const keys = yield* keyring.now
    const { key, wrapped } = yield* Effect.mapError(dataKeys.toSeal(keys.current), fromKeeper(undefined))
    const keyId = keys.current.id
    return {
      keyId,
      seal: (authorization, tokens) =>
        sealEnvelope(key, wrapped, { authorization, generation: tokens.generation, keyId }, contentsOf(tokens)),
      requireKey: (authorization, id) => void keyOf(keys, authorization, id)
    } satisfies Seal
  })

  const open: Sealer["open"] = Effect.fnUntraced(function* (authorization, generation, keyId, sealed) {
    const damaged = new VaultError({
      authorization,
      problem: `the record in ${where.store} was changed or damaged. Restore ${where.store} from a backup, or forget the tokens of this authorization: ${forgetAdvice(authorization)}`,
      failureClass: "misconfigured"
    })
    const keys = yield* keyring.now
    const key = yield* Effect.try({
      try: () => keyOf(keys, authorization, keyId),
      catch: (error) => (error instanceof VaultError ? error : damaged)
    })
    const at = { authorization, generation, keyId }
    /** The original error is left out: a decoder's message could quote what it read. */
    const decoded = (text: () => string) =>
      Effect.try({ try: () => tokensOf(text(), generation), catch: () => damaged })

    if (!isEnvelope(sealed)) {
      const { itself } = key
      return itself === undefined ? yield* damaged : yield* decoded(() => openFirstForm(itself, sealed, at))
    }
    const envelope = readEnvelope(sealed)
    if (envelope === undefined) return yield* damaged
    const dataKey = yield* dataKeys
      .toOpen(key, envelope.wrapped)
      .pipe(Effect.mapError((error) => (key.isHere ? damaged : fromKeeper(authorization)(error))))
    return yield* decoded(() => openEnvelope(dataKey, envelope, at))
  })

  const ids = Effect.map(keyring.now, ({ byId, current }): KeyIds => ({
    current: current.id,
    given: [current.id, ...[...byId.keys()].filter((id) => id !== current.id)]
  }))
  return { keys: ids, ready, open } satisfies Sealer
})
