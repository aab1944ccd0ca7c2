import { now } from "./time.ts"

/** What happens to a request besides being answered. */
export type Fault =
  | { readonly kind: "throttled"; readonly retryAfter: number }
  | { readonly kind: "error" }
  | { readonly kind: "cut"; readonly share: number }

export interface FaultSettings {
  readonly rateLimit: number
  readonly errorRate: number
  readonly dropRate: number
  readonly tokenErrorRate: number
  readonly seed: number
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
const random = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Decides which requests fail, and how. */
export const faults = (settings: FaultSettings) => {
  const api = random(settings.seed)
  const token = random(settings.seed + 1)
  let allowance = settings.rateLimit
  let last = now()
  return {
    forToken: (): Fault | undefined => (token() < settings.tokenErrorRate ? { kind: "error" } : undefined),
    forApi: (): Fault | undefined => {
      const at = now()
      allowance = Math.min(settings.rateLimit, allowance + (at - last) * settings.rateLimit)
      last = at
      if (settings.rateLimit > 0) {
        // Whole seconds, as the header has it, after which a full burst is allowed again.
        if (allowance < 1) return { kind: "throttled", retryAfter: 1 }
        allowance -= 1
      }
      const roll = api()
      if (roll < settings.errorRate) return { kind: "error" }
      if (roll < settings.errorRate + settings.dropRate) return { kind: "cut", share: api() < 0.5 ? 0 : 0.5 }
      return undefined
    }
  }
}
