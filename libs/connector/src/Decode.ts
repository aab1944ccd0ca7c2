import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib"
import { Effect } from "effect"
import { NotJson, type SourceReason, TooLarge, TruncatedJson } from "./SourceError.ts"

/** Encodings that a request offers (RFC 9110, section 12.5.3). */
export const acceptEncoding = "gzip, br, zstd"

type Encoding = "gzip" | "x-gzip" | "deflate" | "br" | "zstd"
type Decoder = (
  body: Buffer,
  options: { readonly maxOutputLength: number },
  done: (error: Error | null, result: Buffer) => void
) => void
const decoders: Readonly<Record<Encoding, Decoder>> = {
  gzip: gunzip,
  "x-gzip": gunzip,
  deflate: inflate,
  br: brotliDecompress,
  zstd: zstdDecompress
}
const isEncoding = (name: string): name is Encoding => Object.hasOwn(decoders, name)

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : "")

const undo = (encoding: Encoding, body: Buffer, limit: number, url: string): Effect.Effect<Buffer, SourceReason> =>
  Effect.callback((resume) => {
    decoders[encoding](body, { maxOutputLength: limit }, (error, result) => {
      if (error === null) return resume(Effect.succeed(result))
      if (codeOf(error) === "ERR_BUFFER_TOO_LARGE") {
        return resume(Effect.fail(new TooLarge({ url, limit, bytes: limit + 1 })))
      }
      // A cut-off body and a damaged one look alike; both may pass.
      const problem = `Its ${encoding} encoding cannot be read (${error.message}).`
      return resume(Effect.fail(new TruncatedJson({ url, bytes: body.length, problem })))
    })
  })

/** The body without its content encodings; at most `limit` bytes. */
export const decode = Effect.fnUntraced(function* (
  body: Buffer,
  contentEncoding: string | undefined,
  limit: number,
  url: string
): Effect.fn.Return<Buffer, SourceReason> {
  let decoded = body
  const encodings = (contentEncoding ?? "").split(",").map((name) => name.trim().toLowerCase())
  // The last one was applied last.
  for (const encoding of encodings.toReversed()) {
    if (encoding === "" || encoding === "identity" || decoded.length === 0) continue
    if (!isEncoding(encoding)) {
      return yield* new NotJson({
        url,
        contentType: undefined,
        problem: `a body in the unknown encoding ${encoding.slice(0, 40)}`,
        found: "no text."
      })
    }
    decoded = yield* undo(encoding, decoded, limit, url)
  }
  return decoded
})
