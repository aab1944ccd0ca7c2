import { Secrets } from "@tributary/secrets"
import { TokenStore } from "@tributary/vault"
import { Clock, Duration, Effect, Redacted } from "effect"
import { fingerprint } from "../fingerprint.ts"
import type { Authorization } from "../TokenManager.ts"

/** The store is looked at so often while an authorization waits for a person. */
const look = Duration.seconds(2)
/**
 * Managers share a failure for up to a minute. Work that fails with it just after a consent is tried again so often, and for so
 * long.
 */
const again = 10_000
const shared = 70_000

/** What is stored now, as far as it tells a consent from a refresh. */
interface Stored {
  readonly generation: number
  readonly seed: string | undefined
  readonly consentedAt: number | undefined
}

/**
 * Fingerprint of the refresh token that `auth.refresh_token` refers to; `undefined` where there is none, or it cannot be read now. For
 * `makeConsentWatch`: whoever puts another one there has consented anew.
 */
export const configuredRefreshToken = ({
  base,
  oauth2
}: Authorization): Effect.Effect<string | undefined, never, Secrets> =>
  oauth2.oauth2 !== "refresh_token" || oauth2.refresh_token === undefined
    ? Effect.undefined
    : Secrets.use((secrets) => secrets.secret(oauth2.refresh_token ?? "", base)).pipe(
        Effect.map((token) => fingerprint(Redacted.value(token))),
        Effect.orElseSucceed(() => undefined)
      )

/**
 * Sees a person's consent that any process stores, or that stands where the refresh token is `configured`. `begin` is to be called when work
 * begins; `consented` ends when there was one since, and thus the work is worth being tried again. Tokens that the work itself
 * refreshed before it failed are none.
 */
export const makeConsentWatch = Effect.fnUntraced(function* (
  authorization: string,
  configured: Effect.Effect<string | undefined> = Effect.undefined
) {
  const store = yield* TokenStore
  let seen: Stored | undefined
  let seenToken: string | undefined
  let consentedAt: number | undefined

  /** `undefined`: the store does not answer now. */
  const stored = store.read(authorization).pipe(
    Effect.map(({ tokens }): Stored => ({
      generation: tokens?.generation ?? 0,
      seed: tokens?.seed,
      consentedAt: tokens?.refreshLife?.consentedAt
    })),
    Effect.orElseSucceed(() => undefined)
  )
  const begin = Effect.gen(function* () {
    seen = (yield* stored) ?? seen
    seenToken = (yield* configured) ?? seenToken
  })
  const consented = Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    for (let isFirst = true; ; isFirst = false) {
      const found = yield* stored
      const token = yield* configured
      const now = yield* Clock.currentTimeMillis
      const isOther = token !== undefined && token !== seenToken
      // Where a refresh token is configured only another one there is a consent; else what is stored says when it was given.
      const isOwn =
        isFirst &&
        (token !== undefined ||
          (found?.consentedAt !== undefined && found.consentedAt === seen?.consentedAt && found.seed === seen.seed))
      const isNewer = found !== undefined && found.generation !== 0 && found.generation !== seen?.generation
      if (isOther || (isNewer && !isOwn)) {
        consentedAt = now
        return
      }
      if (isNewer) seen = found
      if (consentedAt !== undefined && now - consentedAt < shared && now - started >= again) return
      yield* Effect.sleep(look)
    }
  })
  return { begin, consented }
})
