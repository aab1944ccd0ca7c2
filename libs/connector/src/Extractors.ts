import type { SourceStream } from "@tributary/domain"
import { inCharset } from "./Charset.ts"
import { csvExtractor } from "./CsvExtractor.ts"
import { jsonExtractor } from "./JsonExtractor.ts"
import { lineExtractor } from "./LineExtractor.ts"
import type { Extractor } from "./slots/index.ts"
import { unpacked } from "./Unpack.ts"
import { xmlExtractor } from "./XmlExtractor.ts"

const plainCsv = { delimiter: ",", quote: '"', skip: 0 } as const

/** The extractor of a stream's `format`, `records`, `charset` and `unpack`. */
export const extractorOf = (stream: SourceStream, maxBytes: number): Extractor => {
  const { format, records } = stream
  const read =
    format === "csv"
      ? csvExtractor(stream.csv ?? plainCsv, maxBytes)
      : format === "ndjson"
        ? lineExtractor(records, maxBytes)
        : format === "xml"
          ? xmlExtractor(records)
          : jsonExtractor(records)
  const extractor = inCharset(read, stream.charset, format === "xml")
  return stream.unpack === undefined ? extractor : unpacked(extractor, stream.unpack, maxBytes)
}
