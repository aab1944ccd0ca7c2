import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { BudgetShare, type Measure, Outage, type Sent } from "../src/BudgetShare.ts"

/**
 * Processes that always want to send, on one clock, with a Redis that goes away, comes back, and may have lost its data. They
 * hear of it only when they ask: each in its own step, the one more often than the other.
 */
const Run = Schema.Struct({
  requests: Schema.Literals([1, 2, 3, 7, 20]),
  per: Schema.Literals([500, 2000, 30_000]),
  /** When each process begins, in tenths of a second, and how often it asks, in milliseconds. */
  processes: Schema.Array(
    Schema.Struct({
      from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 520 })),
      step: Schema.Literals([100, 300, 700, 1900]),
      order: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(6)),
  down: Schema.Array(Schema.Literals([300, 3000, 9000, 15_000, 45_000, 90_000])).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(4)
  ),
  up: Schema.Array(Schema.Literals([500, 4000, 12_000, 50_000])).check(Schema.isMinLength(4), Schema.isMaxLength(4)),
  isLoss: Schema.Boolean
})

const memory = 60_000

const simulate = ({ down, isLoss, per, processes, requests, up }: typeof Run.Type) => {
  const measure: Measure = { requests, per }
  const all: Array<number> = []
  let times: Array<{ readonly name: string; readonly at: number }> = []
  let born = 0
  const sharers = new Map<string, number>()
  const names = processes.map(({ order }, index) => `${String(order).padStart(4, "0")}-${index}`)
  const team = processes.map(({ from, step }, index) => ({
    name: names[index] ?? "",
    share: new BudgetShare(),
    sent: [] as Array<Sent>,
    from: 100 * from,
    step,
    known: -1,
    outage: new Outage(),
    until: 0
  }))
  // Nobody is started at the very time at which Redis comes back without its data: what that does is told in RedisBudgets.
  const phases: Array<{ readonly isUp: boolean; readonly from: number }> = [{ isUp: true, from: 0 }]
  let end = 55_000
  for (const [index, length] of down.entries()) {
    phases.push({ isUp: false, from: end }, { isUp: true, from: end + length })
    end += length + (up[index] ?? 0)
  }
  let wasUp = true
  for (let now = 0; now < end; now += 100) {
    const { isUp } = phases.findLast(({ from }) => from <= now) ?? { isUp: true }
    if (isUp && !wasUp && isLoss) {
      times = []
      sharers.clear()
      born++
    }
    wasUp = isUp
    for (const one of team) {
      const { name, share } = one
      const isAttending = (now - one.from) % 2000 === 0
      if (now < one.from || ((now - one.from) % one.step !== 0 && !isAttending)) continue
      one.sent = one.sent.filter(({ at }) => now - at < per)
      let hears = false
      if (isUp && now >= one.until) {
        hears = true
        one.outage.answered(now)
        sharers.set(name, now)
        for (const [other, at] of sharers) if (now - at > memory) sharers.delete(other)
        if (one.known >= 0 && one.known !== born) share.lost(now)
        one.known = born
        share.heard(sharers.size, [...sharers.keys()].filter((other) => other < name).length, now)
      } else if (now >= one.until) {
        one.outage.failed(now)
        one.until = now + 1000
      }
      if (hears) {
        for (const sent of one.sent) {
          if (!sent.isKnown) times.push({ name: sent.name, at: sent.at })
          sent.isKnown = true
        }
      }
      if (hears && share.waitWithRedis(one.sent, measure, one.outage, now) <= 0) {
        times = times.filter(({ at }) => now - at < per)
        if (times.length < requests) {
          times.push({ name, at: now })
          one.sent.push({ name: `${name}/${now}`, at: now, isKnown: true })
          all.push(now)
        }
      } else if (!hears && share.waitWithout(one.sent, measure, one.outage, now) <= 0) {
        one.sent.push({ name: `${name}/${now}`, at: now, isKnown: false })
        all.push(now)
      }
    }
  }
  let most = 0
  let first = 0
  for (let last = 0; last < all.length; last++) {
    while ((all[first] ?? 0) <= (all[last] ?? 0) - per) first++
    most = Math.max(most, last - first + 1)
  }
  return { most, total: all.length }
}

it.effect.prop(
  "processes together never exceed the rate, whenever Redis goes away, comes back or loses its data",
  [Run],
  ([run]) => Effect.sync(() => assert.isAtMost(simulate(run).most, run.requests)),
  { arbitrary: { runs: 3000 }, timeout: 240_000 }
)

it("is used while Redis is down: each process has its part", () => {
  const share = new BudgetShare()
  for (let at = 0; at <= 12_000; at += 2000) share.heard(3, 1, at)
  const sent: Array<Sent> = []
  const measure: Measure = { requests: 10, per: 1000 }
  const outage = new Outage()
  outage.failed(12_500)
  assert.isAbove(share.waitWithout(sent, measure, outage, 12_500), 7000)
  let now = 21_000
  for (let count = 0; count < 3; count++) {
    assert.strictEqual(share.waitWithout(sent, measure, outage, now), 0)
    sent.push({ name: String(count), at: now, isKnown: false })
    now += 10
  }
  assert.strictEqual(share.waitWithout(sent, measure, outage, now), 970)
})
