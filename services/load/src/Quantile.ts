import type { Quantiles } from "./LoadResult.ts"

/** Borders of the histogram that is shown, milliseconds. */
const bounds = [
  50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000,
  120_000, 300_000
]
const step = Math.log(1.01)

/** Counts times (milliseconds) so finely that quantiles are right to one percent, in memory that does not grow. */
export class QuantileCounter {
  readonly #fine = new Float64Array(2_200)
  readonly #shown = new Float64Array(bounds.length + 1)
  #count = 0
  #longest = 0

  add(millis: number): void {
    const value = Math.max(0, millis)
    const bin = Math.min(this.#fine.length - 1, Math.floor(Math.log1p(value) / step))
    this.#fine[bin] = this.#fine[bin]! + 1
    let shown = 0
    while (shown < bounds.length && value >= bounds[shown]!) shown++
    this.#shown[shown] = this.#shown[shown]! + 1
    this.#count++
    if (value > this.#longest) this.#longest = value
  }

  get count(): number {
    return this.#count
  }

  /** The smallest time that a share of all is not above. */
  quantile(share: number): number {
    const wanted = Math.ceil(share * this.#count)
    let passed = 0
    for (let bin = 0; bin < this.#fine.length; bin++) {
      passed += this.#fine[bin]!
      if (passed >= wanted && passed > 0) return Math.min(this.#longest, Math.round(Math.expm1((bin + 1) * step)))
    }
    return this.#longest
  }

  result(): Quantiles {
    return {
      count: this.#count,
      p50: this.quantile(0.5),
      p95: this.quantile(0.95),
      p99: this.quantile(0.99),
      longest: Math.round(this.#longest),
      bounds,
      histogram: [...this.#shown]
    }
  }
}
