import { gunzipSync, gzipSync } from "node:zlib"
import type { FailureClass } from "@tributary/domain"
import { Effect, Result, Schema } from "effect"

/** The bytes of a body: text, or base64 of what is no text; long ones packed (base64 of gzip). */
const Body = Schema.Union([
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({ base64: Schema.String }),
  Schema.Struct({ gzip: Schema.String }),
  /** It could not be kept: its bytes, and why. */
  Schema.Struct({ omitted: Schema.Natural, why: Schema.String })
])
export type CassetteBody = typeof Body.Type

const Fields = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)]))

/** The first line. */
const Head = Schema.Struct({
  cassette: Schema.Literal(1),
  connector: Schema.String,
  /** RFC 3339. */
  recordedAt: Schema.String,
  /** What stands for each reference of the connector's file. */
  references: Schema.Record(Schema.String, Schema.String)
})
/** A walk over a stream begins, at this time in milliseconds since 1970. */
const WalkLine = Schema.Struct({ walk: Schema.String, startedAt: Schema.Finite })
const ExchangeLine = Schema.Struct({
  stream: Schema.String,
  request: Schema.Struct({
    method: Schema.String,
    url: Schema.String,
    headers: Fields,
    body: Schema.optionalKey(Body)
  }),
  answer: Schema.Struct({
    status: Schema.Int,
    headers: Fields,
    body: Schema.optionalKey(Body),
    /** It was not the API's: the recording had enough. */
    made: Schema.optionalKey(Schema.Literal(true))
  })
})
const Line = Schema.Union([Head, WalkLine, ExchangeLine])
export type CassetteLine = typeof Line.Type
export type RecordedExchange = typeof ExchangeLine.Type

/** What a cassette holds. */
export interface Cassette {
  /** File that it was read from. */
  readonly file: string
  readonly connector: string
  readonly recordedAt: string
  readonly references: Readonly<Record<string, string>>
  /** When the walks over a stream began, in their order: of one that is a parent of others too, several. */
  readonly walks: ReadonlyMap<string, ReadonlyArray<number>>
  readonly exchanges: ReadonlyArray<RecordedExchange & { readonly line: number }>
}

/** A text that is no cassette. */
export class BadCassette extends Schema.TaggedError<BadCassette>()("BadCassette", {
  file: Schema.String,
  line: Schema.Natural,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.file}:${this.line} is no line of a cassette: ${this.problem} Record it again with: tributary record`
  }
}

const packedFrom = 4_096

/** Writes a body down. */
export const writeBody = (bytes: Buffer): CassetteBody | undefined => {
  if (bytes.length === 0) return undefined
  if (bytes.length >= packedFrom) return { gzip: gzipSync(bytes).toString("base64") }
  const text = bytes.toString("utf8")
  return Buffer.from(text).equals(bytes) ? { text } : { base64: bytes.toString("base64") }
}

/** The bytes of a body that was kept. */
export const readBody = (body: Exclude<CassetteBody, { omitted: number }> | undefined): Buffer => {
  if (body === undefined) return Buffer.alloc(0)
  if ("text" in body) return Buffer.from(body.text)
  return "base64" in body ? Buffer.from(body.base64, "base64") : gunzipSync(Buffer.from(body.gzip, "base64"))
}

const encodeLine = Schema.encodeSync(Schema.fromJsonString(Line))
const readLine = Schema.decodeUnknownResult(Schema.fromJsonString(Line))

/** A line that was written here. */
export const decodeLine = Schema.decodeSync(Schema.fromJsonString(Line))

/** A line of the file, with its line break. */
export const writeLine = (line: CassetteLine): string => `${encodeLine(line)}\n`

/** Reads a cassette; `file` names it in errors. */
export const readCassette = Effect.fnUntraced(function* (
  text: string,
  file: string
): Effect.fn.Return<Cassette, BadCassette> {
  let head: typeof Head.Type | undefined
  const walks = new Map<string, ReadonlyArray<number>>()
  const exchanges: Array<Cassette["exchanges"][number]> = []
  let number = 0
  for (const line of text.split("\n")) {
    number++
    if (line.trim() === "") continue
    const read = readLine(line)
    const bad = (problem: string) => new BadCassette({ file, line: number, problem })
    if (Result.isFailure(read)) return yield* bad("expected a head, a walk or an exchange, as JSON.")
    const found = read.success
    if ("cassette" in found) {
      if (head !== undefined) return yield* bad("found a second head.")
      head = found
    } else if (head === undefined) return yield* bad('expected the head first: {"cassette":1,...}.')
    else if ("walk" in found) walks.set(found.walk, [...(walks.get(found.walk) ?? []), found.startedAt])
    else exchanges.push({ ...found, line: number })
  }
  if (head === undefined) return yield* new BadCassette({ file, line: 1, problem: "the file is empty." })
  const { connector, recordedAt, references } = head
  return { file, connector, recordedAt, references, walks, exchanges }
})
