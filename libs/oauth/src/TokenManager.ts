import type { FailureClass, OAuth2 } from "@tributary/domain"
import type { Effect, Redacted } from "effect"
import type { Lifecycle } from "./profile/applyProfile.ts"
import type { TokenError } from "./TokenError.ts"

/** An access token as a request uses it (RFC 6749, section 1.4). */
export interface AccessToken {
  readonly value: Redacted.Redacted<string>
  /** Grows with every token of the authorization; `rejected` compares it. */
  readonly generation: number
  /** Scheme for the Authorization header, `Bearer`. */
  readonly tokenType: string
  /** Milliseconds since 1970; `undefined` when the server did not say: then the token is used until it is rejected. */
  readonly expiresAt: number | undefined
}

/** How an authorization is. Times are milliseconds since 1970. */
export interface AuthorizationStatus {
  readonly authorization: string
  /** Of the newest token that is held; 0: none. */
  readonly generation: number
  readonly obtainedAt: number | undefined
  readonly expiresAt: number | undefined
  /** When the refresh token dies if it is not used until then; it is used in time while the connector runs. */
  readonly unusedEnd: number | undefined
  /** When a person has to authorize anew at the latest, as far as the provider's answers and its profile tell. */
  readonly reconnectBy: number | undefined
  /** Whether that is within two weeks, or has come: a person should do it now. */
  readonly isReconnectDue: boolean
  /** Why there is no new token; `undefined`: the last attempt brought one. Shows no secret. */
  readonly failure: { readonly failureClass: FailureClass; readonly message: string } | undefined
}

/** Keeps one authorization supplied with a valid access token. */
export interface TokenManager {
  /**
   * A token that is good for a while: never one within a tenth of its life (at least 500 ms, at most a minute) of its
   * expiry. Usually costs nothing; callers that have to wait share one request, and interrupting one of them does not
   * disturb the others. A failure is shared for about a second.
   */
  readonly get: Effect.Effect<AccessToken, TokenError>
  /**
   * Says that the API answered 401 to `token`. Returns when a newer token is there; asks for one only if `token` is
   * still the current one, so any number of rejections of one token cost one request. A rejection is not stored: after a
   * restart the token may be handed out, and has to be rejected, once more.
   */
  readonly rejected: (token: AccessToken) => Effect.Effect<void, TokenError>
  /** How the authorization is, as far as this process knows. Asks nobody and reads no store. */
  readonly status: Effect.Effect<AuthorizationStatus>
}

/**
 * One OAuth2 grant as it is configured. Secrets are read anew for each token request, so a rotated client secret and a
 * replaced first refresh token are used from the next refresh on, without a restart.
 */
export interface Authorization {
  /** Names the authorization in the vault; connectors that use the same id share its tokens. */
  readonly id: string
  readonly oauth2: OAuth2
  /** Folder that file references of `oauth2` are relative to. */
  readonly base: string
  /**
   * How the provider's tokens live and die. Goes before `oauth2.lifecycle`, and that before the provider's profile. Decides what is
   * done when the answer to a refresh was lost; when nothing is known, the refresh token is sent again.
   */
  readonly lifecycle?: Lifecycle
}
