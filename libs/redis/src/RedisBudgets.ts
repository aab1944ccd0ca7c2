import { Budgets, type Rate } from "@tributary/connector"
import { Clock, Duration, Effect, Layer, Schema, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { Redis } from "./Redis.ts"
import type { RedisError } from "./RedisError.ts"
import { script } from "./Script.ts"

/**
 * Reserves the next time at which a request may be sent: a set holds the times of the last period and those reserved, by the
 * clock of the server in microseconds. The new time is the earliest that is a period after that of the request before
 * `requests` others, so no span of a period ever holds more than `requests`. A set that lies further ahead than those who
 * share it can explain was made under another clock; it is begun anew after one period.
 *
 * KEYS times, pause, sharers. ARGV process, name of the reservation, requests, period, ages of requests sent without Redis.
 * Gives { microseconds to wait, number of processes that share the budget }.
 */
const reserve = script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local requests, period = tonumber(ARGV[3]), tonumber(ARGV[4])
  local function text(number) return string.format('%.0f', number) end

  redis.call('ZADD', KEYS[3], text(now), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now - 60000000))
  redis.call('PEXPIRE', KEYS[3], 120000)
  local sharers = redis.call('ZCARD', KEYS[3])

  for index = 5, #ARGV do
    redis.call('ZADD', KEYS[1], text(now - ARGV[index]), ARGV[2] .. '/' .. index)
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - period))

  local slot = math.max(now, tonumber(redis.call('GET', KEYS[2])) or 0)
  local last = redis.call('ZREVRANGE', KEYS[1], requests - 1, requests - 1, 'WITHSCORES')[2]
  if last then
    if tonumber(last) > slot + period * (1 + sharers) then
      redis.call('DEL', KEYS[1])
      slot = slot + period
    else
      slot = math.max(slot, last + period)
    end
  end
  redis.call('ZADD', KEYS[1], text(slot), ARGV[2])
  local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIRE', KEYS[1], text(math.ceil((newest - now + period) / 1000) + 1000))
  return { slot - now, sharers }
`)

/**
 * Asks whether a reserved time has come. It is given up, and -1 is the answer, if it is gone, if a pause came in between, or
 * if it passed too long ago to count for a request sent now.
 *
 * KEYS times, pause. ARGV name of the reservation, tolerated delay. Gives microseconds that are left to wait, or -1.
 */
const confirm = script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local slot = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil)
  if not slot then return -1 end
  local paused = tonumber(redis.call('GET', KEYS[2])) or 0
  if slot < paused or now - slot > tonumber(ARGV[2]) then
    redis.call('ZREM', KEYS[1], ARGV[1])
    return -1
  end
  return math.max(0, slot - now)
`)

/** KEYS pause. Gives the microseconds that are left of a pause. */
const pauseLeft = script(`
  local time = redis.call('TIME')
  return math.max(0, (tonumber(redis.call('GET', KEYS[1])) or 0) - time[1] * 1000000 - time[2])
`)

/** KEYS pause. ARGV milliseconds. Lengthens the pause. */
const lengthen = script(`
  local time = redis.call('TIME')
  local till = time[1] * 1000000 + time[2] + ARGV[1] * 1000
  if till > (tonumber(redis.call('GET', KEYS[1])) or 0) then
    redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', ARGV[1])
  end
  return 0
`)

const decodeReservation = Schema.decodeUnknownSync(Schema.Tuple([Schema.Int, Schema.Int]))
const decodeMicros = Schema.decodeUnknownSync(Schema.Int)

/** A rate of very many requests is held to a tenth of them in a tenth of the time, and so on, to bound the set in Redis. */
const mostRequests = 10_000
/** Milliseconds until Redis is asked again after it failed. */
const retryAfter = 1000

interface Measure {
  readonly requests: number
  /** Milliseconds. */
  readonly per: number
}

const measureOf = (rate: Rate): Measure => {
  let requests = rate.requests
  let per = Duration.toMillis(rate.per)
  while (requests > mostRequests) {
    requests = Math.floor(requests / 10)
    per /= 10
  }
  return { requests, per }
}

const rateOf = ({ requests, per }: Measure): Rate => ({ requests, per: Duration.millis(per) })

/** The part of a rate that is one of `sharers` processes'. */
const shareOf = ({ requests, per }: Measure, sharers: number): Measure => ({
  requests: Math.max(1, Math.floor(requests / sharers)),
  per: per * Math.max(1, sharers / requests)
})

/** What this process knows of a budget. */
interface Budget {
  /** One request at a time waits for its turn; so a process reserves one time at most, and processes take turns. */
  readonly line: Semaphore.Semaphore
  /** Processes that shared the budget when Redis was last asked. */
  sharers: number
  /** Times of requests that Redis does not know of, milliseconds since 1970, by rate. */
  readonly unknown: Map<string, Array<number>>
}

export interface RedisBudgetsOptions {
  /**
   * How many processes share the budgets, 1 by default. Counts only while Redis is down: each then keeps to this part of every
   * rate, or to a smaller one if Redis has seen more processes in the last minute.
   */
  readonly processes?: number
}

const make = Effect.fnUntraced(function* ({ processes = 1 }: RedisBudgetsOptions) {
  const { prefix, server, connect } = yield* Redis
  const connection = yield* connect
  const local = yield* Budgets
  const processId = randomUUID()
  const budgets = new Map<string, Budget>()
  let reservations = 0
  /** Redis is not asked before this time, milliseconds since 1970; 0: it answers. */
  let downUntil = 0

  const budgetOf = (key: string): Budget => {
    let budget = budgets.get(key)
    if (budget === undefined) {
      budget = { line: Semaphore.makeUnsafe(1), sharers: 1, unknown: new Map() }
      budgets.set(key, budget)
    }
    return budget
  }
  const pauseKey = (key: string) => `${prefix}pause:{${key}}`
  const sharersKey = (key: string) => `${prefix}sharers:{${key}}`

  const failed = Effect.fnUntraced(function* (error: RedisError) {
    const isFirst = downUntil === 0
    downUntil = (yield* Clock.currentTimeMillis) + retryAfter
    if (isFirst) {
      yield* Effect.logWarning(
        "Request budgets are not shared while Redis is down; each process keeps to its part of the rates."
      ).pipe(Effect.annotateLogs({ server, error: error.message, failureClass: error.failureClass }))
    }
  })
  const answered = Effect.suspend(() => {
    if (downUntil === 0) return Effect.void
    downUntil = 0
    return Effect.logInfo("Request budgets are shared again.").pipe(Effect.annotateLogs({ server }))
  })
  /** Asks Redis; `undefined`: it is down. */
  const ask = <A>(request: Effect.Effect<A, RedisError>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now < downUntil
        ? Effect.undefined
        : request.pipe(
            Effect.tap(answered),
            Effect.catch((error) => Effect.as(failed(error), undefined))
          )
    )

  /** Waits for the turn that Redis gives. Tells whether it could. */
  const shared = Effect.fnUntraced(function* (key: string, budget: Budget, measure: Measure) {
    const name = `${measure.requests}/${measure.per}`
    const keys = [`${prefix}budget:{${key}}:${name}`, pauseKey(key), sharersKey(key)]
    const period = Math.ceil(measure.per * 1000)
    const tolerated = Math.min(100_000, Math.ceil(period / 10))
    for (;;) {
      const reservation = `${processId}/${++reservations}`
      const now = yield* Clock.currentTimeMillis
      const unknown = (budget.unknown.get(name) ?? []).filter((time) => now - time < measure.per)
      const ages = unknown.map((time) => Math.max(0, Math.round((now - time) * 1000)))
      const isGranted = yield* Effect.gen(function* () {
        const reply = yield* ask(
          connection.script(reserve, keys, [processId, reservation, measure.requests, period, ...ages])
        )
        if (reply === undefined) return undefined
        budget.unknown.delete(name)
        const [first, sharers] = decodeReservation(reply)
        budget.sharers = sharers
        let wait = first
        while (wait > 0) {
          yield* Effect.sleep(Math.ceil(wait / 1000))
          const left = yield* ask(connection.script(confirm, keys.slice(0, 2), [reservation, tolerated]))
          if (left === undefined) return undefined
          wait = decodeMicros(left)
        }
        return wait === 0
      }).pipe(
        Effect.onInterrupt(() =>
          // Sent at once if it can be. A place that is not given back stays empty, no more.
          Effect.ignore(Effect.timeoutOption(connection.command("ZREM", [keys[0] ?? "", reservation]), "200 millis"))
        )
      )
      if (isGranted !== false) return isGranted === true
    }
  })

  const sharedPause = Effect.fnUntraced(function* (key: string) {
    for (;;) {
      const left = yield* ask(connection.script(pauseLeft, [pauseKey(key)], []))
      if (left === undefined) return
      const micros = decodeMicros(left)
      if (micros === 0) return
      yield* Effect.sleep(Math.ceil(micros / 1000))
    }
  })

  const inTurn = Effect.fnUntraced(function* (key: string, budget: Budget, rate: Rate | undefined) {
    if (rate === undefined) {
      yield* sharedPause(key)
      return yield* local.take(key, undefined)
    }
    const measure = measureOf(rate)
    const isShared = yield* shared(key, budget, measure)
    const sharers = Math.max(processes, budget.sharers)
    if (!isShared && sharers > 1) yield* local.take(key, rateOf(shareOf(measure, sharers)))
    // Counted here too, so that the change from one way to the other never lets this process be faster than the whole rate.
    yield* local.take(key, rateOf(measure))
    if (isShared) return
    const name = `${measure.requests}/${measure.per}`
    const unknown = budget.unknown.get(name) ?? []
    unknown.push(yield* Clock.currentTimeMillis)
    budget.unknown.set(name, unknown.slice(-measure.requests))
  })

  return Budgets.of({
    take: (key, rate) =>
      Effect.suspend(() => {
        const budget = budgetOf(key)
        return budget.line.withPermit(inTurn(key, budget, rate))
      }),
    pause: (key, duration) =>
      Effect.gen(function* () {
        yield* local.pause(key, duration)
        const millis = Math.ceil(Duration.toMillis(duration))
        if (millis > 0) yield* ask(connection.script(lengthen, [pauseKey(key)], [millis]))
      })
  })
})

/**
 * Budgets in Redis, shared by all processes with the same server and prefix. In no span of a period are more requests let
 * through than the rate allows, by the clock of the server; a request leaves when the answer has reached its process, so two
 * requests may come as much closer together as these ways differ. One that wakes more than a tenth of the period (at most
 * 100 ms) late asks anew. Processes take turns: each has one request in line at Redis, the others wait behind it. A process
 * that dies leaves at most one place empty.
 *
 * Needs no server: while Redis is down (said once in a warning) each process keeps to its part of the rate, which is never
 * faster than the rate, and Redis is asked again every second. The processes together keep to the rate if their number is
 * known (see the options); around the change, for one period, they may together send up to twice as much. A Redis that lost its
 * data has forgotten what was sent in the last period; each process by itself still keeps to the rate then.
 */
export const RedisBudgets = {
  layer: (options: RedisBudgetsOptions = {}): Layer.Layer<Budgets, never, Redis> =>
    Layer.effect(Budgets, make(options)).pipe(Layer.provide(Budgets.layer))
}
