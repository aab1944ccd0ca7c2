import type { Incremental } from "@tributary/domain"
import { Duration } from "effect"
import { floorTo } from "./Calendar.ts"
import { DigestSet, encodeDigests } from "./Digest.ts"
import { isAfter, lookBack, type Mark, readMark } from "./Mark.ts"
import { timeFormat } from "./TimeFormat.ts"

/**
 * Most digests that a checkpoint keeps. If more records than this stand between the value to read from and the highest value,
 * the oldest of them are published again by the next walk; the newest 4096 are not.
 */
export const largestWindow = 4096

type WindowSettings = Pick<Incremental, "type" | "format" | "param_format" | "clamp" | "lookback" | "window">

/** The same where `incremental.window` asks for more; a checkpoint then has about 350 kB for each of its two sets. */
const largestAskedWindow = 32_768

/** Most digests that a stream's checkpoint keeps. */
export const windowSize = ({ window }: Pick<Incremental, "window">): number =>
  window === undefined ? largestWindow : largestAskedWindow

/**
 * The records of a walk that the next walk may meet again: those at or after the highest value less the lookback. Knows them
 * by their digests, so that nothing of a page has to be kept.
 */
export class Window {
  readonly #incremental: WindowSettings
  readonly #size: number
  #highest: Mark | undefined
  #bound: number = Number.NEGATIVE_INFINITY
  /** Of each record its value, or -Infinity if it stays whatever the bound and goes first when there are too many. */
  #orders: Array<number> = []
  #halves: Array<number> = []

  constructor(incremental: WindowSettings, highest: Mark | undefined, met: string | undefined) {
    this.#incremental = incremental
    this.#size = windowSize(incremental)
    if (highest !== undefined) this.raise(highest)
    for (const [high, low] of DigestSet.decode(met)) this.add(Number.NEGATIVE_INFINITY, high, low)
  }

  get highest(): Mark | undefined {
    return this.#highest
  }

  /** Takes note of a value; the bound moves with the highest. */
  raise(mark: Mark): void {
    if (this.#highest !== undefined && !isAfter(mark, this.#highest)) return
    this.#highest = mark
    // What the next walk will ask for counts, not the lookback: cut to the value's digits it may be earlier.
    const { lookback, window = lookback } = this.#incremental
    const text = lookBack(mark, { ...this.#incremental, lookback: Duration.max(lookback, window) })
    const from = readMark(text, this.#incremental)
    this.#bound = from === undefined ? Number.NEGATIVE_INFINITY : this.#asSent(Number(from.order))
  }

  /** The time as it is sent: a form without seconds, or windows that begin with days, make it earlier. */
  #asSent(order: number): number {
    const { clamp, param_format: format, type } = this.#incremental
    if (type === "number") return order
    const from = clamp === undefined ? order : floorTo(clamp, order)
    if (format === undefined) return from
    const form = timeFormat(format)
    return Math.min(from, form.read(form.write(from))?.millis ?? from)
  }

  /** Whether the next walk may meet a record with this value again. */
  includes(order: number | bigint): boolean {
    return Number(order) >= this.#bound
  }

  add(order: number, high: number, low: number): void {
    this.#orders.push(order)
    this.#halves.push(high, low)
    if (this.#orders.length > 4 * this.#size) this.#prune()
  }

  #prune(): void {
    const orders = this.#orders
    const halves = this.#halves
    let kept: Array<number> = []
    let isAscending = true
    let last = Number.NEGATIVE_INFINITY
    for (let i = 0; i < orders.length; i++) {
      const order = orders[i]!
      if (order < this.#bound && order !== Number.NEGATIVE_INFINITY) continue
      kept.push(i)
      if (order < last) isAscending = false
      last = order
    }
    if (kept.length > this.#size) {
      // Most feeds ascend, which spares the sorting. Of equal values those that were met later come first.
      if (isAscending) kept = kept.slice(-this.#size)
      else {
        kept.sort((a, b) => (orders[a] === orders[b] ? b - a : orders[a]! < orders[b]! ? 1 : -1))
        kept.length = this.#size
      }
    }
    if (kept.length === orders.length) return
    const keptOrders: Array<number> = []
    const keptHalves: Array<number> = []
    for (const i of kept) {
      keptOrders.push(orders[i]!)
      keptHalves.push(halves[2 * i]!, halves[2 * i + 1]!)
    }
    this.#orders = keptOrders
    this.#halves = keptHalves
  }

  /** The digests for a checkpoint; `undefined` for none. */
  encode(): string | undefined {
    this.#prune()
    return this.#halves.length === 0 ? undefined : encodeDigests(this.#halves)
  }
}
