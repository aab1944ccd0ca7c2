import type { StoredTokens } from "@tributary/vault"
import { Effect, Redacted } from "effect"
import { fingerprint } from "../fingerprint.ts"
import type { Grant, GrantRequest } from "../Grant.ts"
import type { Settings } from "../Settings.ts"
import { TokenError } from "../TokenError.ts"
import type { Authorization } from "../TokenManager.ts"

/** What a person does about an authorization that waits for consent. */
export const consentAdvice = (authorization: string): string => `Run: tributary consent ${authorization}`

/**
 * What a person consented to: tokens of another server, another client or other scopes are not used, and no server is sent a
 * refresh token that another one issued.
 */
export const consentSeed = ({ clientId, consentScope, issuer, tokenUrl }: Settings): string =>
  fingerprint(
    "consent",
    issuer?.href,
    tokenUrl?.href,
    clientId,
    consentScope
      .split(/[\s,]+/u)
      .filter((word) => word !== "")
      .toSorted()
      .join(" ")
  )

const missing = (stored: StoredTokens | undefined, seed: string): string => {
  if (stored === undefined) return "nobody has consented yet."
  if (stored.seed !== seed) {
    return "the consent that is stored was given for another server, client or other scopes than those of the settings now."
  }
  return "the access token has ended, and the server gave no refresh token with it. Many give one only for a scope such as offline_access, or a parameter such as access_type=offline (`authorization_params`)."
}

/** A grant that a person gave: its refresh token is in the vault alone (RFC 6749, section 6). */
export const consentedGrant = (
  settings: Settings,
  { id }: Authorization,
  common: Effect.Effect<
    {
      readonly parameters: Readonly<Record<string, string>>
      readonly headers: GrantRequest["headers"]
      readonly hidden: ReadonlyArray<string>
    },
    TokenError
  >
): Grant => {
  const seed = consentSeed(settings)
  return {
    isRepeatable: false,
    seed: () => Effect.succeed(seed),
    prepare: Effect.fnUntraced(function* (stored) {
      if (stored === undefined || stored.seed !== seed || stored.refreshToken === undefined) {
        return yield* new TokenError({
          authorization: id,
          endpoint: undefined,
          failureClass: "needs-consent",
          problem: missing(stored, seed),
          advice: consentAdvice(id),
          retryAfter: undefined
        })
      }
      const { headers, hidden, parameters } = yield* common
      // Without it, the server gives what the person consented to, which may be less than what was asked for.
      const { scope: _asked, ...rest } = parameters
      return {
        grantType: "refresh_token",
        parameters: Redacted.make({ ...rest, refresh_token: Redacted.value(stored.refreshToken) }),
        headers,
        secrets: Redacted.make(hidden),
        spends: fingerprint(Redacted.value(stored.refreshToken)),
        refreshToken: stored.refreshToken,
        refreshLife: stored.refreshLife,
        seed
      }
    })
  }
}
