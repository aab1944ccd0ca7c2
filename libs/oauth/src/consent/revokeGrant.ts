import type { Secrets } from "@tributary/secrets"
import { Leases, TokenStore, type VaultError } from "@tributary/vault"
import { Duration, Effect, type Scope } from "effect"
import { makeServerCalls } from "../ServerCalls.ts"
import type { Authorization } from "../TokenManager.ts"
import type { TokenTransport } from "../TokenTransport.ts"

/** What became of an authorization's tokens. */
export type Revocation =
  /** The server ended them, and they are forgotten here. */
  | { readonly _tag: "Revoked" }
  /** There were none. */
  | { readonly _tag: "Nothing" }
  /** They are forgotten here; the server has no revocation, or refuses it: `why`. */
  | { readonly _tag: "Forgotten"; readonly why: string }
  /** The server could not be asked, or did not take the client. They are kept, so that it can be tried again: `why`. */
  | { readonly _tag: "Kept"; readonly why: string }

/** The lease outlives a process that died by so long; and so long a refresh that is under way is waited for. */
const leaseTime = Duration.seconds(40)
const patience = Duration.seconds(20)
/** Without a lease that all processes share, tokens may change meanwhile; so often those that took their place are ended too. */
const attempts = 5

/** Ends the tokens that are stored now, and forgets those and no others. `undefined`: others have taken their place. */
const endStored = Effect.fnUntraced(function* (authorization: Authorization, isFirst: boolean) {
  const { id } = authorization
  const store = yield* TokenStore
  const { tokens } = yield* store.read(id)
  if (tokens === undefined) return { _tag: isFirst ? "Nothing" : "Revoked" } satisfies Revocation
  const { accessToken, generation, refreshToken } = tokens
  const failure = yield* Effect.gen(function* () {
    const calls = yield* Effect.mapError(makeServerCalls(authorization), (error) => ({ error, isFinal: false }))
    if (refreshToken === undefined) yield* calls.tryRevoke(accessToken, "access_token")
    else yield* calls.tryRevoke(refreshToken, "refresh_token")
  }).pipe(
    Effect.match({ onSuccess: () => undefined, onFailure: ({ error, isFinal }) => ({ why: error.message, isFinal }) })
  )
  if (failure?.isFinal === false) return { _tag: "Kept", why: failure.why } satisfies Revocation
  if (!(yield* store.remove(id, generation))) return undefined
  return (failure === undefined ? { _tag: "Revoked" } : { _tag: "Forgotten", why: failure.why }) satisfies Revocation
})

/**
 * Ends an authorization: revokes its tokens at the server (RFC 7009) and forgets them here. The refresh token goes first, for all
 * that came from it ends with it; without one, the access token. They are forgotten without that only where the server has no
 * revocation, or refuses it for whoever asks: anything else may be put right, and this be repeated. No refresh is under way meanwhile
 * where processes share their leases; where they do not, what a refresh stored is found and ended too.
 */
export const revokeGrant = Effect.fn("consent.revokeGrant")(function* (
  authorization: Authorization
): Effect.fn.Return<Revocation, VaultError, TokenStore | Leases | Secrets | TokenTransport | Scope.Scope> {
  const leases = yield* Leases
  const lease = yield* Effect.result(leases.acquire(`tokens/${authorization.id}`, { ttl: leaseTime, wait: patience }))
  if (lease._tag === "Failure") return { _tag: "Kept", why: lease.failure.message }
  for (let attempt = 0; attempt < attempts; attempt++) {
    const revocation = yield* endStored(authorization, attempt === 0)
    if (revocation !== undefined) return revocation
  }
  return { _tag: "Kept", why: `other processes changed the tokens ${attempts} times meanwhile.` }
}, Effect.scoped)
