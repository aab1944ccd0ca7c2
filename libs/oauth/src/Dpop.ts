import type { Secrets } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { dpopKey } from "./ClientAuthentication.ts"
import { fingerprint } from "./fingerprint.ts"
import { misconfigured, secretOf } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

type Headers_ = Readonly<Record<string, string | undefined>>

/** An answer of any server, as far as proofs care. The library keeps the nonce of it, by origin. */
const replayed = (status: number, headers: Headers_) => async () => {
  const nonce = headers["dpop-nonce"]
  const challenge = headers["www-authenticate"]
  return new Response(null, {
    status,
    headers: {
      ...(nonce === undefined ? {} : { "dpop-nonce": nonce }),
      ...(challenge === undefined ? {} : { "www-authenticate": challenge })
    }
  })
}

/** Proves possession of the key that the tokens of an authorization are bound to (RFC 9449). */
export interface Prover {
  /** For requests that the library builds; without `DPoP` if tokens are not bound. */
  readonly options: Effect.Effect<{ readonly DPoP?: oauth.DPoPHandle }, TokenError>
  /** The headers that a request with an access token carries; `undefined` if tokens are not bound. */
  readonly headers: (
    method: string,
    url: URL,
    token: Redacted.Redacted<string>
  ) => Effect.Effect<Redacted.Redacted<Readonly<Record<string, string>>> | undefined, TokenError>
  /** Keeps the nonce that an answer brings for the requests to come; true: the request was refused for want of it. */
  readonly learn: (url: URL, headers: Headers_, status?: number) => Effect.Effect<boolean>
}

/** Makes the prover of an authorization. Nonces are kept per origin; a key that was replaced is used from the next proof on. */
export const makeProver = (secrets: Secrets["Service"], authorization: Authorization): Prover => {
  const { dpop } = authorization.oauth2
  let current: { readonly print: string; readonly handle: oauth.DPoPHandle } | undefined

  const handle = Effect.gen(function* () {
    if (dpop === undefined) return undefined
    const print = fingerprint(Redacted.value(yield* secretOf(secrets, authorization, dpop.key)))
    if (current?.print === print) return current.handle
    const found = yield* dpopKey(secrets, authorization)
    if (found === undefined) return undefined
    const { algorithm, key, publicKey } = found
    const made = yield* Effect.try({
      try: () =>
        oauth.DPoP(
          {},
          { privateKey: key, publicKey },
          {
            [oauth.modifyAssertion]: (header) => {
              header["alg"] = algorithm
            }
          }
        ),
      catch: () => misconfigured(authorization.id, "auth.dpop.key cannot be used for proofs.", "Give another key.")
    })
    current = { print, handle: made }
    return made
  })

  return {
    options: Effect.map(handle, (DPoP) => (DPoP === undefined ? {} : { DPoP })),
    headers: Effect.fnUntraced(function* (method, url, token) {
      const DPoP = yield* handle
      if (DPoP === undefined) return undefined
      return yield* Effect.tryPromise({
        try: async () => {
          let sent: Readonly<Record<string, string>> = {}
          await oauth.protectedResourceRequest(Redacted.value(token), method, url, new Headers(), undefined, {
            DPoP,
            [oauth.allowInsecureRequests]: true,
            [oauth.customFetch]: async (_url, { headers }) => {
              sent = headers
              return new Response()
            }
          })
          return Redacted.make({ authorization: sent["authorization"] ?? "", dpop: sent["dpop"] ?? "" })
        },
        catch: () => misconfigured(authorization.id, "no proof can be made with auth.dpop.key.", "Give another key.")
      })
    }),
    learn: (url, headers, status = 200) =>
      Effect.suspend(() => {
        if (current === undefined || headers["dpop-nonce"] === undefined) return Effect.succeed(false)
        const { handle: DPoP } = current
        return Effect.tryPromise({
          try: () =>
            oauth.protectedResourceRequest("-", "GET", url, new Headers(), undefined, {
              DPoP,
              [oauth.allowInsecureRequests]: true,
              [oauth.customFetch]: replayed(status, headers)
            }),
          catch: (error) => oauth.isDPoPNonceError(error)
        }).pipe(
          Effect.as(false),
          Effect.catch((isNonce) => Effect.succeed(isNonce))
        )
      })
  }
}
