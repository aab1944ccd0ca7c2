import { seeded } from "@tributary/testkit"

/** What goes wrong with a request. */
export type FaultKind =
  /** The API's own 5xx. */
  | "broken"
  /** The API's own "too many requests". */
  | "throttled"
  /** The connection breaks before an answer. */
  | "dropped"
  /** The connection breaks in the middle of the body. */
  | "cut"
  /** The body comes in pieces. */
  | "slow"
  /** All access tokens that are out are withdrawn. */
  | "withdrawn"

/** At most so many requests in a row go wrong. */
const mostInRow = 2
/** So many requests are between two withdrawals at least: a new token that is refused too is taken for a wrong setting. */
const betweenWithdrawals = 12

/** Decides which requests go wrong, the same ones in each run: every kind in turn, in an order of chance. */
export class Faults {
  readonly counts = new Map<FaultKind, number>()
  readonly #chance: ReturnType<typeof seeded>
  readonly #kinds: ReadonlyArray<FaultKind>
  #queue: Array<FaultKind> = []
  #inRow = 0
  #requests = 0
  #withdrawn = -betweenWithdrawals
  readonly #isOn: boolean

  /** Without a seed nothing goes wrong. */
  constructor(seed: number | undefined, kinds: ReadonlyArray<FaultKind>) {
    this.#isOn = seed !== undefined
    this.#chance = seeded(seed ?? 0)
    this.#kinds = kinds
  }

  next(): FaultKind | undefined {
    this.#requests++
    // Short walks are to meet each kind too.
    const share = this.counts.size < this.#kinds.length ? 0.9 : 0.3
    if (!this.#isOn || this.#inRow >= mostInRow || this.#chance.next() > share) {
      this.#inRow = 0
      return undefined
    }
    if (this.#queue.length === 0) this.#queue = [...this.#kinds]
    const kind = this.#chance.pick(this.#queue)
    this.#queue.splice(this.#queue.indexOf(kind), 1)
    if (kind === "withdrawn") {
      if (this.#requests - this.#withdrawn < betweenWithdrawals) return undefined
      this.#withdrawn = this.#requests
    }
    this.#inRow++
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    return kind
  }
}
