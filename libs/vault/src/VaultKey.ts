import { PlaceError, type WrappingKey } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import { createHash, createSecretKey, type KeyObject } from "node:crypto"
import { decrypt, encrypt } from "./Envelope.ts"

export const keyBytes = 32

/** A key of the vault. */
export interface VaultKey extends WrappingKey {
  /** Opens records of the first form, which were sealed with the key itself; only keys that are here have sealed such. */
  readonly itself: KeyObject | undefined
}

/** Says which key sealed a record. It is made from the key, so no list of names has to be kept. */
const idOf = (key: Uint8Array): string =>
  createHash("sha256").update("tributary vault key\0").update(key).digest("hex").slice(0, 16)

/** A key whose 32 bytes are given. */
export const localKey = (bytes: Uint8Array): VaultKey => {
  const id = idOf(bytes)
  const itself = createSecretKey(bytes)
  const bound = Buffer.from(`tributary data key ${id}`)
  const changed = new PlaceError({
    place: `Key ${id}`,
    problem: "the record's data key was changed, or is that of another record.",
    failureClass: "misconfigured"
  })
  return {
    id,
    isHere: true,
    itself,
    wrap: (dataKey) => Effect.sync(() => encrypt(itself, bound, Redacted.value(dataKey))),
    unwrap: (wrapped) =>
      Effect.try({ try: () => Redacted.make<Uint8Array>(decrypt(itself, bound, wrapped)), catch: () => changed })
  }
}
