import { Conflict, makeSealer, type StoredTokens, TokenStore, VaultError } from "@tributary/vault"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { makeDurability } from "./Durability.ts"
import { Redis } from "./Redis.ts"
import type { RedisError } from "./RedisError.ts"
import { script } from "./Script.ts"

/**
 * Replaces a record if it is still the one that was read. Without new contents (a removal) its generation stays.
 *
 * KEYS record, index. ARGV authorization, generation read, sealed bytes read, generation, key id, sealed bytes. Gives 1 or 0.
 */
const swap = script(`
  local row = redis.call('HMGET', KEYS[1], 'generation', 'sealed')
  if (row[1] or '0') ~= ARGV[2] or (row[2] or '') ~= ARGV[3] then return 0 end
  redis.call('HSET', KEYS[1], 'generation', ARGV[4], 'key_id', ARGV[5], 'sealed', ARGV[6])
  redis.call('SADD', KEYS[2], ARGV[1])
  return 1
`)

/** KEYS record, index. ARGV authorization. Removes what is sealed; the generation stays. */
const erase = script(`
  redis.call('HDEL', KEYS[1], 'key_id', 'sealed')
  redis.call('SREM', KEYS[2], ARGV[1])
  return 1
`)

const Text = Schema.NullOr(Schema.String)
const decodeRow = Schema.decodeUnknownOption(
  Schema.Tuple([Schema.NullOr(Schema.FiniteFromString.check(Schema.isInt())), Text, Text])
)
const decodeNames = Schema.decodeUnknownSync(Schema.Array(Schema.String))
const decodeText = Schema.decodeUnknownSync(Text)

/** A record as it is stored. */
interface Row {
  readonly generation: number
  readonly contents: { readonly keyId: string; readonly sealed: string } | undefined
}

/** A save of which it is not known whether it was made. */
interface Unsettled {
  readonly authorization: string
  readonly expected: number
  readonly stored: StoredTokens
}

const optionalValue = (secret: Redacted.Redacted<string> | undefined) =>
  secret === undefined ? undefined : Redacted.value(secret)

const sameTokens = (a: Omit<StoredTokens, "generation">, b: Omit<StoredTokens, "generation">) =>
  Redacted.value(a.accessToken) === Redacted.value(b.accessToken) &&
  optionalValue(a.refreshToken) === optionalValue(b.refreshToken)

const failed = (authorization: string | undefined) => (error: RedisError) =>
  new VaultError({ authorization, problem: error.message, failureClass: error.failureClass })

/** What the sealer throws are `VaultError`s. */
const opening = (authorization: string) => (error: unknown) =>
  error instanceof VaultError
    ? error
    : new VaultError({
        authorization,
        problem: "the record cannot be sealed or opened.",
        failureClass: "misconfigured",
        cause: error
      })

const make = Effect.gen(function* () {
  const { connect, prefix, server } = yield* Redis
  const place = `Redis at ${server}`
  const reading = yield* connect
  // A connection of its own: it is blocked while the server syncs its disk.
  const writing = yield* connect
  const durability = yield* makeDurability(writing)

  const index = `${prefix}tokens`
  const recordOf = (authorization: string) => `${prefix}tokens:${authorization}`

  const sealedWith = yield* Effect.gen(function* () {
    yield* durability.check
    const ids = new Set<string>()
    for (const authorization of decodeNames(yield* reading.command("SMEMBERS", [index]))) {
      const id = decodeText(yield* reading.command("HGET", [recordOf(authorization), "key_id"]))
      if (id !== null) ids.add(id)
    }
    return [...ids]
  }).pipe(Effect.mapError(failed(undefined)))
  const sealer = yield* makeSealer({ store: place, directory: undefined }, sealedWith)

  const unsettled = new Map<string, Unsettled>()

  const read = Effect.fnUntraced(function* (authorization: string) {
    const reply = yield* Effect.mapError(
      reading.command("HMGET", [recordOf(authorization), "generation", "key_id", "sealed"]),
      failed(authorization)
    )
    const fields = Option.getOrUndefined(decodeRow(reply))
    if (fields === undefined || (fields[1] === null) !== (fields[2] === null)) {
      return yield* new VaultError({
        authorization,
        problem: `the record in ${place} is not one of Tributary's. Choose a prefix that is Tributary's alone, or remove the key ${recordOf(authorization)}.`,
        failureClass: "misconfigured"
      })
    }
    const [generation, keyId, sealed] = fields
    const row: Row = {
      generation: generation ?? 0,
      contents: keyId === null || sealed === null ? undefined : { keyId, sealed }
    }
    return row
  })

  const load = Effect.fn("TokenStore.load")(function* (authorization: string) {
    const { contents, generation } = yield* read(authorization)
    if (contents === undefined) return Option.none<StoredTokens>()
    return yield* Effect.try({
      try: () =>
        Option.some(sealer.open(authorization, generation, contents.keyId, Buffer.from(contents.sealed, "base64"))),
      catch: opening(authorization)
    })
  })

  const replace = (authorization: string, from: Row, generation: number, keyId: string, sealed: string) =>
    writing
      .script(
        swap,
        [recordOf(authorization), index],
        [authorization, from.generation, from.contents?.sealed ?? "", generation, keyId, sealed]
      )
      .pipe(
        durability.durably,
        Effect.map((reply) => reply === 1),
        Effect.mapError(failed(authorization))
      )

  const settled = (authorization: string, generation: number) => {
    for (const [sealed, other] of unsettled) {
      if (other.authorization === authorization && other.stored.generation <= generation) unsettled.delete(sealed)
    }
  }

  const save = Effect.fn("TokenStore.save")(function* (
    authorization: string,
    expected: number,
    tokens: Omit<StoredTokens, "generation">
  ) {
    for (;;) {
      const row = yield* read(authorization)
      const { contents } = row
      if (contents !== undefined) {
        const earlier = unsettled.get(contents.sealed)
        if (
          earlier?.authorization === authorization &&
          earlier.expected === expected &&
          sameTokens(earlier.stored, tokens)
        ) {
          // An earlier save of the same was made although its answer was lost. Writing it again makes it durable for certain.
          if (yield* replace(authorization, row, row.generation, contents.keyId, contents.sealed)) {
            settled(authorization, row.generation)
            return earlier.stored
          }
          continue
        }
        // Tokens whose key is missing are not overwritten: the key may come back.
        yield* Effect.try({
          try: () => sealer.requireKey(authorization, contents.keyId),
          catch: opening(authorization)
        })
      }
      const current = contents === undefined ? 0 : row.generation
      if (current !== expected) return yield* new Conflict({ authorization, expected, current })
      const stored: StoredTokens = { ...tokens, generation: row.generation + 1 }
      const sealed = yield* Effect.try({
        try: () => sealer.seal(authorization, stored).toString("base64"),
        catch: opening(authorization)
      })
      unsettled.set(sealed, { authorization, expected, stored })
      const isMade = yield* replace(authorization, row, stored.generation, sealer.keyId, sealed)
      if (isMade) {
        settled(authorization, stored.generation)
        return stored
      }
      // Somebody was faster; mostly this ends in a conflict now. It cannot go on for ever: each round somebody got ahead.
      unsettled.delete(sealed)
    }
  })

  const remove = Effect.fn("TokenStore.remove")(function* (authorization: string) {
    yield* writing
      .script(erase, [recordOf(authorization), index], [authorization])
      .pipe(durability.durably, Effect.mapError(failed(authorization)))
  })

  return TokenStore.of({ load, save, remove })
})

/**
 * The token store in Redis. Records are sealed as in `SqliteTokenStore`; the key is given to every process by
 * `TRIBUTARY_VAULT_KEY`, never generated, and never in Redis. Fails when Redis cannot be reached, or when the key is missing or wrong.
 *
 * What `save` has returned survives as much as the server's settings let it, which are looked at for each connection, with a
 * warning if they do not suffice:
 *
 * - Redis 7.2 or later with `appendonly yes`: a power cut. `save` waits until the server has synced its file (`WAITAOF`), for
 *   up to a second with `appendfsync everysec`.
 * - Earlier Redis with `appendfsync always`: a power cut, too.
 * - Earlier Redis with `appendfsync everysec`, and any with `no`: neither a power cut nor every crash.
 * - No append-only file: nothing. Replicas do not count, since Redis answers before they have a write; a failover may lose the
 *   newest tokens.
 *
 * A `save` that failed for want of an answer may have been made; repeated with the same tokens by the same process, it says
 * so and is no conflict.
 */
export const RedisTokenStore = {
  layer: Layer.effect(TokenStore, make)
}
