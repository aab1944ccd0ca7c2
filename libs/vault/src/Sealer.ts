import { Effect, Redacted, Schema } from "effect"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { type KeyPlace, loadKeyring } from "./Keyring.ts"
import { type StoredTokens, VaultError } from "./TokenStore.ts"

const algorithm = "aes-256-gcm"
const nonceBytes = 12
const tagBytes = 16

/** The sealed part of a record. */
const Contents = Schema.fromJsonString(
  Schema.Struct({
    accessToken: Schema.String,
    tokenType: Schema.String,
    expiresAt: Schema.NullOr(Schema.Finite),
    obtainedAt: Schema.Finite,
    refreshToken: Schema.NullOr(Schema.String),
    scopes: Schema.Array(Schema.String),
    settings: Schema.String,
    seed: Schema.NullOr(Schema.String),
    refreshLife: Schema.optionalKey(
      Schema.Struct({
        obtainedAt: Schema.Finite,
        consentedAt: Schema.Finite,
        saidEnd: Schema.NullOr(Schema.Finite),
        isFixed: Schema.Boolean
      })
    )
  })
)
const encodeContents = Schema.encodeSync(Contents)
const decodeContents = Schema.decodeUnknownSync(Contents)

/** Ties a record to its place: sealed bytes that are copied to another record or generation do not open. */
const place = (authorization: string, generation: number) => Buffer.from(JSON.stringify([authorization, generation]))

/** Encrypts the records of a token store, the same way whatever the store: AES-256-GCM under a random nonce. */
export interface Sealer {
  /** Names the key that seals; kept beside the record. */
  readonly keyId: string
  readonly seal: (authorization: string, tokens: StoredTokens) => Buffer
  /** Opens what `seal` made under the key `id`. Throws a `VaultError`, which never quotes what it read. */
  readonly open: (authorization: string, generation: number, id: string, sealed: Uint8Array) => StoredTokens
  /** Throws a `VaultError` if the key `id` is not given: what it sealed must not be overwritten, for the key may come back. */
  readonly requireKey: (authorization: string, id: string) => void
}

/** Loads the keys; `sealedWith` are the ids of the keys that the stored records need. See `loadKeyring`. */
export const makeSealer = Effect.fnUntraced(function* (where: KeyPlace, sealedWith: ReadonlyArray<string>) {
  const keyring = yield* loadKeyring(where, sealedWith)

  const keyOf = (authorization: string, id: string) => {
    const key = keyring.byId.get(id)
    if (key !== undefined) return key
    throw new VaultError({
      authorization,
      problem: `they were sealed with a key that is not given (id ${id}). Add that key to TRIBUTARY_VAULT_KEY${where.directory === undefined ? "" : " or vault.key"}, or remove the tokens of this authorization.`,
      failureClass: "misconfigured"
    })
  }

  const seal: Sealer["seal"] = (authorization, tokens) => {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv(algorithm, keyOf(authorization, keyring.current), nonce).setAAD(
      place(authorization, tokens.generation)
    )
    const contents = encodeContents({
      accessToken: Redacted.value(tokens.accessToken),
      tokenType: tokens.tokenType,
      expiresAt: tokens.expiresAt ?? null,
      obtainedAt: tokens.obtainedAt,
      refreshToken: tokens.refreshToken === undefined ? null : Redacted.value(tokens.refreshToken),
      scopes: tokens.scopes,
      settings: tokens.settings,
      seed: tokens.seed ?? null,
      ...(tokens.refreshLife === undefined
        ? {}
        : { refreshLife: { ...tokens.refreshLife, saidEnd: tokens.refreshLife.saidEnd ?? null } })
    })
    return Buffer.concat([nonce, cipher.update(contents, "utf8"), cipher.final(), cipher.getAuthTag()])
  }

  const open: Sealer["open"] = (authorization, generation, id, sealed) => {
    const key = keyOf(authorization, id)
    try {
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes))
        .setAAD(place(authorization, generation))
        .setAuthTag(sealed.subarray(-tagBytes))
      const text = decipher.update(sealed.subarray(nonceBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8")
      const { refreshLife, ...contents } = decodeContents(text)
      return {
        ...contents,
        generation,
        accessToken: Redacted.make(contents.accessToken),
        expiresAt: contents.expiresAt ?? undefined,
        refreshToken: contents.refreshToken === null ? undefined : Redacted.make(contents.refreshToken),
        seed: contents.seed ?? undefined,
        ...(refreshLife === undefined
          ? {}
          : { refreshLife: { ...refreshLife, saidEnd: refreshLife.saidEnd ?? undefined } })
      }
    } catch {
      // The original error is left out: a decoder's message could quote what it read.
      throw new VaultError({
        authorization,
        problem: `the record in ${where.store} was changed or damaged. Restore ${where.store} from a backup, or remove the tokens of this authorization.`,
        failureClass: "misconfigured"
      })
    }
  }

  return { keyId: keyring.current, seal, open, requireKey: keyOf } satisfies Sealer
})
