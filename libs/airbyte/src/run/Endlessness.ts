import { createHash } from "node:crypto"
import { writeJson } from "../component/jsonText.ts"
import { failure, type RunError } from "../component/RunError.ts"
import type { PlainDict } from "../expression/Value.ts"
import type { RetrievedPage } from "./Parts.ts"

/** Most pages of one slice: an API that never ends must not keep the run for ever. */
const mostPages = 1_000_000
/** So often in a row one position may have the same records. */
const mostSame = 1
/** So often in a row one position may have the same answer without records: some APIs are asked so until they have some. */
const mostEmpty = 1000
/** So many pages in a row may have the same records, each at a position of its own. */
const mostAlike = 100

const shortOf = (parts: Iterable<string | Buffer>): string => {
  const hash = createHash("sha1")
  for (const part of parts) hash.update(part)
  return hash.digest("base64")
}

/** A page in short: of the answers, as records may hold the time at which they were read. */
const pageShort = ({ answers, records }: RetrievedPage): string =>
  shortOf(answers ?? records.map(({ data }) => writeJson(data)))

/**
 * Sees that a walk through a slice's pages does not come forward. Cursors that stay the same while the API goes on (scrolls,
 * queues) are no such walk: their answers differ.
 */
export class Endlessness {
  readonly #name: string
  readonly #positions = new Set<string>()
  /** Positions that came more than once: the answer, and how often it has been the same since. */
  readonly #again = new Map<string, { readonly page: string; readonly times: number }>()
  #pages = 0
  #last = ""
  #alike = 0

  /** `name` is the stream's. */
  constructor(name: string) {
    this.#name = name
  }

  /** Takes the page at `position`; what is wrong with going on from it. */
  check(position: PlainDict | undefined, page: RetrievedPage): RunError | undefined {
    const endless = (why: string) =>
      failure(
        `Stream ${this.#name}: its pagination does not end: ${why}. Correct the paginator: where its value is found in the answer, into which parameter it goes, and its stop condition.`
      )
    this.#pages++
    if (this.#pages >= mostPages) return endless(`it has more than ${mostPages} pages`)
    const isEmpty = page.records.length === 0
    const short = pageShort(page)
    this.#alike = short === this.#last && !isEmpty ? this.#alike + 1 : 0
    this.#last = short
    if (this.#alike >= mostAlike) {
      return endless(`the API has answered ${mostAlike + 1} requests in a row with the same records`)
    }
    const at = shortOf([position === undefined ? "" : writeJson(position)])
    if (!this.#positions.has(at)) {
      this.#positions.add(at)
      return undefined
    }
    const before = this.#again.get(at)
    const times = before?.page === short ? before.times + 1 : 0
    this.#again.set(at, { page: short, times })
    return times >= (isEmpty ? mostEmpty : mostSame)
      ? endless(`after page ${this.#pages} it is at a page that was read before, and the answer is the same`)
      : undefined
  }
}
