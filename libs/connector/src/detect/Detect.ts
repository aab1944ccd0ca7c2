import { LosslessJson } from "@tributary/codec"
import { type Connector, Pagination, type SourceStream } from "@tributary/domain"
import { Effect, Option, Result, Schema, Stream } from "effect"
import type { Page } from "../Page.ts"
import { make } from "../Source.ts"
import { Wire } from "../Wire.ts"
import { readableText } from "../Charset.ts"
import { capturing, type Captured } from "./Capture.ts"
import { type GuessedCursor, guessCursor, guessKey } from "./FieldGuess.ts"
import { findRecords } from "./FoundRecords.ts"
import { guessPaging, type PagingGuess } from "./PagingGuess.ts"

/** How page two was when it was asked for. */
export interface TriedPaging extends PagingGuess {
  /**
   * `verified`: other records came. `single`: the API says that there is one page only, so it could not be tried. `refused`: it does
   * not work, and `said` tells why.
   */
  readonly verdict: "verified" | "single" | "refused"
  readonly said: string
}

/** What an answer says about the stream that it belongs to. */
export interface Detected {
  /** Where the records are, as `records` of a stream. */
  readonly records: string
  readonly count: number
  /** The way to the next page that held, if one was found. */
  readonly paging: TriedPaging | undefined
  /** Those that were tried and did not. */
  readonly refused: ReadonlyArray<TriedPaging>
  readonly primaryKey: string | undefined
  readonly cursor: GuessedCursor | undefined
}

export interface DetectOptions {
  readonly connector: Connector
  readonly stream: string
  readonly base: string
  /** The answer to the stream's first request. */
  readonly first: Captured
  /** Also tries what nothing speaks for but habit: `page` and `offset`. */
  readonly habits: boolean
}

/** Guesses that are tried: each costs one or two requests. */
const mostTries = 6

const decodePagination = Schema.decodeUnknownOption(Pagination)

const parse = (body: Buffer): LosslessJson.Json | undefined => {
  try {
    return LosslessJson.parse(body)
  } catch {
    // What is no JSON is told where the stream is read.
    return undefined
  }
}

const graphQlOf = ({ body }: SourceStream): string | undefined =>
  body !== undefined && "graphql" in body ? body.graphql : undefined

const keyOf = ({ records }: Page): ReadonlySet<string> =>
  new Set(records.map(({ value }) => Buffer.from(value).toString("latin1")))

/** What two pages, or one, say of a way that was tried. */
const judge = (guess: PagingGuess, pages: ReadonlyArray<Page>, hasPartitions: boolean): TriedPaging => {
  const [first, second] = pages
  const isOther = hasPartitions && first?.checkpoint.walk?.partition === undefined
  if (first === undefined || second === undefined || isOther) {
    return { ...guess, verdict: "single", said: "there is no second page to try it with" }
  }
  const known = keyOf(first)
  const { length } = second.records
  const same = second.records.filter(({ value }) => known.has(Buffer.from(value).toString("latin1"))).length
  if (length > 0 && same === 0) {
    return { ...guess, verdict: "verified", said: `page two was asked for and has ${length} other records` }
  }
  if (length === 0) {
    return { ...guess, verdict: guess.isSaid ? "single" : "refused", said: "page two was asked for and is empty" }
  }
  return { ...guess, verdict: "refused", said: `of page two's ${length} records ${same} were on page one` }
}

/** Asks for page two in a way that was guessed. */
const tried = Effect.fnUntraced(function* (
  { base, connector, first, stream }: DetectOptions,
  settings: SourceStream,
  guess: PagingGuess
) {
  const pagination = decodePagination(guess.pagination)
  if (Option.isNone(pagination)) return { ...guess, verdict: "refused" as const, said: "it cannot be written so" }
  const { incremental: _, ...rest } = settings
  const one = { ...rest, pagination: pagination.value }
  // Those that it is made of stay, so that partitions are found.
  const trial: Connector = {
    ...connector,
    http: { ...connector.http, retries: 0 },
    streams: { ...connector.streams, [stream]: one }
  }
  const { wire } = capturing(yield* Wire, first)
  const read = yield* Effect.gen(function* () {
    const source = yield* make(trial, { base })
    return yield* Stream.runCollect(Stream.take(source.pages(stream, undefined, { prefetch: false }), 2))
  }).pipe(Effect.scoped, Effect.provideService(Wire, wire), Effect.result)
  return Result.isSuccess(read)
    ? judge(guess, read.success, settings.partitions !== undefined)
    : { ...guess, verdict: "refused" as const, said: read.failure.reason.message }
})

/**
 * Finds out from a stream's first answer where its records are, how to get to the next page (which it asks for, to see that other
 * records come), and by which fields records are told apart and known to be new. `undefined`: the answer is no JSON or has no list
 * of objects.
 */
export const detect = Effect.fn("connector.detect")(function* (options: DetectOptions) {
  const { connector, first, habits, stream } = options
  const settings = Object.entries(connector.streams).find(([name]) => name === stream)?.[1]
  const document = parse(readableText(first.headers, first.body, settings?.charset))
  if (settings === undefined || document === undefined) return undefined
  const found = findRecords(document)
  if (found === undefined) return undefined
  const guesses = guessPaging(
    {
      url: first.request.target,
      headers: first.headers,
      document,
      place: settings.body === undefined || "text" in settings.body ? "query" : "body",
      graphql: graphQlOf(settings)
    },
    found
  ).filter(({ isSaid }) => isSaid || habits)
  const refused: Array<TriedPaging> = []
  let paging: TriedPaging | undefined
  for (const guess of guesses.slice(0, mostTries)) {
    const seen = yield* tried(options, { ...settings, records: found.selector }, guess)
    if (seen.verdict === "verified" || (seen.verdict === "single" && guess.isSaid)) {
      paging = seen
      break
    }
    refused.push(seen)
  }
  const detected: Detected = {
    records: found.selector,
    count: found.records.length,
    paging,
    refused,
    primaryKey: guessKey(found.records, found.name),
    cursor: guessCursor(found.records)
  }
  return detected
})
