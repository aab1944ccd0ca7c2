import { Config } from "effect"

/** What stands for all values of a label beyond the first so many. */
export const otherLabel = "(other)"

/**
 * Values of one label of metrics, bounded: each value costs memory here and in whatever scrapes it, for ever. The first values
 * have their own series; later ones share one.
 */
export class BoundedLabels {
  readonly #known = new Set<string>()
  readonly #most: number
  constructor(most: number) {
    this.#most = most
  }
  of(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#most) return otherLabel
    this.#known.add(value)
    return value
  }
}

/** `TRIBUTARY_METRICS_VALUES`: how many authorizations, and how many connectors, have metrics of their own. Default: 500. */
export const mostLabels: Config.Config<number> = Config.Int("TRIBUTARY_METRICS_VALUES").pipe(Config.withDefault(500))
