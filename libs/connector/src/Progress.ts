import type { Position } from "./Checkpoint.ts"
import { digest, digested, DigestSet } from "./Digest.ts"
import type { PageView } from "./slots/index.ts"
import { CursorRepeated } from "./SourceError.ts"

/** A walk of more pages than this does not come to an end by itself. */
const mostPages = 1_000_000

const digestOf = (text: string): readonly [number, number] => {
  const bytes = Buffer.from(text)
  digest(bytes, 0, bytes.length)
  return [digested.high, digested.low]
}

/** Sees that a walk comes forward: no position twice, and no page with the same records as the one before it. */
export class Progress {
  readonly #positions = new DigestSet()
  #last = ""

  /** What is wrong with going on to `next` after a page, if anything. */
  check(next: Position, { answer: { url }, extracted }: PageView, page: number): CursorRepeated | undefined {
    const {
      body,
      scan: { rows, stride }
    } = extracted
    const repeated = (problem: string) => new CursorRepeated({ url, page, problem })
    if (page + 1 >= mostPages) return repeated(`the end is not reached.`)
    if ("cursor" in next || "url" in next || "token" in next) {
      const [high, low] = digestOf(JSON.stringify(next))
      if (this.#positions.has(high, low)) {
        return repeated("the API names a next page that was read before.")
      }
      this.#positions.add(high, low)
      return undefined
    }
    if (rows.length === 0) return undefined
    // First and last record stand for the page, so that this costs the same for every size.
    digest(body, rows[0]!, rows[1]!)
    const first = `${digested.high} ${digested.low}`
    digest(body, rows[rows.length - stride]!, rows[rows.length - stride + 1]!)
    const current = `${rows.length} ${first} ${digested.high} ${digested.low}`
    if (current === this.#last) {
      return repeated("the API answered with the same records again; it may not know the page parameter.")
    }
    this.#last = current
    return undefined
  }
}
