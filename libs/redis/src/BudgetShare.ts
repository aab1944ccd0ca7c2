import { memory } from "./budgetScripts.ts"

/** Every so many milliseconds a process says that it goes on sharing its budgets, and hears of the others. */
export const attendance = 2000
/** A process knows the others if it heard of them so short a time before Redis was found down. */
export const fresh = 4 * attendance
/** The others know a process that shared the budget for so long: longer than `fresh`, so who relies on its share knows it. */
export const settled = 5 * attendance
/** After Redis is back, others may not have noticed it for so long; until then nobody uses it. */
const slowest = 3000

/** So many absences of Redis are remembered beside the last one. */
const mostAbsences = 15

/** A rate with the period in milliseconds. */
export interface Measure {
  readonly requests: number
  readonly per: number
}

/** A request of this process, in milliseconds since 1970. */
export interface Sent {
  readonly name: string
  readonly at: number
  /** Whether Redis knows of it. */
  isKnown: boolean
}

/** The last absence of Redis, as this process met it. */
export class Outage {
  /** When it was noticed, milliseconds since 1970. */
  at = Number.NEGATIVE_INFINITY
  /** When Redis answered again; `undefined`: it did not yet. */
  #backAt: number | undefined = Number.NEGATIVE_INFINITY

  get isOver(): boolean {
    return this.#backAt !== undefined
  }
  failed(now: number): void {
    if (this.#backAt !== undefined) this.at = now
    this.#backAt = undefined
  }
  answered(now: number): void {
    this.#backAt ??= now
  }
  /** Milliseconds until all others, too, have noticed that Redis is back. */
  noticedIn(now: number): number {
    return this.#backAt === undefined ? slowest : Math.max(0, this.#backAt + slowest - now)
  }
}

/**
 * What a process knows of a budget that it shares, and how much of it is its own when Redis cannot be asked. The parts of all
 * processes together are never more than the whole, whenever Redis goes away or comes back:
 *
 * - N processes have a part of `requests / N` each, rounded down; with more processes than requests, those that come first in the
 *   order of their names have one each. A process whose number is too old has a smaller part, not a greater one.
 * - A process that the others may not have heard of yet has none, and neither has one that did not hear of them lately.
 * - For one period after Redis went away, and at least for the time in which everybody must have noticed, nothing is sent:
 *   others may have used all of the rate before. For one period also when Redis lost its data, since then nobody knows what
 *   was sent.
 * - For one period after Redis is back, if it was away long enough for others to use their parts, a process keeps to its part
 *   even though Redis would give it more.
 */
export class BudgetShare {
  #sharers = 1
  #rank = 0
  /** Since when, and when last, Redis was heard of. Milliseconds since 1970. */
  #since: number | undefined
  #heardAt = 0
  /** The last spans in which Redis was not heard of. */
  #absences: ReadonlyArray<{ readonly from: number; readonly until: number }> = []
  #lostAt = Number.NEGATIVE_INFINITY

  /** Redis said who shares the budget. */
  heard(sharers: number, rank: number, now: number): void {
    const gap = this.#since === undefined ? 0 : now - this.#heardAt
    if (this.#since === undefined || gap >= memory - attendance) this.#since = now
    if (gap > fresh - attendance)
      this.#absences = [...this.#absences.slice(-mostAbsences), { from: this.#heardAt, until: now }]
    // Those who are to come back still count until everybody who was away is heard of again.
    const isReturning = now - Math.max(this.#absences.at(-1)?.until ?? 0, this.#lostAt) < memory
    if (!isReturning || sharers >= this.#sharers) {
      this.#sharers = sharers
      this.#rank = rank
    }
    this.#heardAt = now
  }

  /** Redis has lost its data. */
  lost(now: number): void {
    this.#lostAt = now
  }

  /** Milliseconds until a request may be sent by what Redis says alone, or 0. */
  waitWithRedis(sent: ReadonlyArray<Sent>, measure: Measure, outage: Outage, now: number): number {
    const still = Math.max(this.#lostAt + measure.per - now, outage.noticedIn(now))
    if (still > 0) return still
    const mayOthersHaveSent = this.#absences.some(
      ({ from, until }) => until - from >= measure.per && now < until + slowest + measure.per
    )
    return mayOthersHaveSent ? this.#waitForPart(sent, measure, now) : 0
  }

  /** Milliseconds until a request may be sent without Redis. Infinity: not before it is back. */
  waitWithout(sent: ReadonlyArray<Sent>, measure: Measure, outage: Outage, now: number): number {
    if (this.#since === undefined || this.#heardAt - this.#since < settled) return Infinity
    if (outage.at - this.#heardAt > fresh) return Infinity
    const still = Math.max(outage.at + Math.max(measure.per, fresh), this.#lostAt + measure.per) - now
    return still > 0 ? still : this.#waitForPart(sent, measure, now)
  }

  #waitForPart(sent: ReadonlyArray<Sent>, { per, requests }: Measure, now: number): number {
    const part = Math.floor(requests / this.#sharers)
    const mine = part > 0 ? part : this.#rank < requests ? 1 : 0
    if (mine === 0) return Infinity
    const before = sent.at(-mine)
    return before === undefined ? 0 : Math.max(0, before.at + per - now)
  }
}
