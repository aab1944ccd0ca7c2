import type { Secrets, StoredTokens } from "@tributary/vault"
import { Effect, Redacted } from "effect"
import { fingerprint } from "./fingerprint.ts"
import { secretOf, type Settings } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

/** One token request, ready to be sent, and what is to be kept beside its answer. */
export interface GrantRequest {
  /** The `grant_type` parameter. */
  readonly grantType: string
  readonly parameters: Redacted.Redacted<Readonly<Record<string, string>>>
  /**
   * Fingerprint of a credential that the request may use up (a refresh token that the server rotates); `undefined` when
   * the request can be repeated at will. A request that spends something is never interrupted once it was sent, is not
   * repeated after it was refused, and is what the intent journal has to make durable first.
   */
  readonly spends: string | undefined
  /** The refresh token that stays in use if the answer brings no new one. */
  readonly refreshToken: Redacted.Redacted<string> | undefined
  readonly seed: string | undefined
}

/**
 * A way to get tokens (RFC 6749, section 1.3). A grant only says what to send; the manager sends it, keeps the answer and
 * decides when. Other grants (device code, JWT bearer, token exchange) implement this and nothing else.
 */
export interface Grant {
  /**
   * Whether its requests can be repeated at will, even by two processes at once. If not they spend something (see
   * `GrantRequest.spends`), and are sent by one process at a time.
   */
  readonly isRepeatable: boolean
  /** Fingerprint of the credential that is configured now; access tokens of another one are not used. */
  readonly seed: (stored: StoredTokens | undefined) => Effect.Effect<string | undefined, TokenError>
  /** The next request, given what is stored. Called anew for each attempt. */
  readonly prepare: (stored: StoredTokens | undefined) => Effect.Effect<GrantRequest, TokenError>
}

const common = ({ audience, resource, scope }: Settings): Record<string, string> => ({
  ...(scope === "" ? {} : { scope }),
  ...(audience === undefined ? {} : { audience }),
  ...(resource === undefined ? {} : { resource })
})

/** RFC 6749, section 4.4. */
const clientCredentials = (settings: Settings): Grant => ({
  isRepeatable: true,
  seed: () => Effect.undefined,
  prepare: () =>
    Effect.succeed({
      grantType: "client_credentials",
      parameters: Redacted.make(common(settings)),
      spends: undefined,
      refreshToken: undefined,
      seed: undefined
    })
})

/**
 * RFC 6749, section 6. The first refresh token is the configured one; the tokens that replace it are kept in the vault
 * together with its fingerprint. As long as the configured token is the same (or cannot be read any more), the stored one
 * is used; when somebody puts another token there, that one is, and what is stored is left behind.
 */
const refreshToken = (settings: Settings, authorization: Authorization, secrets: Secrets["Service"]): Grant => {
  const reference = authorization.oauth2.refresh_token ?? ""
  const configured = (
    stored: StoredTokens | undefined
  ): Effect.Effect<Redacted.Redacted<string> | undefined, TokenError> => {
    const read = secretOf(secrets, authorization, reference)
    // Once a chain has begun, the file it began with may be deleted.
    return stored?.refreshToken === undefined ? read : Effect.orElseSucceed(read, () => undefined)
  }
  const seedOf = (token: Redacted.Redacted<string> | undefined) =>
    token === undefined ? undefined : fingerprint(Redacted.value(token))
  return {
    isRepeatable: false,
    seed: (stored) => Effect.map(configured(stored), (token) => seedOf(token) ?? stored?.seed),
    prepare: (stored) =>
      Effect.map(configured(stored), (first) => {
        const seed = seedOf(first) ?? stored?.seed
        const kept = stored !== undefined && stored.seed === seed ? stored.refreshToken : undefined
        const token = kept ?? first ?? Redacted.make("")
        return {
          grantType: "refresh_token",
          parameters: Redacted.make({ ...common(settings), refresh_token: Redacted.value(token) }),
          spends: fingerprint(Redacted.value(token)),
          refreshToken: token,
          seed
        }
      })
  }
}

/** The grant that an authorization is configured with. */
export const grantOf = (settings: Settings, authorization: Authorization, secrets: Secrets["Service"]): Grant => {
  switch (authorization.oauth2.oauth2) {
    case "client_credentials":
      return clientCredentials(settings)
    case "refresh_token":
      return refreshToken(settings, authorization, secrets)
  }
}
