import type { Readable } from "node:stream"
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib"
import { Effect } from "effect"
import type { Dispatcher } from "undici"
import { isSuccess, largestErrorBody, type Limits, type RawAnswer, reasonOf, type WireRequest } from "./Exchange.ts"
import { header } from "./RetryAfter.ts"
import type { SourceReason } from "./SourceError.ts"

/** An answer whose body comes in as it is read. */
export interface OpenAnswer extends RawAnswer {
  /** The body without its encodings; `undefined` of an answer that is no success, whose body is in `body`. */
  readonly stream: Readable | undefined
}

const decoders: Readonly<Record<string, () => NodeJS.ReadWriteStream & Readable>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress
}

/** Undoes the content encodings, the last one first. Destroying what comes out destroys what goes in. */
const decoded = (body: Readable, encoding: string | undefined): Readable => {
  let stream = body
  for (const name of (encoding ?? "")
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .toReversed()) {
    const make = decoders[name]
    if (make === undefined) continue
    const inner = stream
    const outer = make()
    inner.on("error", (error) => outer.destroy(error))
    outer.on("close", () => inner.destroy())
    inner.pipe(outer)
    stream = outer
  }
  return stream
}

/**
 * Sends one request and returns when the answer begins. The caller has to read the stream to its end or destroy it. Within the body
 * only `body_timeout` counts: it may take hours.
 */
export const openExchange = (
  dispatcher: Dispatcher,
  { body, headers, method, target }: WireRequest,
  limits: Limits,
  url: string
): Effect.Effect<OpenAnswer, SourceReason> =>
  Effect.tryPromise({
    try: async (signal): Promise<OpenAnswer> => {
      const answer = await dispatcher.request({
        origin: target.origin,
        path: `${target.pathname}${target.search}`,
        method,
        headers: { ...headers },
        body: body ?? null,
        signal
      })
      const raw = { status: answer.statusCode, headers: answer.headers, body: Buffer.alloc(0) }
      if (isSuccess(answer.statusCode)) {
        return { ...raw, stream: decoded(answer.body, header(answer.headers, "content-encoding")) }
      }
      const chunks: Array<Buffer> = []
      let size = 0
      for await (const chunk of answer.body) {
        if (!(chunk instanceof Buffer)) continue
        chunks.push(chunk)
        size += chunk.length
        if (size >= largestErrorBody) break
      }
      return { ...raw, body: Buffer.concat(chunks).subarray(0, largestErrorBody), stream: undefined }
    },
    catch: (error) => reasonOf(error, url, limits, undefined)
  })
