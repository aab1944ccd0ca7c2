import { isAscii, isUtf8 } from "node:buffer"
import { TextDecoder } from "node:util"
import { Effect } from "effect"
import { CutOff } from "./LineExtractor.ts"
import { type AnswerHeaders, header } from "./RetryAfter.ts"
import type { Extractor, PartReader } from "./slots/index.ts"
import { BadCharset, type SourceReason, TruncatedJson } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

/** Most bytes that a mark of the byte order takes. */
const markBytes = 3
/** A body that is there is made UTF-8 in pieces of so many bytes, as no text may be as long as a body. */
const pieceBytes = 1_048_576
/** Within so many bytes an XML document names its charset, if it does. */
const declarationBytes = 256

const utf8Names = new Set(["utf-8", "utf8", "unicode-1-1-utf-8"])

/** The charset that `content-type` names (RFC 9110, section 8.3.2), in small letters. */
export const charsetIn = (headers: AnswerHeaders): string | undefined => {
  const type = header(headers, "content-type")
  if (type === undefined) return undefined
  const named = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;]*))/iu.exec(type)
  const name = (named?.[1] ?? named?.[2] ?? "").trim().toLowerCase()
  return name === "" ? undefined : name
}

/** The charset that an XML document itself names: its first line can be read in each that such a line can be written in. */
const declaredIn = (start: Buffer): string | undefined =>
  /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']+)["']/u.exec(start.toString("latin1", 0, declarationBytes))?.[1]

/** The charset that a mark of the byte order says; it outdoes all else, as in a browser. */
const marked = (start: Buffer): string | undefined => {
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) return "utf-8"
  if (start[0] === 0xff && start[1] === 0xfe) return "utf-16le"
  return start[0] === 0xfe && start[1] === 0xff ? "utf-16be" : undefined
}

interface Named {
  readonly name: string
  /** Where it is said. */
  readonly place: string
  /** Whether bytes that are UTF-8 outdo it. */
  readonly isDoubtful?: boolean
}

/** Charsets of one byte a character, in which nearly every text of UTF-8 can be read, as another one. */
const singleByte = /^(?:iso-8859-|windows-|macintosh|x-mac|ibm866|koi8)/u

/** Whether a text that begins so is UTF-8 although it is said to be in a charset of single bytes; `undefined`: that is not seen yet. */
const isUtf8FromHere = (bytes: Buffer): boolean | undefined => {
  const lead = bytes[0] ?? 0
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  if (bytes.length >= length) return isUtf8(bytes.subarray(0, length))
  // Bytes that cannot go on so are seen early.
  return bytes.subarray(1).some((byte) => byte < 0x80 || byte > 0xbf) ? false : undefined
}

/** A decoder for text that is not UTF-8; `undefined` for UTF-8, whose bytes stay as they are. */
const decoderOf = ({ name, place }: Named, url: string): TextDecoder | undefined => {
  if (utf8Names.has(name.toLowerCase())) return undefined
  try {
    const decoder = new TextDecoder(name, { fatal: true })
    return decoder.encoding === "utf-8" ? undefined : decoder
  } catch {
    throw new BadCharset({
      url,
      place,
      expected: "one of the WHATWG's Encoding Standard, such as utf-8, iso-8859-1, windows-1252, shift_jis or utf-16le",
      found: name.slice(0, 40)
    })
  }
}

/** Makes UTF-8 of a text that comes in pieces; what it throws is a `BadCharset` or a `CutOff`. */
class Recoding {
  readonly #decoder: TextDecoder
  readonly #named: Named
  readonly #url: string
  #bytes = 0
  /** Nothing but ASCII came yet, or the beginning of a character, and a charset that may be wrong is what is known. */
  #held: Buffer | undefined
  #isUtf8 = false
  constructor(decoder: TextDecoder, named: Named, url: string) {
    this.#decoder = decoder
    this.#named = named
    this.#url = url
    if (named.isDoubtful === true && singleByte.test(decoder.encoding)) this.#held = Buffer.alloc(0)
  }
  get isDoubtful(): boolean {
    return this.#held !== undefined
  }
  take(chunk: Buffer): Buffer {
    if (this.#isUtf8) return chunk
    if (this.#held === undefined) return this.#decoded(chunk)
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    if (isAscii(bytes)) return bytes
    const at = bytes.findIndex((byte) => byte >= 0x80)
    const found = isUtf8FromHere(bytes.subarray(at))
    this.#held = found === undefined ? bytes.subarray(at) : undefined
    if (found === undefined) return bytes.subarray(0, at)
    this.#isUtf8 = found
    return found ? bytes : this.#decoded(bytes)
  }
  #decoded(bytes: Buffer): Buffer {
    const from = this.#bytes
    this.#bytes += bytes.length
    try {
      return Buffer.from(this.#decoder.decode(bytes, { stream: true }))
    } catch {
      const { name, place } = this.#named
      const found = `other bytes, between byte ${from} and byte ${this.#bytes}`
      throw new BadCharset({ url: this.#url, place, expected: `text in ${name}`, found })
    }
  }
  end(): Buffer {
    if (this.#isUtf8) return Buffer.alloc(0)
    try {
      return Buffer.from(this.#decoder.decode(this.#held ?? Buffer.alloc(0)))
    } catch {
      throw new CutOff(`It ends within a character of ${this.#named.name}.`)
    }
  }
}

/** What is known of a text before it is looked at. */
interface Known {
  readonly url: string
  readonly setting: string | undefined
  readonly headers: AnswerHeaders
  readonly isXml: boolean
}

/** In which charset a text is that begins so; `undefined`: nothing says it, so it is UTF-8. */
const namedBy = ({ headers, isXml, setting }: Known, start: Buffer): Named | undefined => {
  const mark = marked(start)
  if (mark !== undefined) return { name: mark, place: "its mark of the byte order" }
  if (setting !== undefined) return { name: setting, place: "the stream's charset" }
  const sent = charsetIn(headers)
  // Servers name the charset of their own defaults, whatever they send.
  if (sent !== undefined) return { name: sent, place: "content-type", isDoubtful: true }
  const declared = isXml ? declaredIn(start) : undefined
  return declared === undefined ? undefined : { name: declared, place: "its first line" }
}

/** How a text that begins so becomes UTF-8; `undefined`: it is. */
const recodingOf = (known: Known, start: Buffer): Recoding | undefined => {
  const named = namedBy(known, start)
  const decoder = named === undefined ? undefined : decoderOf(named, known.url)
  return named === undefined || decoder === undefined ? undefined : new Recoding(decoder, named, known.url)
}

/** A body as UTF-8, the body itself where it is. */
const recoded = (known: Known, body: Buffer): Buffer => {
  const recoding = recodingOf(known, body)
  if (recoding === undefined) return body
  if (recoding.isDoubtful && isUtf8(body)) return body
  const pieces: Array<Buffer> = []
  for (let at = 0; at < body.length; at += pieceBytes) pieces.push(recoding.take(body.subarray(at, at + pieceBytes)))
  return Buffer.concat([...pieces, recoding.end()])
}

/**
 * A body in which something is looked for, as UTF-8. One whose charset is not known, or that is not in it, stays as it is: whoever
 * reads the records says so.
 */
export const readableText = (headers: AnswerHeaders, body: Buffer, setting?: string): Buffer => {
  try {
    return recoded({ url: "", setting, headers, isXml: false }, body)
  } catch (error) {
    if (error instanceof BadCharset || error instanceof CutOff) return body
    throw error
  }
}

/** What it means that a body cannot be made UTF-8. */
const reasonOf = (error: unknown, { body, url }: Answer): SourceReason => {
  if (error instanceof BadCharset) return error
  if (error instanceof CutOff) return new TruncatedJson({ url, bytes: body.length, problem: error.message })
  throw error
}

/** A reader of UTF-8 for a text in another charset. */
const recodingReader = (inner: PartReader, known: Known): PartReader => {
  /** What came before it could be told how the text is written. */
  let start: Buffer | undefined = Buffer.alloc(0)
  let recoding: Recoding | undefined
  const begin = (bytes: Buffer): void | Promise<void> => {
    recoding = recodingOf(known, bytes)
    start = undefined
    return inner.push(recoding === undefined ? bytes : recoding.take(bytes))
  }
  /** The file that was read is at its end. */
  const finish = async () => {
    if (start !== undefined && start.length > 0) await begin(start)
    if (recoding !== undefined) await inner.push(recoding.end())
  }
  return {
    push: (chunk) => {
      if (chunk === "file") {
        return finish().then(() => {
          start = Buffer.alloc(0)
          recoding = undefined
          return inner.push("file")
        })
      }
      if (start === undefined) return inner.push(recoding === undefined ? chunk : recoding.take(chunk))
      start = start.length === 0 ? chunk : Buffer.concat([start, chunk])
      return start.length < markBytes ? undefined : begin(start)
    },
    end: async () => {
      await finish()
      await inner.end()
    },
    take: inner.take
  }
}

/**
 * The extractor of a text that may be in another charset than UTF-8: what its mark of the byte order says, else the setting, else
 * `content-type`, else, of XML, its first line. Bytes of UTF-8 go through as they are, also where `content-type` names a charset of
 * single bytes: of JSON it says nothing (RFC 8259, section 11), and texts in such a charset are hardly ever UTF-8 by chance.
 */
export const inCharset = (extractor: Extractor, setting: string | undefined, isXml = false): Extractor => {
  const { parts } = extractor
  return {
    ...extractor,
    charset: setting,
    open: (plan) => {
      const read = extractor.open(plan)
      return (answer) => {
        const known = { url: answer.url, setting, headers: answer.headers, isXml }
        let body: Buffer
        try {
          body = recoded(known, answer.body)
        } catch (error) {
          return Effect.fail(reasonOf(error, answer))
        }
        return read(body === answer.body ? answer : { ...answer, body })
      }
    },
    ...(parts === undefined
      ? {}
      : {
          parts: (plan) => {
            const open = parts(plan)
            return (answer) =>
              recodingReader(open(answer), { url: answer.url, setting, headers: answer.headers, isXml })
          }
        })
  }
}
