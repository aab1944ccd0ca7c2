import { type Auth, checkOAuth2, type Conflict, isConsentGrant, nearest } from "@tributary/domain"
import { Effect, Result } from "effect"
import { grantTypeOf } from "./grantType.ts"
import { applyProfile, type ProviderChoice } from "./profile/applyProfile.ts"
import { factsOf, type ListedFact, type Profile } from "./profile/Profile.ts"
import { Profiles } from "./profile/Profiles.ts"

/** Settings that replace a fact, by the fact's place. */
const replaced: Readonly<Record<string, string>> = {
  "endpoints.token": "token_url",
  "endpoints.refresh": "refresh_url",
  "endpoints.revocation": "revocation_url",
  "endpoints.introspection": "introspection_url",
  "request.client_auth": "client_auth",
  "request.audience": "audience",
  "request.resource": "resource",
  "lifecycle.rotation": "lifecycle.rotation",
  "lifecycle.early_refresh": "lifecycle.early_refresh",
  "lifecycle.refresh_window": "lifecycle.refresh_window",
  "lifecycle.idle_life": "lifecycle.idle_life",
  "lifecycle.absolute_life": "lifecycle.absolute_life",
  "lifecycle.token_requests": "lifecycle.token_requests",
  "response.access_token": "quirks.access_token",
  "response.refresh_token": "quirks.refresh_token",
  "response.expires": "quirks.expires",
  "response.expires_unit": "quirks.expires_unit",
  "response.default_expires_in": "quirks.default_expires_in"
}

/** Facts that count only where tokens are refreshed. */
const ofRefresh = new Set(["endpoints.refresh", "response.refresh_token"])
/** Facts without which a request still is what RFC 6749 says. Where they are wrong the server says so. */
const telling = new Set([
  "endpoints.token",
  "endpoints.refresh",
  "request.client_auth",
  "request.body",
  "request.client_id_param"
])

const at = (auth: object, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>(
      (value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined),
      auth
    )

/** What the profile only believes, and this authorization makes use of. */
const believed = (auth: Extract<Auth, { readonly oauth2: string }>, profile: Profile): ReadonlyArray<ListedFact> =>
  factsOf(profile).filter(({ place, source }) => {
    if (source !== undefined) return false
    const isRefresh = auth.oauth2 === "refresh_token" || isConsentGrant(auth.oauth2)
    if (!isRefresh && (ofRefresh.has(place) || place.startsWith("lifecycle."))) return false
    if (place === "endpoints.token" && (auth.issuer !== undefined || (isRefresh && profile.endpoints.refresh)))
      return false
    if (place === "request.scope_separator" && auth.scopes.length < 2) return false
    if (telling.has(place) || place === "request.scope_separator" || place.startsWith("response.")) {
      const own = replaced[place]
      return own === undefined || at(auth, own) === undefined
    }
    // Rotation and grace are acted on only with a source; the others decide when a refresh is sent.
    const counts = [
      "lifecycle.early_refresh",
      "lifecycle.refresh_window",
      "lifecycle.idle_life",
      "lifecycle.absolute_life"
    ]
    return counts.includes(place) && at(auth, replaced[place] ?? place) === undefined
  })

const shown = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** Where a fact's own setting stands, as far as it has one. */
const listed = (facts: ReadonlyArray<ListedFact>): string =>
  facts.map(({ place, value }) => `${place} (${shown(value)})`).join(", ")

const conflict = (
  severity: Conflict["severity"],
  path: ReadonlyArray<string>,
  found: string,
  expected: string,
  advice: string
): Conflict => ({ severity, path: ["auth", ...path], found, expected, advice })

/** Texts without references, which are not replaced here; what holds one is taken as right. */
const plain = (value: string | undefined) => (value === undefined || value.includes("${") ? undefined : value)

/**
 * Checks an authorization against its provider's profile: an unknown provider, a parameter that is missing or does not fit, a grant
 * that the provider does not know, a secret or key that it wants; and warns of what the profile believes without a source. Makes no
 * request and reads no secret.
 */
export const checkProvider = Effect.fnUntraced(function* (auth: Auth | undefined) {
  if (auth === undefined || !("oauth2" in auth) || auth.provider === undefined) return []
  const profiles = yield* Profiles
  const known = yield* Effect.result(profiles.get(auth.provider))
  if (Result.isFailure(known)) {
    const { advice, expected, found } = known.failure
    return [conflict("error", ["provider"], `${found} (${auth.provider.slice(0, 64)})`, expected, advice)]
  }
  const profile = known.success
  const params: Record<string, string> = {}
  for (const [name, value] of Object.entries(auth.params)) {
    // What a reference stands for is not known here; the example shows whether the rest is right.
    params[name] = plain(value) ?? profile.params?.[name]?.example ?? value
  }
  const tokenUrl = plain(auth.token_url)
  const choice: ProviderChoice = {
    params,
    grant: grantTypeOf(auth),
    scopes: auth.scopes,
    ...(auth.client_auth === undefined ? {} : { client_auth: auth.client_auth }),
    ...(tokenUrl === undefined ? {} : { token_url: tokenUrl })
  }
  const applied = applyProfile(profile, choice)
  if (Result.isFailure(applied)) {
    const { advice, expected, found, place } = applied.failure
    const [first = "", second] = place.split(".")
    const near = second === undefined ? undefined : nearest(second, Object.keys(profile.params ?? {}))
    const isUnknown =
      near !== undefined && auth.params[second ?? ""] !== undefined && profile.params?.[second ?? ""] === undefined
    const where = second !== undefined && auth.params[second] !== undefined ? [first, second] : [first]
    const what =
      second !== undefined && auth.params[second] === undefined ? `no \`${second}\` for ${profile.name}` : found
    return [conflict("error", where, what, expected, isUnknown ? `Did you mean ${near}?` : advice)]
  }
  const conflicts: Array<Conflict> = []
  checkOAuth2({ ...auth, client_auth: applied.success.clientAuth }, (path, found, expected, advice) =>
    conflicts.push({ severity: "error", path, found, expected, advice })
  )
  const facts = believed(auth, profile)
  if (facts.length > 0) {
    conflicts.push(
      conflict(
        "warning",
        ["provider"],
        `what the profile of ${profile.name} has from no public documentation: ${listed(facts)}`,
        "facts with a source",
        "They are used. If the provider refuses them, look its documentation up and write what is right beside `provider`, which goes before the profile."
      )
    )
  }
  return conflicts
})
