import type { Position } from "./Checkpoint.ts"
import { digest, digested, DigestSet } from "./Digest.ts"
import type { Extracted, PageView } from "./slots/index.ts"
import { CursorRepeated } from "./SourceError.ts"

const digestOf = (text: string): readonly [number, number] => {
  const bytes = Buffer.from(text)
  digest(bytes, 0, bytes.length)
  return [digested.high, digested.low]
}

/** First and last record stand for the page, so that this costs the same for every size. */
const digestOfPage = ({ body, scan: { rows, stride } }: Extracted): string => {
  if (rows.length === 0) return ""
  digest(body, rows[0]!, rows[1]!)
  const first = `${digested.high} ${digested.low}`
  digest(body, rows[rows.length - stride]!, rows[rows.length - stride + 1]!)
  return `${rows.length} ${first} ${digested.high} ${digested.low}`
}

/** The page before a position: what tells its records, and whether it was at that position itself. */
export interface PageBefore {
  readonly digest: string
  readonly own?: boolean
}

const isCounted = (position: Position): boolean => "page" in position || "offset" in position

/** Sees that a walk comes forward: no position twice, and no page with the same records as the one before it. */
export class Progress {
  readonly #positions = new DigestSet()
  readonly #mostPages: number
  #last = ""
  #lastPosition: string | undefined
  /** The page was asked for once more. */
  #isAsked = false
  /** Pages in a row, by their numbers, that had the records of the one before. */
  #same = 0

  /** `from`: where a walk goes on after a restart, so that a page that repeats itself is known then, too. */
  constructor(mostPages: number, from?: { readonly position?: Position; readonly before?: PageBefore }) {
    this.#mostPages = mostPages
    if (from?.position === undefined || from.before === undefined) return
    this.#last = from.before.digest
    if (from.before.own === true) this.#lastPosition = JSON.stringify(from.position)
  }

  /** What a checkpoint keeps of the page before a position. */
  before(position: Position | undefined): PageBefore | undefined {
    if (position === undefined || this.#last === "" || isCounted(position)) return undefined
    return this.#lastPosition === JSON.stringify(position) ? { digest: this.#last, own: true } : { digest: this.#last }
  }

  /** Whether a page that comes in parts is the one before it, which named its own position, and repeats itself. */
  isOwn({ position, start }: PageView): boolean {
    if (position === undefined || start === undefined || start === "" || isCounted(position)) return false
    return this.#last === start && this.#lastPosition === JSON.stringify(position)
  }

  /**
   * What is to be said of going on to `next` after a page, the walk's number `page`. `over`: the page names itself and has nothing,
   * so the walk is at its end. `repeated`: the same, and its records were read just before. `again`: it has the records of the page
   * before it, so it is to be asked for once more.
   */
  check(next: Position, view: PageView, page: number): CursorRepeated | "again" | "over" | "repeated" | undefined {
    const { answer, extracted, position, start } = view
    const repeated = (problem: string) => new CursorRepeated({ url: answer.url, page, problem })
    if (page + 1 >= this.#mostPages) {
      return repeated(`the end is not reached, and http.max_pages allows no more.`)
    }
    const counted = isCounted(next)
    // Where a body in parts ends one part and begins another is chance.
    const current = counted ? digestOfPage(extracted) : (start ?? digestOfPage(extracted))
    const last = this.#last
    if (counted && current !== "" && current === last && !this.#isAsked) {
      this.#isAsked = true
      return "again"
    }
    this.#isAsked = false
    const lastPosition = this.#lastPosition
    this.#last = current
    this.#lastPosition = JSON.stringify(position)
    if (!counted) {
      const text = JSON.stringify(next)
      if (text === this.#lastPosition) {
        // The last page of some feeds names its own cursor, for what may come later.
        if (current === "") return "over"
        if (current !== last) return undefined
        return lastPosition === text
          ? "repeated"
          : repeated("the API answered with the same records again; it may not know the cursor.")
      }
      const [high, low] = digestOf(text)
      if (this.#positions.has(high, low)) {
        return repeated("the API names a next page that was read before.")
      }
      this.#positions.add(high, low)
      return undefined
    }
    // So it looks too, once, when as many records as a page has have come before those that were read.
    this.#same = current !== "" && current === last ? this.#same + 1 : 0
    return this.#same > 1
      ? repeated("the API answered with the same records again and again; it may not know the page parameter.")
      : undefined
  }
}
