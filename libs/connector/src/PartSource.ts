import type { Readable } from "node:stream"
import { Effect } from "effect"
import { digest, digested } from "./Digest.ts"
import { type Limits, reasonOf } from "./Exchange.ts"
import { badPart, BadPart, CutOff } from "./LineExtractor.ts"
import type { Extracted, PartReader } from "./slots/index.ts"
import { BadCharset, type SourceReason, TooLarge, TruncatedJson } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

/** How far a body was read: the number of its records, and the digest of the last of them. */
export interface ReadSoFar {
  readonly records: number
  readonly digest: string
}

const nothing: Extracted = { body: Buffer.alloc(0), scan: { rows: [], stride: 2, values: [], mismatch: undefined } }

/** So many records at its beginning tell a body from another one. */
const startRecords = 16

const digestOf = ({ body, scan: { rows } }: Extracted, row: number): string => {
  digest(body, rows[row]!, rows[row + 1]!)
  return `${digested.high} ${digested.low}`
}

/** The parts of one body, one after the other. */
export class PartSource {
  readonly #answer: Answer
  readonly #stream: Readable
  readonly #iterator: AsyncIterator<unknown>
  readonly #reader: PartReader
  readonly #limits: Limits
  #isOver = false
  #bytes = 0
  #records = 0
  #digest = ""
  #start = ""
  #last: Buffer | undefined

  constructor(answer: Answer, stream: Readable, reader: PartReader, limits: Limits) {
    this.#answer = answer
    this.#stream = stream
    this.#iterator = stream[Symbol.asyncIterator]()
    this.#reader = reader
    this.#limits = limits
  }

  get answer(): Answer {
    return this.#answer
  }
  get soFar(): ReadSoFar {
    return { records: this.#records, digest: this.#digest }
  }
  /** What tells the body's first records; empty while none came. */
  get start(): string {
    return this.#start
  }
  /** Bytes of the last record so far. */
  get last(): Buffer | undefined {
    return this.#last
  }
  get isOver(): boolean {
    return this.#isOver
  }
  close(): void {
    this.#stream.destroy()
  }

  /** The next part, with `isOver` afterwards if it is the last (which may be empty). */
  readonly next: Effect.Effect<Extracted, SourceReason> = Effect.suspend(() =>
    Effect.tryPromise({ try: () => this.#pull(), catch: (error) => this.#reason(error) })
  )

  /** Passes over what was read before. `false`: the body is another one now, so it has to be read from its beginning. */
  readonly skip = (before: ReadSoFar): Effect.Effect<Extracted | undefined, SourceReason> =>
    Effect.gen({ self: this }, function* () {
      for (;;) {
        const part = yield* this.next
        const { rows, stride } = part.scan
        if (this.#records < before.records) {
          if (this.#isOver) return undefined
          continue
        }
        const start = this.#records - rows.length / stride
        const first = before.records - start
        if (first > 0 && digestOf(part, (first - 1) * stride) !== before.digest) return undefined
        return { body: part.body, scan: { ...part.scan, rows: rows.slice(first * stride) } }
      }
    })

  async #pull(): Promise<Extracted> {
    for (;;) {
      const part = this.#reader.take()
      if (part !== undefined) return this.#count(part)
      if (this.#isOver) return nothing
      const chunk = await this.#iterator.next()
      if (chunk.done === true) {
        await this.#reader.end()
        const last = this.#reader.take()
        this.#isOver = true
        return last === undefined ? nothing : this.#count(last)
      }
      if (!(chunk.value instanceof Buffer)) continue
      this.#bytes += chunk.value.length
      await this.#reader.push(chunk.value)
    }
  }

  #count(part: Extracted): Extracted {
    const { rows, stride } = part.scan
    if (rows.length > 0) {
      if (this.#records === 0) {
        digest(part.body, rows[0]!, rows[Math.min(rows.length, startRecords * stride) - stride + 1]!)
        this.#start = `start ${digested.high} ${digested.low}`
      }
      this.#records += rows.length / stride
      this.#digest = digestOf(part, rows.length - stride)
      // A copy: it outlives the part, of which it is little.
      this.#last = Buffer.from(part.body.subarray(rows[rows.length - stride], rows[rows.length - stride + 1]))
    }
    return part
  }

  #reason(error: unknown): SourceReason {
    const { url } = this.#answer
    this.close()
    if (error instanceof BadCharset) return error
    if (error instanceof BadPart) return badPart(this.#answer, error)
    if (error instanceof CutOff) return new TruncatedJson({ url, bytes: this.#bytes, problem: error.message })
    if (error instanceof RangeError) {
      return new TooLarge({ url, limit: this.#limits.max_page_bytes, bytes: this.#bytes })
    }
    return reasonOf(error, url, this.#limits, this.#bytes)
  }
}
