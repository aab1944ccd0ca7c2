import type { OAuth2 } from "@tributary/domain"
import type { AccessToken, TokenError, TokenManager } from "@tributary/oauth"
import { Effect, Redacted } from "effect"
import { NoToken } from "./SourceError.ts"

/** How one request is authorized. */
export interface Authorized {
  /** The Authorization header. */
  readonly header: Redacted.Redacted<string>
  /** What must never be shown. */
  readonly secret: Redacted.Redacted<string>
  /** Says that the API answered 401; returns when there is something newer to try. */
  readonly rejected: Effect.Effect<void, NoToken>
}

/** Authorizes requests of a connector. */
export interface Authorizer {
  readonly authorize: Effect.Effect<Authorized, NoToken>
  readonly scopes: ReadonlyArray<string>
  /** A 401 with a fresh token is mended by a person's consent rather than by settings. */
  readonly needsPerson: boolean
}

/** A `TokenError` as a reason of the engine. */
export const noToken = (error: TokenError): NoToken =>
  new NoToken({ problem: error.message, failureClass: error.failureClass, retryAfter: error.retryAfter })

/** Bearer tokens (RFC 6750) of a token manager. */
export const bearer = (manager: TokenManager, oauth2: OAuth2): Authorizer => {
  const authorized = (token: AccessToken): Authorized => ({
    header: Redacted.make(`${token.tokenType} ${Redacted.value(token.value)}`),
    secret: token.value,
    rejected: Effect.mapError(manager.rejected(token), noToken)
  })
  return {
    authorize: manager.get.pipe(Effect.map(authorized), Effect.mapError(noToken)),
    scopes: oauth2.scopes,
    needsPerson: oauth2.oauth2 === "refresh_token"
  }
}
