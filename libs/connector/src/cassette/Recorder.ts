import { Readable, Transform } from "node:stream"
import { Clock, DateTime, Effect } from "effect"
import { decode } from "../Decode.ts"
import type { OpenAnswer } from "../OpenExchange.ts"
import { type AnswerHeaders, header } from "../RetryAfter.ts"
import type { SourceReason } from "../SourceError.ts"
import type { Carried, WireShape } from "../Wire.ts"
import { type CassetteBody, type CassetteLine, writeBody, writeLine } from "./Cassette.ts"
import type { Cutter } from "./Cutter.ts"

export interface RecorderOptions {
  readonly connector: string
  readonly cutter: Cutter
  /** Secrets that no request carries, as refresh tokens; asked for with each answer, before any of it is kept. */
  readonly secrets: Effect.Effect<ReadonlyArray<string>>
  /** What stands for each reference of the file. */
  readonly references: Readonly<Record<string, string>>
  /** Answers of the API that are kept of one stream's walk; after them it is told that there is no more. */
  readonly mostAnswers: number
  /** Bytes of a body that is kept, without its encodings. */
  readonly mostBytes: number
}

/** Writes down what goes over a wire. */
export interface Recorder {
  readonly wire: WireShape
  /** The lines since the last call, secrets cut out. */
  readonly take: () => string
  /** Whether a stream's answers were more than are kept. */
  readonly isCut: (stream: string) => boolean
  /** Bodies that could not be kept, in sentences. */
  readonly omitted: ReadonlyArray<string>
}

/** Records the exchanges of the streams whose walks begin after each other. */
export const makeRecorder = Effect.fnUntraced(function* (under: WireShape, options: RecorderOptions) {
  const { connector, cutter, mostAnswers, mostBytes, references, secrets } = options
  const recordedAt = DateTime.formatIso(yield* DateTime.now)
  const omitted: Array<string> = []
  const cut = new Set<string>()
  let lines: Array<CassetteLine> = [{ cassette: 1, connector, recordedAt, references }]
  let stream = ""
  let answers = 0

  const kept = (bytes: Buffer, url: string): CassetteBody | undefined => {
    const found = cutter.body(bytes)
    if (!("why" in found)) return writeBody(found)
    omitted.push(`${url}: ${found.why}`)
    return { omitted: bytes.length, why: found.why }
  }
  const note = (
    { request: { body, headers, method, target }, url }: Carried,
    status: number,
    fields: AnswerHeaders,
    answered: CassetteBody | undefined,
    isMade: boolean
  ): void => {
    const sent = body === undefined ? undefined : kept(Buffer.from(body), url)
    lines.push({
      stream,
      request: {
        method,
        url: cutter.url(target),
        headers: cutter.headers(headers),
        ...(sent === undefined ? {} : { body: sent })
      },
      answer: {
        status,
        headers: cutter.headers(fields),
        ...(answered === undefined ? {} : { body: answered }),
        ...(isMade ? { made: true } : {})
      }
    })
  }
  const tooLong = (bytes: number, url: string): CassetteBody => {
    const why = `it has ${bytes} bytes or more, and ${mostBytes} are kept`
    omitted.push(`${url}: ${why}`)
    return { omitted: bytes, why }
  }

  /** The same bytes, kept until they are more than are wanted. */
  const teed = (body: Readable, carried: Carried, { headers, status }: OpenAnswer): Readable => {
    let chunks: Array<Buffer> = []
    let size = 0
    let isNoted = false
    const done = (isWhole: boolean) => {
      if (isNoted) return
      isNoted = true
      const found =
        size > mostBytes
          ? tooLong(size, carried.url)
          : isWhole
            ? kept(Buffer.concat(chunks), carried.url)
            : { omitted: size, why: "it was not read to its end" }
      note(carried, status, headers, found, false)
    }
    const tee = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        size += chunk.length
        if (size > mostBytes) chunks = []
        else chunks.push(chunk)
        next(null, chunk)
      },
      flush(next) {
        done(true)
        next()
      }
    })
    body.on("error", (error) => tee.destroy(error))
    tee.on("close", () => {
      done(false)
      body.destroy()
    })
    return body.pipe(tee)
  }

  const send: WireShape["send"] = Effect.fnUntraced(function* (carried, connections): Effect.fn.Return<
    OpenAnswer,
    SourceReason
  > {
    cutter.learn(carried.secrets)
    if (answers >= mostAnswers) {
      cut.add(stream)
      note(carried, 204, {}, undefined, true)
      const body = Buffer.alloc(0)
      return { status: 204, headers: {}, body, stream: carried.streams ? Readable.from([]) : undefined }
    }
    const answer = yield* under.send(carried, connections)
    answers++
    cutter.learn(yield* secrets)
    if (answer.stream !== undefined) return { ...answer, stream: teed(answer.stream, carried, answer) }
    const { body, headers, status } = answer
    const encoding = header(headers, "content-encoding")
    const plain = yield* decode(body, encoding, carried.limits.max_page_bytes, carried.url).pipe(
      // What it is that cannot be read is the engine's to say.
      Effect.orElseSucceed(() => undefined)
    )
    const found =
      plain === undefined
        ? { omitted: body.length, why: `its encoding ${encoding ?? ""} cannot be read` }
        : plain.length > mostBytes
          ? tooLong(plain.length, carried.url)
          : kept(plain, carried.url)
    note(carried, status, headers, found, false)
    return answer
  })

  const recorder: Recorder = {
    wire: {
      send,
      isOffline: under.isOffline,
      startedAt: (name) =>
        Effect.map(Clock.currentTimeMillis, (startedAt) => {
          lines.push({ walk: name, startedAt })
          return startedAt
        })
    },
    take: () => {
      const text = lines.map(writeLine).join("")
      lines = []
      return text
    },
    isCut: (name) => cut.has(name),
    omitted
  }
  /** Says which stream what comes next belongs to. */
  const begin = (name: string): void => {
    stream = name
    answers = 0
  }
  return { ...recorder, begin }
})
