import {
  Conflict,
  decodeEntry,
  encodeEntry,
  isEnvelope,
  type JournalEntry,
  makeSealer,
  SealedRecords,
  type StoredTokens,
  Superseded,
  TokenStore,
  VaultError
} from "@tributary/vault"
import { Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { makeDurability } from "./Durability.ts"
import { Redis } from "./Redis.ts"
import type { RedisError } from "./RedisError.ts"
import { script } from "./Script.ts"

/**
 * Replaces a record if it is still the one that was read and the journal does not hold another request, and removes the journal's
 * entry. With `keep` the journal is not looked at: what is there belongs to the contents, which stay the same.
 *
 * KEYS record, index. ARGV authorization, generation read, sealed bytes read, generation, key id, sealed bytes, request (empty: any),
 * `keep` or nothing. Gives 1, 0 if the record is another one, or 2 if the journal holds another request.
 */
const swap = script(`
  local row = redis.call('HMGET', KEYS[1], 'generation', 'sealed', 'attempt', 'state')
  if (row[1] or '0') ~= ARGV[2] or (row[2] or '') ~= ARGV[3] then return 0 end
  if ARGV[8] ~= 'keep' then
    if ARGV[7] ~= '' and row[3] and row[3] ~= ARGV[7] and row[4] ~= 'given-up' then return 2 end
    redis.call('HDEL', KEYS[1], 'attempt', 'state', 'journal')
  end
  redis.call('HSET', KEYS[1], 'generation', ARGV[4], 'key_id', ARGV[5], 'sealed', ARGV[6])
  redis.call('SADD', KEYS[2], ARGV[1])
  return 1
`)

/**
 * Changes the journal's entry if the record is that of the generation `current` (0: no tokens) and the entry that of the request `over`.
 *
 * KEYS record. ARGV current, over (empty: none), request (empty: none), state, entry. Gives -1, or -2 if the entry is that of another
 * request, or the generation that is stored.
 */
const journal = script(`
  local row = redis.call('HMGET', KEYS[1], 'generation', 'sealed', 'attempt', 'state')
  local current = '0'
  if row[2] then current = row[1] or '0' end
  if current ~= ARGV[1] then return tonumber(current) end
  local attempt = row[3] or ''
  if attempt == ARGV[3] and (row[4] or '') == ARGV[4] then
    -- Written again, so that waiting for the disk waits for this one too.
    if attempt ~= '' then redis.call('HSET', KEYS[1], 'attempt', attempt) end
    return -1
  end
  if attempt ~= ARGV[2] then return -2 end
  if ARGV[3] == '' then
    redis.call('HDEL', KEYS[1], 'attempt', 'state', 'journal')
  else
    redis.call('HSET', KEYS[1], 'attempt', ARGV[3], 'state', ARGV[4], 'journal', ARGV[5])
  end
  return -1
`)

/** KEYS record, index. ARGV authorization. Removes what is sealed; the generation stays. */
const erase = script(`
  local row = redis.call('HMGET', KEYS[1], 'generation', 'sealed')
  if ARGV[2] ~= '' and row[2] and row[1] ~= ARGV[2] then return 0 end
  redis.call('HDEL', KEYS[1], 'key_id', 'sealed', 'attempt', 'state', 'journal')
  redis.call('SREM', KEYS[2], ARGV[1])
  return 1
`)

const Text = Schema.NullOr(Schema.String)
const decodeRow = Schema.decodeUnknownOption(
  Schema.Tuple([Schema.NullOr(Schema.FiniteFromString.check(Schema.isInt())), Text, Text, Text])
)
const decodeSealed = Schema.decodeUnknownOption(Schema.Tuple([Schema.String, Schema.String]))
const decodeNames = Schema.decodeUnknownSync(Schema.Array(Schema.String))
const decodeText = Schema.decodeUnknownSync(Text)

/** A record as it is stored. */
interface Row {
  readonly generation: number
  readonly contents: { readonly keyId: string; readonly sealed: string } | undefined
  readonly entry: JournalEntry | undefined
}

/** A save of which it is not known whether it was made. */
interface Unsettled {
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

  const unsettled = new Map<string, ReadonlyArray<Unsettled>>()

  const read = Effect.fnUntraced(function* (authorization: string) {
    const reply = yield* Effect.mapError(
      reading.command("HMGET", [recordOf(authorization), "generation", "key_id", "sealed", "journal"]),
      failed(authorization)
    )
    const fields = Option.getOrUndefined(decodeRow(reply))
    const foreign = new VaultError({
      authorization,
      problem: `the record in ${place} is not one of Tributary's. Choose a prefix that is Tributary's alone, or remove the key ${recordOf(authorization)}.`,
      failureClass: "misconfigured"
    })
    if (fields === undefined || (fields[1] === null) !== (fields[2] === null)) return yield* foreign
    const [generation, keyId, sealed, written] = fields
    const entry =
      written === null ? undefined : yield* Effect.try({ try: () => decodeEntry(written), catch: () => foreign })
    const row: Row = {
      generation: generation ?? 0,
      contents: keyId === null || sealed === null ? undefined : { keyId, sealed },
      entry
    }
    return row
  })

  const open = (authorization: string, generation: number, { keyId, sealed }: NonNullable<Row["contents"]>) =>
    sealer.open(authorization, generation, keyId, Buffer.from(sealed, "base64"))

  const readRecord = Effect.fn("TokenStore.read")(function* (authorization: string) {
    const { contents, entry, generation } = yield* read(authorization)
    if (contents === undefined) return { tokens: undefined, entry }
    return { tokens: yield* open(authorization, generation, contents), entry }
  })
  const load = (authorization: string) =>
    Effect.map(readRecord(authorization), ({ tokens }) => Option.fromUndefinedOr(tokens))

  const replace = (
    authorization: string,
    from: Row,
    [generation, keyId, sealed]: readonly [number, string, string],
    attempt: string,
    mode: "keep" | ""
  ) =>
    writing
      .script(
        swap,
        [recordOf(authorization), index],
        [authorization, from.generation, from.contents?.sealed ?? "", generation, keyId, sealed, attempt, mode]
      )
      .pipe(durability.durably, Effect.mapError(failed(authorization)))

  /** What of an authorization's saves is settled once this generation is stored. */
  const settled = (authorization: string, generation: number) => {
    const left = (unsettled.get(authorization) ?? []).filter(({ stored }) => stored.generation > generation)
    if (left.length === 0) unsettled.delete(authorization)
    else unsettled.set(authorization, left)
  }

  /**
   * An earlier save of the same tokens whose answer was lost although it was made. The record is opened: it may have been sealed
   * anew meanwhile.
   */
  const earlierSave = Effect.fnUntraced(function* (
    authorization: string,
    expected: number,
    tokens: Omit<StoredTokens, "generation">,
    { contents, generation }: Row
  ) {
    const earlier = unsettled
      .get(authorization)
      ?.find((save) => save.expected === expected && save.stored.generation === generation)
    if (earlier === undefined || contents === undefined || !sameTokens(earlier.stored, tokens)) return undefined
    const stored = yield* open(authorization, generation, contents)
    return sameTokens(stored, tokens) ? earlier.stored : undefined
  })

  const save = Effect.fn("TokenStore.save")(function* (
    authorization: string,
    expected: number,
    tokens: Omit<StoredTokens, "generation">,
    attempt?: string
  ) {
    for (;;) {
      const seal = yield* sealer.ready
      const row = yield* read(authorization)
      const { contents } = row
      if (contents !== undefined) {
        // Tokens whose key is missing are not overwritten: the key may come back.
        yield* Effect.try({
          try: () => seal.requireKey(authorization, contents.keyId),
          catch: opening(authorization)
        })
        const earlier = yield* earlierSave(authorization, expected, tokens, row)
        if (earlier !== undefined) {
          // Writing it again makes it durable for certain.
          const same = [row.generation, contents.keyId, contents.sealed] as const
          if ((yield* replace(authorization, row, same, "", "keep")) === 1) {
            settled(authorization, row.generation)
            return earlier
          }
          continue
        }
      }
      const current = contents === undefined ? 0 : row.generation
      if (current !== expected) return yield* new Conflict({ authorization, expected, current })
      const stored: StoredTokens = { ...tokens, generation: row.generation + 1 }
      const sealed = yield* Effect.try({
        try: () => seal.seal(authorization, stored).toString("base64"),
        catch: opening(authorization)
      })
      const attempted: Unsettled = { expected, stored }
      unsettled.set(authorization, [...(unsettled.get(authorization) ?? []), attempted])
      const next = [stored.generation, seal.keyId, sealed] as const
      const reply = yield* replace(authorization, row, next, attempt ?? "", "")
      if (reply === 1) {
        settled(authorization, stored.generation)
        return stored
      }
      // Somebody was faster; mostly this ends in a conflict now. It cannot go on for ever: each round somebody got ahead.
      const others = (unsettled.get(authorization) ?? []).filter((save) => save !== attempted)
      if (others.length === 0) unsettled.delete(authorization)
      else unsettled.set(authorization, others)
      if (reply === 2) return yield* new Superseded({ authorization, current: row.entry?.attempt ?? "" })
    }
  })

  const note = Effect.fn("TokenStore.note")(function* (
    authorization: string,
    expected: number,
    over: string | undefined,
    entry: JournalEntry | undefined
  ) {
    // What is about to be spent is answered by tokens that have to be sealed: without a key nothing is sent.
    if (entry?.state === "sent") yield* sealer.ready
    const written = entry === undefined ? ["", "", ""] : [entry.attempt, entry.state, encodeEntry(entry)]
    const reply = yield* writing
      .script(journal, [recordOf(authorization)], [expected, over ?? "", ...written])
      .pipe(durability.durably, Effect.mapError(failed(authorization)))
    if (reply === -1) return
    if (reply === -2) return yield* new Superseded({ authorization, current: "" })
    return yield* new Conflict({ authorization, expected, current: Number(reply) })
  })

  const remove = Effect.fn("TokenStore.remove")(function* (authorization: string, expected?: number) {
    const reply = yield* writing
      .script(erase, [recordOf(authorization), index], [authorization, expected === undefined ? "" : String(expected)])
      .pipe(durability.durably, Effect.mapError(failed(authorization)))
    return reply === 1
  })

  const list = Effect.gen(function* () {
    const authorizations = decodeNames(yield* reading.command("SMEMBERS", [index])).toSorted()
    const found = yield* Effect.forEach(
      authorizations,
      (authorization) =>
        Effect.map(reading.command("HMGET", [recordOf(authorization), "key_id", "sealed"]), (reply) => ({
          authorization,
          fields: Option.getOrUndefined(decodeSealed(reply))
        })),
      { concurrency: 16 }
    )
    return found.flatMap(({ authorization, fields }) =>
      fields === undefined
        ? []
        : [{ authorization, keyId: fields[0], isFirstForm: !isEnvelope(Buffer.from(fields[1].slice(0, 24), "base64")) }]
    )
  }).pipe(Effect.mapError(failed(undefined)))

  const reseal = Effect.fn("SealedRecords.reseal")(function* (authorization: string) {
    const row = yield* read(authorization)
    if (row.contents === undefined) return "changed" as const
    const tokens = yield* open(authorization, row.generation, row.contents)
    const seal = yield* sealer.ready
    const sealed = yield* Effect.try({
      try: () => seal.seal(authorization, tokens).toString("base64"),
      catch: opening(authorization)
    })
    const reply = yield* replace(authorization, row, [row.generation, seal.keyId, sealed], "", "keep")
    return reply === 1 ? ("resealed" as const) : ("changed" as const)
  })

  return Context.make(TokenStore, TokenStore.of({ load, read: readRecord, save, note, remove })).pipe(
    Context.add(SealedRecords, SealedRecords.of({ store: place, keys: sealer.keys, list, reseal }))
  )
})

/**
 * The token store in Redis, and its records as they lie there. Records are sealed as in `SqliteTokenStore`; the key is given to
 * every process by `TRIBUTARY_VAULT_KEY`, never generated, and never in Redis. Fails when Redis cannot be reached, or when the key is missing or wrong.
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
  layer: Layer.effectContext(make)
}
