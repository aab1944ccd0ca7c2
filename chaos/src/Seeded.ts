/** Numbers that follow from a seed alone (mulberry32, by Tommy Ettinger): the same seed gives the same run of them. */
export class Seeded {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 up to, but not, 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from `low` up to, but not, `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low))
  }

  /** The items in another order. */
  shuffle<A>(items: ReadonlyArray<A>): Array<A> {
    const left = [...items]
    const shuffled: Array<A> = []
    while (left.length > 0) shuffled.push(...left.splice(this.between(0, left.length), 1))
    return shuffled
  }
}

/** Hands out items in an order of chance, each as often as it is in the deck before any comes again. */
export class Deck<A> {
  readonly #seeded: Seeded
  readonly #items: ReadonlyArray<A>
  #left: Array<A> = []

  constructor(seeded: Seeded, items: ReadonlyArray<A>) {
    this.#seeded = seeded
    this.#items = items
  }

  /** The next item that fits; `undefined` when none of the whole deck does. */
  draw(fits: (item: A) => boolean = () => true): A | undefined {
    if (!this.#left.some(fits)) this.#left = [...this.#left, ...this.#seeded.shuffle(this.#items)]
    const at = this.#left.findIndex(fits)
    return at < 0 ? undefined : this.#left.splice(at, 1)[0]
  }
}
