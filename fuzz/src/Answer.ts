import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { zipSync } from "fflate"

/** What a body is made of. */
export type Body =
  | { readonly text: string }
  | { readonly base64: string }
  /** `times` -1: it never ends. */
  | { readonly head: string; readonly unit: string; readonly tail: string; readonly times: number }

export type Wrapping = "gzip" | "deflate" | "br" | "zstd" | "zip"

/** An answer of the API as a case holds it. `@BASE@` in it stands for the server's address, `@ECHO@` for what the request said. */
export interface Answer {
  readonly status: number
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: Body
  /** How the body is packed, the innermost first. */
  readonly wrap: ReadonlyArray<Wrapping>
  /** Bytes of the packed body that are turned over, as shares of its length. */
  readonly garbled: ReadonlyArray<number>
  /** How the body's end is told. `lie`: more is announced than comes. `none`: nothing is announced and nothing closed. */
  readonly framing: "length" | "chunked" | "close" | "lie" | "none"
  /** The share of the body after which the connection breaks; 1: it does not. */
  readonly breaks: number
  /** Milliseconds before the first byte, and between parts of the body. */
  readonly wait: number
  readonly trickle: number
  /** What is sent in place of all of it. */
  readonly raw?: string | undefined
}

export const plainAnswer = (
  text: string,
  headers: Answer["headers"] = [["content-type", "application/json"]]
): Answer => ({
  status: 200,
  headers,
  body: { text },
  wrap: [],
  garbled: [],
  framing: "length",
  breaks: 1,
  wait: 0,
  trickle: 0
})

const wrapped: Readonly<Record<Wrapping, (bytes: Buffer) => Uint8Array>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
  zip: (bytes) => zipSync({ "a.json": bytes, "b/c.csv": bytes })
}

/** Nothing that is packed may be larger before it is. */
const mostUnpacked = 64 * 1_048_576
const partSize = 65_536

export type Fill = (text: string) => string

/** The parts of a body, one after the other; of one that never ends, for ever. */
export function* partsOf({ body, garbled, wrap }: Answer, fill: Fill): Generator<Buffer> {
  if ("unit" in body && wrap.length === 0) {
    const unit = Buffer.from(fill(body.unit))
    const repeats = Math.max(1, Math.floor(partSize / Math.max(1, unit.length)))
    const block = Buffer.concat(Array.from({ length: repeats }, () => unit))
    yield Buffer.from(fill(body.head))
    let left = body.times < 0 ? Infinity : body.times
    for (; left > 0; left -= repeats) yield left >= repeats ? block : block.subarray(0, left * unit.length)
    yield Buffer.from(fill(body.tail))
    return
  }
  const plain =
    "unit" in body
      ? Buffer.from(
          fill(body.head) +
            fill(body.unit).repeat(
              Math.min(body.times < 0 ? Infinity : body.times, Math.floor(mostUnpacked / Math.max(1, body.unit.length)))
            ) +
            fill(body.tail)
        )
      : "text" in body
        ? Buffer.from(fill(body.text))
        : Buffer.from(body.base64, "base64")
  let bytes = plain
  for (const name of wrap) bytes = Buffer.from(wrapped[name](bytes))
  for (const share of garbled) {
    const at = Math.floor(share * bytes.length)
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 0x55
  }
  for (let start = 0; start < bytes.length; start += partSize) yield bytes.subarray(start, start + partSize)
}
