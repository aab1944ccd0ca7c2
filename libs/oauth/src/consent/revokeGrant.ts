import type { Secrets } from "@tributary/secrets"
import { TokenStore, type VaultError } from "@tributary/vault"
import type { Config } from "effect"
import { Effect } from "effect"
import { makeServerCalls } from "../ServerCalls.ts"
import type { TokenError } from "../TokenError.ts"
import type { Authorization } from "../TokenManager.ts"
import type { TokenTransport } from "../TokenTransport.ts"

/** What became of an authorization's tokens. */
export type Revocation =
  /** The server ended them, and they are forgotten here. */
  | { readonly _tag: "Revoked" }
  /** There were none. */
  | { readonly _tag: "Nothing" }
  /** They are forgotten here; the server was not, or could not be, told: `why`. */
  | { readonly _tag: "Forgotten"; readonly why: string }
  /** The server could not be asked now. They are kept, so that it can be tried again: `why`. */
  | { readonly _tag: "Kept"; readonly why: string }

/**
 * Ends an authorization: revokes its tokens at the server (RFC 7009) and forgets them here. The refresh token goes first, for all
 * that came from it ends with it; without one, the access token. Only a failure that may pass keeps them.
 */
export const revokeGrant = Effect.fn("consent.revokeGrant")(function* (
  authorization: Authorization
): Effect.fn.Return<Revocation, VaultError, TokenStore | Secrets | TokenTransport> {
  const store = yield* TokenStore
  const { tokens } = yield* store.read(authorization.id)
  if (tokens === undefined) return { _tag: "Nothing" }
  const revoked = yield* Effect.result(
    Effect.gen(function* () {
      const calls = yield* makeServerCalls(authorization)
      if (tokens.refreshToken === undefined) yield* calls.revoke(tokens.accessToken, "access_token")
      else yield* calls.revoke(tokens.refreshToken, "refresh_token")
    })
  )
  if (revoked._tag === "Success") {
    yield* store.remove(authorization.id)
    return { _tag: "Revoked" }
  }
  const error: TokenError | Config.ConfigError = revoked.failure
  const isPassing =
    error._tag === "TokenError" && (error.failureClass === "transient" || error.failureClass === "throttled")
  if (isPassing) return { _tag: "Kept", why: error.message }
  yield* store.remove(authorization.id)
  return { _tag: "Forgotten", why: error.message }
})
