/** One page of what a question found. */
export interface Part<A> {
  readonly items: ReadonlyArray<A>
  /** Names the next page; `undefined`: there is none. */
  readonly next: string | undefined
  /** How many there are before this page, and in all. */
  readonly offset: number
  readonly total: number
}

/** What APIs with opaque cursors keep: the result of each question, and how far it was read. A cursor may be used again. */
export class Walks<A> {
  readonly #results = new Map<string, ReadonlyArray<A>>()
  readonly #sign: string
  #count = 0

  /** `sign` makes the cursors of one API differ from those of another. */
  constructor(sign: string) {
    this.#sign = sign
  }

  begin(found: ReadonlyArray<A>, size: number): Part<A> {
    const walk = `${this.#sign}${++this.#count}`
    this.#results.set(walk, found)
    return this.#part(walk, 0, size)
  }

  /** The page that a cursor names; `undefined`: nobody knows it. */
  next(cursor: string, size: number): Part<A> | undefined {
    const [walk = "", offset = ""] = Buffer.from(cursor, "base64url").toString().split(":")
    return this.#results.has(walk) ? this.#part(walk, Number(offset), size) : undefined
  }

  #part(walk: string, offset: number, size: number): Part<A> {
    const found = this.#results.get(walk) ?? []
    const end = offset + size
    return {
      items: found.slice(offset, end),
      next: end < found.length ? Buffer.from(`${walk}:${end}`).toString("base64url") : undefined,
      offset,
      total: found.length
    }
  }
}
