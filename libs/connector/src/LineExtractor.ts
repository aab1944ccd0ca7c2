import { compilePlan, compileSelector, JsonSyntaxError, scan } from "@tributary/codec"
import { Effect } from "effect"
import { foundIn } from "./Found.ts"
import { BadRecords } from "./SourceError.ts"
import type { Extracted, Extractor, PartReader } from "./slots/index.ts"
import type { Answer } from "./Transport.ts"

/** A part has at least so many bytes, unless it is the last. */
export const partBytes = 4_194_304

const newline = 0x0a

const isBlank = (bytes: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) if (bytes[i]! > 0x20) return false
  return true
}

/** The records of lines of JSON: `selector` begins with `$[*]`, which is each line. */
export const lineExtractor = (selector: string, maxBytes: number): Extractor => {
  const records = compileSelector(`$${selector.replace(/^\$(\[\*\])?/u, "")}`)
  return {
    accept: "application/x-ndjson, application/jsonl, application/json",
    place: selector,
    open: () => () => Effect.die(new Error("Lines are read in parts.")),
    parts: ({ fields }) => {
      const plan = compilePlan({ records, fields, values: [] })
      return (): PartReader => {
        let chunks: Array<Buffer> = []
        let size = 0
        let lines = 0
        let isOver = false
        /** The lines of `body` as one part. */
        const part = (body: Buffer): Extracted => {
          const rows: Array<number> = []
          for (let start = 0; start < body.length;) {
            const found = body.indexOf(newline, start)
            const end = found < 0 ? body.length : found
            lines++
            if (!isBlank(body, start, end)) {
              try {
                const line = scan(body, plan, start, end)
                for (const place of line.rows) rows.push(place)
              } catch (error) {
                if (!(error instanceof JsonSyntaxError)) throw error
                // A last line that is cut off is a body that is cut off.
                if (error.atEnd && isOver && found < 0) throw new CutOff(`Line ${lines} breaks off.`)
                throw new BadPart(
                  `line ${lines} is not JSON: at byte ${error.offset - start} expected ${error.expected}`
                )
              }
            }
            start = end + 1
          }
          return { body, scan: { rows, stride: 2 + 2 * fields.length, values: [], mismatch: undefined } }
        }
        return {
          push: (chunk) => {
            const bytes = chunk === "file" ? Buffer.from("\n") : chunk
            chunks.push(bytes)
            size += bytes.length
          },
          end: () => {
            isOver = true
          },
          take: () => {
            if (size === 0 || (!isOver && size < partBytes)) return undefined
            const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)
            const end = isOver ? all.length : all.lastIndexOf(newline) + 1
            const rest = all.subarray(end)
            if (rest.length > maxBytes)
              throw new BadPart(`line ${lines + 1} has more than ${maxBytes} bytes (http.max_page_bytes)`)
            // The rest is copied, so that it does not hold on to the part.
            chunks = rest.length === 0 ? [] : [Buffer.from(rest)]
            size = rest.length
            return end === 0 ? undefined : part(all.subarray(0, end))
          }
        }
      }
    }
  }
}

/** The body is not what the format says. */
export class BadPart extends Error {
  override readonly name = "BadPart"
}

/** The body ends too early; it may be whole when it is asked for again. */
export class CutOff extends Error {
  override readonly name = "CutOff"
}

/** What a part's error means. */
export const badPart = ({ secrets, url }: Pick<Answer, "secrets" | "url">, cause: Error): BadRecords =>
  // It may quote the body, or the name of a file in it.
  new BadRecords({ url, problem: foundIn(Buffer.from(cause.message), secrets) })
