import { TokenStore } from "@tributary/vault"
import { Clock, Duration, Effect } from "effect"

/** The store is looked at so often while an authorization waits for a person. */
const look = Duration.seconds(2)
/**
 * Managers share a failure for up to a minute. Work that fails with it just after a consent is tried again so often, and for so
 * long.
 */
const again = 10_000
const shared = 70_000

/**
 * Sees a person's consent that any process stores. `begin` is to be called when work begins; `consented` ends when tokens were
 * stored since, and thus the work is worth being tried again.
 */
export const makeConsentWatch = Effect.fnUntraced(function* (authorization: string) {
  const store = yield* TokenStore
  let seen: number | undefined
  let consentedAt: number | undefined

  /** `undefined`: the store does not answer now. */
  const generation = store.read(authorization).pipe(
    Effect.map(({ tokens }) => tokens?.generation ?? 0),
    Effect.orElseSucceed(() => undefined)
  )
  const begin = Effect.map(generation, (found) => {
    seen = found ?? seen
  })
  const consented = Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    for (;;) {
      const found = yield* generation
      const now = yield* Clock.currentTimeMillis
      if (found !== undefined && found !== 0 && found !== seen) {
        consentedAt = now
        return
      }
      if (consentedAt !== undefined && now - consentedAt < shared && now - started >= again) return
      yield* Effect.sleep(look)
    }
  })
  return { begin, consented }
})
