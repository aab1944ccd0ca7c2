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

/** Sees that a walk comes forward: no position twice, and no page with the same records as the one before it. */
export class Progress {
  readonly #positions = new DigestSet()
  readonly #mostPages: number
  #last = ""
  #lastPosition: string | undefined

  constructor(mostPages: number) {
    this.#mostPages = mostPages
  }

  /**
   * What is to be said of going on to `next` after a page, the walk's number `page`. `over`: the page names itself and has nothing,
   * so the walk is at its end. `repeated`: the same, and its records were read just before.
   */
  check(next: Position, view: PageView, page: number): CursorRepeated | "over" | "repeated" | undefined {
    const { answer, extracted, position } = view
    const repeated = (problem: string) => new CursorRepeated({ url: answer.url, page, problem })
    if (page + 1 >= this.#mostPages) {
      return repeated(`the end is not reached, and http.max_pages allows no more.`)
    }
    const current = digestOfPage(extracted)
    const last = this.#last
    const lastPosition = this.#lastPosition
    this.#last = current
    this.#lastPosition = JSON.stringify(position)
    if ("cursor" in next || "url" in next || "token" in next) {
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
    return current !== "" && current === last
      ? repeated("the API answered with the same records again; it may not know the page parameter.")
      : undefined
  }
}
