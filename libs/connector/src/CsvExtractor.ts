import { parse } from "csv-parse"
import type { Csv } from "@tributary/domain"
import { Effect } from "effect"
import { BadPart, CutOff, partBytes } from "./LineExtractor.ts"
import { extractedFrom } from "./MadeRecords.ts"
import type { Extractor, PartReader } from "./slots/index.ts"

const isRow = (value: unknown): value is ReadonlyArray<string> => Array.isArray(value)

/** Rows as objects of texts: CSV knows no other type. */
export const csvExtractor = (csv: Csv, maxBytes: number): Extractor => ({
  accept: "text/csv, */*;q=0.5",
  place: "the rows",
  open: () => () => Effect.die(new Error("CSV is read in parts.")),
  parts: (plan) => {
    const extracted = extractedFrom(plan)
    return (): PartReader => {
      let texts: Array<string> = []
      let size = 0
      let isOver = false
      let names: ReadonlyArray<string> | undefined
      let problem: Error | undefined
      const fail = (error: Error & { readonly code?: string }) => {
        problem ??=
          error.code === "CSV_QUOTE_NOT_CLOSED"
            ? new CutOff("A quoted value is not closed.")
            : new BadPart(`the CSV cannot be read: ${error.message.replace(/\.$/u, "")}`)
      }
      const open = () => {
        names = csv.columns
        const parser = parse({
          delimiter: csv.delimiter,
          quote: csv.quote,
          bom: true,
          from_line: csv.skip + 1,
          skip_empty_lines: true,
          relax_column_count: true,
          max_record_size: maxBytes
        })
        parser.on("error", fail)
        return parser
      }
      let parser = open()
      const take = () => {
        for (let row: unknown = parser.read(); row !== null; row = parser.read()) {
          if (!isRow(row)) continue
          if (names === undefined) {
            names = row
            continue
          }
          const known = names
          if (row.length !== known.length) {
            problem ??= new BadPart(
              `row ${texts.length + 1} of a part has ${row.length} values, but there are ${known.length} columns (${known.slice(0, 5).join(", ")})`
            )
            return
          }
          const text = JSON.stringify(Object.fromEntries(known.map((name, index) => [name, row[index]])))
          texts.push(text)
          size += text.length
        }
      }
      const ended = () =>
        new Promise<void>((resolve) => {
          parser.once("end", resolve)
          parser.once("error", () => resolve())
          parser.end()
          // What is left is only given out while it is read.
          parser.on("readable", take)
          take()
        })
      const check = () => {
        if (problem !== undefined) throw problem
      }
      return {
        push: async (chunk) => {
          if (chunk === "file") {
            await ended()
            check()
            parser = open()
            return
          }
          await new Promise<void>((resolve) => {
            parser.write(chunk, () => resolve())
            // The parser waits when nobody reads.
            take()
          })
          take()
          check()
        },
        end: async () => {
          await ended()
          check()
          isOver = true
        },
        take: () => {
          if (texts.length === 0 || (!isOver && size < partBytes)) return undefined
          const part = extracted(texts)
          texts = []
          size = 0
          return part
        }
      }
    }
  }
})
