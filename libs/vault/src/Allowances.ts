/** What an API says is left of one of its limits. */
export interface Allowance {
  /** Tells the limits of one API from one another. */
  readonly name: string
  /** Requests that may still be sent before there are more. */
  readonly remaining: number
  /** Milliseconds until there are more. */
  readonly resetIn: number
}

/** How long one request after a reset is waited for, milliseconds, before the limit is forgotten. */
export const probeTime = 1000

/** Of so many limits is taken note, in case an API gives each answer another name. */
export const mostLimits = 32

interface Known {
  left: number
  /** Milliseconds since 1970. */
  until: number
  /** The limit was reset since, and what is left now is only known when the first answer comes. */
  isProbe: boolean
}

/**
 * What is left of the limits of one budget. A request is counted when it is sent and again by the API's own words, whichever is
 * less; so requests that are under way count too. After a reset one request goes first, and the others wait for what its answer
 * says (for a second at most): resets are told in whole seconds, and a burst that is early by half of one would be refused.
 */
export class Allowances {
  readonly #known = new Map<string, Known>()

  learn(allowances: ReadonlyArray<Allowance>, now: number): void {
    for (const { name, remaining, resetIn } of allowances) {
      const known = this.#known.get(name)
      if (known === undefined && this.#known.size >= mostLimits) continue
      const until = now + resetIn
      if (known === undefined || known.isProbe || now >= known.until) {
        this.#known.set(name, { left: remaining, until, isProbe: false })
      } else {
        known.left = Math.min(known.left, remaining)
        known.until = Math.min(known.until, until)
      }
    }
  }

  /** Counts a request, or gives the milliseconds to wait before it may be sent. */
  take(now: number): number {
    let wait = 0
    for (const [name, known] of this.#known) {
      if (now >= known.until) {
        if (known.isProbe) {
          this.#known.delete(name)
          continue
        }
        known.left = 1
        known.until = now + probeTime
        known.isProbe = true
      }
      if (known.left <= 0) wait = Math.max(wait, known.until - now)
    }
    if (wait > 0) return wait
    for (const known of this.#known.values()) known.left--
    return 0
  }
}
