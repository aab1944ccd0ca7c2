import { type StoredTokens, TokenStore, VaultError } from "@tributary/vault"
import { Effect } from "effect"

/** Other processes may change the tokens meanwhile; so often it is tried to be the last. */
const attempts = 20

/**
 * Stores what a person has just granted in place of what is there, whatever that is: a refresh that is under way with the old
 * refresh token finds that it came too late, and takes over what is stored here.
 */
export const storeGrant = Effect.fn("consent.storeGrant")(function* (
  authorization: string,
  tokens: Omit<StoredTokens, "generation">
) {
  const store = yield* TokenStore
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = (yield* store.read(authorization)).tokens?.generation ?? 0
    const saved = yield* store
      .save(authorization, before, tokens)
      .pipe(Effect.catchTags({ Conflict: () => Effect.undefined, Superseded: () => Effect.undefined }))
    if (saved !== undefined) return saved
  }
  return yield* new VaultError({
    authorization,
    problem: `other processes changed the tokens ${attempts} times while the consent was to be stored. Try again.`,
    failureClass: "transient"
  })
})
