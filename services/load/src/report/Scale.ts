/** Drawings are `span` units wide and high; the browser stretches them. */
export const span = 1000

/** From a value to its place in a drawing, 0 to `span`. Values outside the domain are put on its edge. */
export type Scale = (value: number) => number

const clamp = (share: number): number => (share > 0 ? Math.min(1, share) : 0)

/** Straight scale from `low` to `high`. */
export const linear =
  (low: number, high: number): Scale =>
  (value) =>
    high > low ? clamp((value - low) / (high - low)) * span : span / 2

/** Scale by powers, for a domain above zero. */
export const logarithmic = (low: number, high: number): Scale => {
  const straight = linear(Math.log(low), Math.log(high))
  return (value) => (value > 0 ? straight(Math.log(value)) : 0)
}

/** The same scale upwards: drawings count from the top. */
export const upward =
  (scale: Scale): Scale =>
  (value) =>
    span - scale(value)

/** Beyond these, sums and differences of doubles overflow or vanish. */
const largest = 1e18
const smallestSpan = 1e-9

const within = (value: number): number => (Number.isFinite(value) ? Math.max(-largest, Math.min(largest, value)) : 0)

/** The least step of 1, 2 or 5 times a power of ten that is not below `least`. */
export const decimalStep = (least: number): number => {
  const power = 10 ** Math.floor(Math.log10(least))
  for (const factor of [1, 2, 5]) if (power * factor >= least) return power * factor
  return power * 10
}

/** The least power of two that is not below `least`: for bytes. */
export const binaryStep = (least: number): number => 2 ** Math.ceil(Math.log2(least))

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const timeSteps = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour)
]

/** The least step, in milliseconds, that is round to a reader of clocks and not below `least`. */
export const timeStep = (least: number): number => {
  if (least <= second / 2) return decimalStep(least)
  for (const step of timeSteps) if (step >= least) return step
  return decimalStep(least / day) * day
}

/**
 * Round values, about `wanted` of them, evenly apart, that cover the domain: the first is not above `low`, the last not
 * below `high`. What is not finite counts as 0, and a domain without extent is widened upwards.
 */
export const coveringTicks = (
  low: number,
  high: number,
  wanted: number,
  step: (least: number) => number = decimalStep
): ReadonlyArray<number> => {
  const from = Math.min(within(low), within(high))
  const least = Math.max(smallestSpan, Math.abs(from) * smallestSpan)
  let to = Math.max(within(low), within(high))
  if (to - from < least) to = from + Math.max(least, Math.abs(from), from === 0 ? 1 : 0)
  const distance = step((to - from) / Math.max(1, wanted))
  // Divisions round, so the first and the last are found by what they multiply to.
  let first = Math.floor(from / distance)
  while (first * distance > from) first--
  const ticks = [first]
  for (let k = first + 1; ticks.length < 2 || (k - 1) * distance < to; k++) ticks.push(k)
  return ticks.map((k) => k * distance)
}

/** The ticks that lie in the domain: for an axis that ends where its data ends. */
export const innerTicks = (
  low: number,
  high: number,
  wanted: number,
  step: (least: number) => number = decimalStep
): ReadonlyArray<number> => {
  const ticks = coveringTicks(low, high, wanted, step)
  const inside = ticks.filter((tick) => tick >= low && tick <= high)
  return inside.length > 0 ? inside : ticks.slice(0, 1)
}

const roundTimes = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .concat([1, 2, 5, 10, 20, 30].map((n) => n * second))
  .concat([1, 2, 5, 10, 20, 30].map((n) => n * minute))
  .concat([1, 2, 5, 10].map((n) => n * hour))
/** One in each decade, or near it. */
const decadeTimes = [1, 10, 100, second, 10 * second, minute, 10 * minute, hour, 10 * hour]

/**
 * Ticks for a scale of durations (milliseconds) by powers: round times that lie in the domain, one a decade where that is
 * enough. Below a millisecond and above half a day: powers of ten.
 */
export const powerTicks = (low: number, high: number): ReadonlyArray<number> => {
  const isWide = high / low > 300
  const first = Math.floor(Math.log10(Math.max(low, 1e-9)))
  const last = Math.ceil(Math.log10(Math.min(high, largest)))
  const ticks = isWide ? [...decadeTimes] : [...roundTimes]
  for (let power = first; power <= last; power++) {
    const tick = 10 ** power
    if (tick < 1 || tick > 12 * hour) ticks.push(tick)
    if (!isWide && (tick < 1 || tick >= 12 * hour)) ticks.push(2 * tick, 5 * tick)
  }
  return ticks.filter((tick) => tick >= low && tick <= high).sort((a, b) => a - b)
}
