import { makeFlights, type PlaceError } from "@tributary/secrets"
import { Clock, Effect, Redacted, type Scope } from "effect"
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto"
import { keyBytes, type VaultKey } from "./VaultKey.ts"

/** A key that seals records, and what is kept of it. */
export interface DataKey {
  readonly key: KeyObject
  readonly wrapped: Uint8Array
}

/** How long a data key is known without its keeper being asked again, in milliseconds: a key that is disabled there soon does nothing here. */
const known = 3_600_000
/** So long a keeper that is away is not asked again for a data key to seal with, in milliseconds. */
const spared = 60_000
/** So many data keys are known at once. */
const mostKnown = 4096

/**
 * Makes and unwraps data keys. Under a key that is in this process each record has a data key of its own. A keeper elsewhere is
 * asked for one an hour, and once an hour for each that it wrapped: the records of that hour share it, under nonces of their own. While
 * the keeper is away its last one goes on sealing, for tokens that were received must not be lost; what the keeper denies does not.
 */
export const makeDataKeys = (scope: Scope.Scope) => {
  const opened = new Map<string, { readonly key: KeyObject; readonly until: number }>()
  const made = new Map<string, { readonly key: DataKey; readonly until: number }>()
  const open = makeFlights<KeyObject, PlaceError>(scope)
  const make = makeFlights<DataKey, PlaceError>(scope)

  const remember = (name: string, key: KeyObject, until: number) => {
    opened.delete(name)
    opened.set(name, { key, until })
    const [oldest] = opened.keys()
    if (opened.size > mostKnown && oldest !== undefined) opened.delete(oldest)
  }
  const nameOf = ({ id }: VaultKey, wrapped: Uint8Array) => `${id} ${Buffer.from(wrapped).toString("base64")}`

  const fresh = Effect.fnUntraced(function* (under: VaultKey) {
    const bytes = randomBytes(keyBytes)
    const wrapped = yield* under.wrap(Redacted.make(bytes))
    return { key: createSecretKey(bytes), wrapped } satisfies DataKey
  })

  const fromKeeper = Effect.fnUntraced(function* (under: VaultKey) {
    const next = yield* fresh(under)
    const until = (yield* Clock.currentTimeMillis) + known
    made.set(under.id, { key: next, until })
    remember(nameOf(under, next.wrapped), next.key, until)
    return next
  })

  /** A new one, or the last while the keeper is away. */
  const renewed = (under: VaultKey, last: DataKey | undefined) =>
    fromKeeper(under).pipe(
      Effect.catch(
        Effect.fnUntraced(function* (error) {
          if (last === undefined || error.failureClass === "misconfigured") {
            made.delete(under.id)
            return yield* error
          }
          made.set(under.id, { key: last, until: (yield* Clock.currentTimeMillis) + spared })
          return last
        })
      )
    )

  const unwrapped = Effect.fnUntraced(function* (under: VaultKey, wrapped: Uint8Array) {
    const key = createSecretKey(Redacted.value(yield* under.unwrap(wrapped)))
    if (!under.isHere) remember(nameOf(under, wrapped), key, (yield* Clock.currentTimeMillis) + known)
    return key
  })

  return {
    /** A data key to seal with. */
    toSeal: (under: VaultKey): Effect.Effect<DataKey, PlaceError> =>
      under.isHere
        ? fresh(under)
        : Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const last = made.get(under.id)
            return last !== undefined && now < last.until
              ? Effect.succeed(last.key)
              : make(under.id, renewed(under, last?.key))
          }),
    /** The data key of a record. */
    toOpen: (under: VaultKey, wrapped: Uint8Array): Effect.Effect<KeyObject, PlaceError> =>
      under.isHere
        ? unwrapped(under, wrapped)
        : Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const name = nameOf(under, wrapped)
            const found = opened.get(name)
            return found !== undefined && now < found.until
              ? Effect.succeed(found.key)
              : open(name, unwrapped(under, wrapped))
          })
  }
}
