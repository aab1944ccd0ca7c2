import {
  type Lease,
  LeaseError,
  LeaseLost,
  type LeaseOptions,
  type LeasePurpose,
  Leases,
  LeaseTaken
} from "@tributary/vault"
import { Clock, Deferred, Duration, Effect, Layer, Random, Result, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { Redis } from "./Redis.ts"
import type { RedisError } from "./RedisError.ts"
import { script } from "./Script.ts"

/**
 * Takes the lease if nobody has it. The value is `<epoch>/<owner>`; the same is kept under a key of its own without an end, where
 * only the epoch stays when the lease is given back. An epoch is at least the server's time in milliseconds, so that it does
 * not go back when the server lost its data. A lease without an end was not made here, or its end was taken away: it gets one.
 *
 * An owner may begin with what the lease is held for and `#`; then it takes the lease over from an owner that begins so.
 *
 * KEYS lease, epoch. ARGV owner, ttl, the beginning, '1' if it is only to be taken over. Gives { 1, epoch, whether the holder before did
 * not give it back } or { 0, milliseconds until the lease ends, 0 }.
 */
const take = script(`
  local held = redis.call('GET', KEYS[1])
  local same = held and ARGV[3] ~= '' and string.find(held, '/' .. ARGV[3], 1, true)
  if not held and ARGV[4] == '1' then return { 0, 0, 0 } end
  if held and not same then
    local left = redis.call('PTTL', KEYS[1])
    if left < 0 then
      redis.call('PEXPIRE', KEYS[1], ARGV[2])
      left = tonumber(ARGV[2])
    end
    return { 0, left, 0 }
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local before = redis.call('GET', KEYS[2]) or '0'
  local last = tonumber(before:match('^%d+')) or 0
  local epoch = string.format('%.0f', math.max(last + 1, now))
  redis.call('SET', KEYS[2], epoch .. '/' .. ARGV[1])
  redis.call('SET', KEYS[1], epoch .. '/' .. ARGV[1], 'PX', ARGV[2])
  return { 1, tonumber(epoch), before:match('^%d+/.') and 1 or 0 }
`)

/** KEYS lease. ARGV owner, ttl. Gives 1 if the lease is the owner's and was prolonged, 0 if another has it, -1 if nobody. */
const renew = script(`
  local held = redis.call('GET', KEYS[1])
  if not held then return -1 end
  if held:match('^%d+/(.*)$') ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
`)

/** KEYS lease, epoch. ARGV owner. Gives the lease back if it is the owner's, or was and nobody took it since. */
const release = script(`
  local last = redis.call('GET', KEYS[2]) or ''
  if last:match('^%d+/(.*)$') == ARGV[1] then redis.call('SET', KEYS[2], last:match('^%d+')) end
  local held = redis.call('GET', KEYS[1])
  if held and held:match('^%d+/(.*)$') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
  return 0
`)

const decodeTaken = Schema.decodeUnknownSync(Schema.Tuple([Schema.Int, Schema.Int, Schema.Int]))

/** Part of its time after which a lease that was not confirmed counts as lost, so that clocks may differ in speed. */
const trusted = 0.9
const shortest = 100

/** A point in time by both clocks: the one may be set, the other may stand still while the machine sleeps. */
const moment = Effect.map(
  Effect.all([Clock.currentTimeMillis, Clock.monotonicTimeNanos]),
  ([wall, nanos]): readonly [number, number] => [wall, Number(nanos / 1000n) / 1000]
)
type Moment = Effect.Success<typeof moment>

const elapsedSince = ([wall, steady]: Moment) =>
  Effect.map(moment, ([wallNow, steadyNow]) => Math.max(wallNow - wall, steadyNow - steady))

const make = Effect.gen(function* () {
  const { prefix, connect } = yield* Redis
  const connection = yield* connect

  const keysOf = (key: string) => [`${prefix}lease:{${key}}`, `${prefix}epoch:{${key}}`] as const
  const failed = (key: string) => (error: RedisError) =>
    new LeaseError({ key, problem: error.message, failureClass: error.failureClass })

  /** The request is sent at once if it can be; nobody has to wait long for its answer. */
  const giveBack = (key: string, owner: string) =>
    connection.script(release, keysOf(key), [owner]).pipe(
      Effect.timeoutOption("200 millis"),
      Effect.catch((error) =>
        Effect.logDebug("Lease not given back; it ends by itself.").pipe(
          Effect.annotateLogs({ key, error: error.message })
        )
      )
    )

  /** What is unfinished may be somebody's already, who had it before this attempt: its lease is left to end by itself. */
  const leave = (key: string, owner: string, purpose: LeasePurpose | undefined) =>
    Effect.suspend(() => (purpose?.isUnfinished() === true ? Effect.void : giveBack(key, owner)))

  /** Renews in the background until the scope closes. */
  const hold = Effect.fnUntraced(function* (
    key: string,
    owner: string,
    [epoch, isInherited]: readonly [number, boolean],
    ttl: number,
    sentAt: Moment,
    purpose: LeasePurpose | undefined
  ) {
    const [leaseKey] = keysOf(key)
    const lostSignal = Deferred.makeUnsafe<never, LeaseLost>()
    const limit = ttl * trusted
    let confirmedAt = sentAt

    const lose = (problem: string) =>
      Effect.suspend(() => {
        const error = new LeaseLost({ key, epoch, problem })
        return Effect.as(
          Deferred.fail(lostSignal, error).pipe(
            Effect.flatMap((isFirst) =>
              isFirst
                ? Effect.logWarning("Lease lost.").pipe(Effect.annotateLogs({ key, epoch, problem }))
                : Effect.void
            )
          ),
          error
        )
      })
    const left = Effect.map(
      Effect.suspend(() => elapsedSince(confirmedAt)),
      (elapsed) => limit - elapsed
    )
    const overdue = (why: string) => lose(`it was not confirmed for ${Math.round(limit)} ms.${why}`)

    const keep = Effect.gen(function* () {
      let pause = ttl / 3
      let why = ""
      for (;;) {
        yield* Effect.sleep(Math.max(1, Math.min(pause, yield* left)))
        const remaining = yield* left
        if (remaining <= 0) return yield* overdue(why)
        const askedAt = yield* moment
        const answer = yield* connection
          .script(renew, [leaseKey], [owner, ttl])
          .pipe(Effect.timeoutOption(remaining), Effect.result)
        if (Result.isFailure(answer)) {
          why = ` ${answer.failure.message}`
          pause = ttl / 10
        } else if (answer.success._tag === "None") {
          return yield* overdue(" Redis did not answer.")
        } else if (answer.success.value === 1) {
          confirmedAt = askedAt
          pause = ttl / 3
        } else {
          return yield* lose(
            answer.success.value === 0
              ? "another process has it."
              : "Redis has it no more, because its time passed or Redis lost its data."
          )
        }
      }
    })

    yield* Effect.addFinalizer(() => leave(key, owner, purpose))
    yield* Effect.forkScoped(Effect.interruptible(keep))

    const check = Effect.gen(function* () {
      if (Deferred.isDoneUnsafe(lostSignal)) return yield* Deferred.await(lostSignal)
      if ((yield* left) <= 0) return yield* yield* overdue(" Redis did not answer, or this process was paused.")
    })
    return {
      key,
      owner,
      epoch,
      isInherited,
      lost: Deferred.await(lostSignal),
      check,
      left: Effect.suspend(() =>
        Deferred.isDoneUnsafe(lostSignal) ? Effect.succeed(0) : Effect.map(left, (millis) => Math.max(0, millis))
      )
    } satisfies Lease
  })

  const acquire = Effect.fn("Leases.acquire")(function* (key: string, options: LeaseOptions) {
    const ttl = Math.max(shortest, Math.round(Duration.toMillis(options.ttl)))
    const startedAt = yield* moment
    const wait = Duration.toMillis(options.wait ?? 0)
    const { purpose } = options
    const beginning = purpose === undefined ? "" : `${purpose.name}#`
    for (;;) {
      // A new name for every attempt: an earlier one whose answer was lost may have taken the lease, or may take it yet.
      const owner = `${beginning}${randomUUID()}`
      const sentAt = yield* moment
      const attempt = yield* Effect.uninterruptibleMask((restore) =>
        restore(
          connection.script(take, keysOf(key), [owner, ttl, beginning, purpose?.onlyOver === true ? "1" : "0"])
        ).pipe(
          Effect.onError(() => leave(key, owner, purpose)),
          Effect.mapError(failed(key)),
          Effect.map((reply) => decodeTaken(reply)),
          Effect.flatMap(([isTaken, value, isInherited]) =>
            isTaken === 1
              ? hold(key, owner, [value, isInherited === 1], ttl, sentAt, purpose)
              : Effect.fail(new LeaseTaken({ key, endsIn: value }))
          ),
          Effect.result
        )
      )
      if (Result.isSuccess(attempt)) return attempt.success
      const error = attempt.failure
      const patience = wait - (yield* elapsedSince(startedAt))
      if (patience <= 0 || (error._tag === "LeaseError" && error.failureClass === "misconfigured")) return yield* error
      // Several that wait do not ask in step.
      yield* Effect.sleep(Math.min(patience, 50 + 150 * (yield* Random.next)))
    }
  })

  return Leases.of({ acquire })
})

/**
 * Leases in Redis, shared by all processes with the same server and prefix. Needs no server to start: while Redis is down
 * `acquire` fails, and a lease that is held counts as lost when it was not confirmed for nine tenths of its time.
 *
 * What is kept under a single fault: an epoch is never given twice, and only the owner renews or gives back. When Redis comes
 * back without its data, leases that were held are lost and epochs go on from the server's clock, so they go back only if
 * that clock was set back too. When Redis or a holder stands still for longer than the lease, two processes may work under
 * one key for a moment, with different epochs. The compare-and-set of the store decides then; a lease only spares work.
 */
export const RedisLeases = {
  layer: Layer.effect(Leases, make)
}
