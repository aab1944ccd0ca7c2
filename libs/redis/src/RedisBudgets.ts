import { Budgets, probeTime, type Rate } from "@tributary/vault"
import { Clock, Duration, Effect, Layer, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { attendance, BudgetShare, type Measure, Outage, type Sent } from "./BudgetShare.ts"
import {
  attend,
  confirm,
  decodeAttendance,
  decodeMicros,
  decodeReservation,
  learnLimits,
  lengthen,
  reserve,
  spend,
  tell
} from "./budgetScripts.ts"
import { Redis } from "./Redis.ts"
import type { RedisError } from "./RedisError.ts"

/** A rate of very many requests is held to a tenth of them in a tenth of the time, and so on, to bound the set in Redis. */
const mostRequests = 10_000
/** Milliseconds until Redis is asked again after it failed. */
const retryAfter = 1000
/** A budget that was not used for so long is not attended any more. Milliseconds. */
const idle = 600_000

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

/** What this process knows of a budget. */
interface Budget {
  /** One request at a time waits for its turn; so a process reserves one time at most, and processes take turns. */
  readonly line: Semaphore.Semaphore
  readonly share: BudgetShare
  /** By rate: the requests of the last period, oldest first. */
  readonly sent: Map<string, { readonly measure: Measure; list: Array<Sent> }>
  /** Milliseconds since 1970. */
  usedAt: number
  /** Whether the API tells what is left. */
  isTold: boolean
}

const make = Effect.gen(function* () {
  const { prefix, server, connect } = yield* Redis
  const connection = yield* connect
  const local = yield* Budgets
  const processId = randomUUID()
  const budgets = new Map<string, Budget>()
  let reservations = 0
  const outage = new Outage()
  /** Redis is not asked before this time, milliseconds since 1970. */
  let notBefore = 0
  /** Tells the data of the server from other data; see `budgetScripts`. */
  let born = ""

  const budgetOf = (key: string): Budget => {
    let budget = budgets.get(key)
    if (budget === undefined) {
      budget = { line: Semaphore.makeUnsafe(1), share: new BudgetShare(), sent: new Map(), usedAt: 0, isTold: false }
      budgets.set(key, budget)
    }
    return budget
  }
  const bornKey = `${prefix}budgets-born`
  const pauseKey = (key: string) => `${prefix}pause:{${key}}`
  const limitsKey = (key: string) => `${prefix}limits:{${key}}`
  const sharersKey = (key: string) => `${prefix}sharers:{${key}}`

  const failed = Effect.fnUntraced(function* (error: RedisError) {
    const now = yield* Clock.currentTimeMillis
    const isFirst = outage.isOver
    outage.failed(now)
    notBefore = now + retryAfter
    if (isFirst) {
      yield* Effect.logWarning(
        "Request budgets are not shared while Redis is down; each process keeps to its part of the rates."
      ).pipe(Effect.annotateLogs({ server, error: error.message, failureClass: error.failureClass }))
    }
  })
  const answered = Effect.suspend(() => (outage.isOver ? Effect.void : returned))
  const returned = Effect.gen(function* () {
    outage.answered(yield* Clock.currentTimeMillis)
    yield* Effect.logInfo("Request budgets are shared again.").pipe(Effect.annotateLogs({ server }))
  })
  /** Asks Redis; `undefined`: it is down. */
  const ask = <A>(request: Effect.Effect<A, RedisError>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now < notBefore
        ? Effect.undefined
        : request.pipe(
            Effect.tap(answered),
            Effect.catch((error) => Effect.as(failed(error), undefined))
          )
    )

  /** Takes note of whose data answered. */
  const recognise = Effect.fnUntraced(function* (found: string, now: number) {
    if (found === born) return
    const isLoss = born !== ""
    born = found
    if (!isLoss) return
    for (const { share } of budgets.values()) share.lost(now)
    yield* Effect.logWarning(
      "Redis lost what it knew of the requests that were sent, so none are sent for one period of their rates. Let it keep its data over a restart (`appendonly yes`)."
    ).pipe(Effect.annotateLogs({ server }))
  })

  /** Requests of this process in the last period. */
  const sentOf = (budget: Budget, name: string, measure: Measure, now: number): Array<Sent> => {
    const { per, requests } = measure
    const list = (budget.sent.get(name)?.list ?? []).filter(({ at }) => now - at < per).slice(-requests)
    budget.sent.set(name, { measure, list })
    return list
  }

  const timesKey = (key: string, name: string) => `${prefix}budget:{${key}}:${name}`
  /** Tells Redis what was sent without it. */
  const tellUnknown = Effect.fnUntraced(function* (key: string, budget: Budget) {
    const now = yield* Clock.currentTimeMillis
    for (const [name, { list, measure }] of budget.sent) {
      const unknown = list.filter(({ at, isKnown }) => !isKnown && now - at < measure.per)
      if (unknown.length === 0) continue
      const words = unknown.flatMap(({ at, name }) => [name, Math.max(0, Math.round((now - at) * 1000))])
      const reply = yield* ask(
        connection.script(tell, [timesKey(key, name)], [Math.ceil(measure.per * 1000), ...words])
      )
      if (reply !== undefined) for (const one of unknown) one.isKnown = true
    }
  })

  /** Goes on counting among those who share the budgets that are in use, and hears how many they are. */
  const attendAll = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const used = [...budgets].filter(([, { usedAt }]) => now - usedAt < idle)
    if (used.length === 0) return
    const keys = [bornKey, ...used.map(([key]) => sharersKey(key))]
    const reply = yield* ask(connection.script(attend, keys, [processId]))
    if (reply === undefined) return
    const [found, ...counts] = decodeAttendance(reply)
    const heardAt = yield* Clock.currentTimeMillis
    yield* recognise(found, heardAt)
    for (const [index, [key, budget]] of used.entries()) {
      budget.share.heard(counts[2 * index] ?? 1, counts[2 * index + 1] ?? 0, heardAt)
      yield* tellUnknown(key, budget)
    }
  })

  /** Waits for the turn that Redis gives; its name, or `undefined`: it is down. */
  const shared = Effect.fnUntraced(function* (key: string, budget: Budget, name: string, measure: Measure) {
    const keys = [bornKey, sharersKey(key), timesKey(key, name), pauseKey(key)]
    const period = Math.ceil(measure.per * 1000)
    const tolerated = Math.min(100_000, Math.ceil(period / 10))
    for (;;) {
      yield* tellUnknown(key, budget)
      const now = yield* Clock.currentTimeMillis
      const sent = sentOf(budget, name, measure, now)
      // Whether Redis is back shows only when it is asked.
      const early = outage.isOver ? budget.share.waitWithRedis(sent, measure, outage, now) : 0
      if (early > 0) {
        yield* Effect.sleep(Math.min(early, retryAfter))
        // Who else is there may be heard of meanwhile.
        continue
      }
      const reservation = `${processId}/${++reservations}`
      const isGranted = yield* Effect.gen(function* () {
        const reply = yield* ask(
          connection.script(reserve, keys, [processId, born, reservation, measure.requests, period])
        )
        if (reply === undefined) return undefined
        const [first, sharers, rank, found] = decodeReservation(reply)
        const heardAt = yield* Clock.currentTimeMillis
        yield* recognise(found, heardAt)
        budget.share.heard(sharers, rank, heardAt)
        if (first < 0) return false
        let wait = first
        while (wait > 0) {
          yield* Effect.sleep(Math.ceil(wait / 1000))
          const left = yield* ask(connection.script(confirm, keys.slice(2), [reservation, tolerated]))
          if (left === undefined) return undefined
          wait = decodeMicros(left)
        }
        if (wait < 0) return false
        // What was heard just now may forbid it.
        return budget.share.waitWithRedis(sent, measure, outage, yield* Clock.currentTimeMillis) === 0
      }).pipe(
        Effect.onInterrupt(() =>
          // Sent at once if it can be. A place that is not given back stays empty, no more.
          Effect.ignore(Effect.timeoutOption(connection.command("ZREM", [keys[2] ?? "", reservation]), "200 millis"))
        )
      )
      if (isGranted === undefined) return undefined
      if (isGranted) return reservation
    }
  })

  /** Waits for the end of a pause, and for something to be left of what the API allows. */
  const sharedLimits = Effect.fnUntraced(function* (key: string) {
    for (;;) {
      const left = yield* ask(connection.script(spend, [pauseKey(key), limitsKey(key)], [probeTime * 1000]))
      if (left === undefined) return
      const micros = decodeMicros(left)
      if (micros === 0) return
      // What is left may be learnt of earlier.
      yield* Effect.sleep(Math.min(Math.ceil(micros / 1000), retryAfter))
    }
  })

  const inTurn = Effect.fnUntraced(function* (key: string, budget: Budget, rate: Rate | undefined) {
    if (rate === undefined) {
      yield* sharedLimits(key)
      return yield* local.take(key, undefined)
    }
    const measure = measureOf(rate)
    const name = `${measure.requests}/${measure.per}`
    // Before a time is reserved, which has to be used when it comes.
    if (budget.isTold) yield* sharedLimits(key)
    for (;;) {
      budget.usedAt = yield* Clock.currentTimeMillis
      const granted = yield* shared(key, budget, name, measure)
      const now = yield* Clock.currentTimeMillis
      if (granted === undefined) {
        const wait = budget.share.waitWithout(sentOf(budget, name, measure, now), measure, outage, now)
        if (wait > 0) {
          yield* Effect.sleep(Math.min(wait, retryAfter))
          continue
        }
      }
      // Counted here too, so that this process by itself is never faster than the whole rate, and obeys pauses that only it knows.
      yield* local.take(key, rateOf(measure))
      const at = yield* Clock.currentTimeMillis
      sentOf(budget, name, measure, at).push({
        name: granted ?? `${processId}/${++reservations}`,
        at,
        isKnown: granted !== undefined
      })
      return
    }
  })

  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(attendance), attendAll)))

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
      }),
    learn: (key, allowances) =>
      Effect.gen(function* () {
        yield* local.learn(key, allowances)
        budgetOf(key).isTold = true
        const words = allowances.flatMap(({ name, remaining, resetIn }) => [name, remaining, Math.ceil(resetIn * 1000)])
        if (words.length > 0) yield* ask(connection.script(learnLimits, [limitsKey(key)], words))
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
 * Needs no server: while Redis is down (said once in a warning) each process keeps to its part of the rate (`BudgetShare`),
 * after one period in which it sends nothing, and Redis is asked again every second. The processes know their number from
 * Redis; one that could not yet get to know it (in the first ten seconds, or since Redis was down at its start) waits for Redis. A
 * Redis that lost its data is noticed, and nothing is sent for one period. What is not covered: a Redis that some processes reach
 * and others do not, and a process that is started within one period after Redis lost its data or was away for a period.
 */
export const RedisBudgets = {
  layer: Layer.effect(Budgets, make).pipe(Layer.provide(Budgets.layer))
}
