import { gunzip, type Gunzip, createGunzip } from "node:zlib"
import { Effect } from "effect"
import { CutOff, BadPart } from "./LineExtractor.ts"
import type { Extractor, PartReader } from "./slots/index.ts"
import { BadRecords, type SourceReason, TooLarge, TruncatedJson } from "./SourceError.ts"
import { ZipReader } from "./ZipReader.ts"

/** An archive that is in memory is read in parts, so that what is too large is noticed before it is unpacked. */
const step = 65_536

/** What an archive's bytes become; `file` stands between two files. */
interface Unpacker {
  readonly push: (chunk: Buffer) => Promise<ReadonlyArray<Buffer | "file">>
  readonly end: () => Promise<ReadonlyArray<Buffer | "file">>
}

const gzipUnpacker = (): Unpacker => {
  const stream: Gunzip = createGunzip()
  let out: Array<Buffer> = []
  let problem: Error | undefined
  let isOver = false
  stream.on("data", (chunk: Buffer) => out.push(chunk))
  stream.on("error", (error: Error & { readonly code?: string }) => {
    problem ??=
      error.code === "Z_BUF_ERROR"
        ? new CutOff("The gzip file breaks off.")
        : new BadPart(`expected a gzip file (${error.message})`)
  })
  stream.on("end", () => {
    isOver = true
  })
  const taken = () => {
    if (problem !== undefined) throw problem
    const found = out
    out = []
    return found
  }
  return {
    push: (chunk) =>
      new Promise<void>((resolve) => {
        // The callback is not called for bytes that are no gzip; the listener goes, as a file has many chunks.
        const settled = () => {
          stream.off("error", settled)
          resolve()
        }
        stream.once("error", settled)
        stream.write(chunk, settled)
      }).then(taken),
    end: () =>
      new Promise<void>((resolve) => {
        if (isOver || problem !== undefined) return resolve()
        stream.once("error", () => resolve())
        stream.once("end", () => resolve())
        stream.end()
      }).then(taken)
  }
}

const zipUnpacker = (): Unpacker => {
  const reader = new ZipReader()
  return {
    push: (chunk) => reader.push(chunk),
    end: () => {
      reader.end()
      return Promise.resolve([])
    }
  }
}

/** A whole file of an archive, at most `limit` bytes. */
const whole = (body: Buffer, kind: "gzip" | "zip", limit: number, url: string): Effect.Effect<Buffer, SourceReason> => {
  const bad = (problem: string) => new BadRecords({ url, problem })
  if (kind === "gzip") {
    return Effect.callback((resume) => {
      gunzip(body, { maxOutputLength: limit }, (error, result) => {
        if (error === null) return resume(Effect.succeed(result))
        resume(
          Effect.fail(
            "code" in error && error.code === "Z_BUF_ERROR"
              ? new TruncatedJson({ url, bytes: body.length, problem: "The gzip file breaks off." })
              : "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
                ? new TooLarge({ url, limit, bytes: limit })
                : bad(`expected a gzip file (${error.message}).`)
          )
        )
      })
    })
  }
  return Effect.tryPromise({
    try: async () => {
      const reader = new ZipReader()
      const parts: Array<Buffer> = []
      let size = 0
      for (let at = 0; at < body.length; at += step) {
        for (const part of await reader.push(body.subarray(at, at + step))) {
          if (part === "file") continue
          size += part.length
          if (size > limit) throw new BadPart(`the archive holds more than ${limit} bytes (http.max_page_bytes)`)
          parts.push(part)
        }
      }
      reader.end()
      if (reader.files !== 1) throw new BadPart(`expected an archive of one file, found ${reader.files}`)
      return Buffer.concat(parts)
    },
    catch: (error) =>
      error instanceof CutOff
        ? new TruncatedJson({ url, bytes: body.length, problem: error.message })
        : bad(`${error instanceof Error ? error.message : String(error)}.`)
  })
}

/** The extractor of bodies that are files of a kind; an archive's files are read one after the other. */
export const unpacked = (extractor: Extractor, kind: "gzip" | "zip", limit: number): Extractor => {
  const { parts } = extractor
  return {
    ...extractor,
    open: (plan) => {
      const read = extractor.open(plan)
      return (answer) =>
        Effect.flatMap(whole(answer.body, kind, limit, answer.url), (body) => read({ ...answer, body }))
    },
    ...(parts === undefined
      ? {}
      : {
          parts: (plan) => {
            const open = parts(plan)
            return (answer): PartReader => {
              const inner = open(answer)
              const unpacker = kind === "gzip" ? gzipUnpacker() : zipUnpacker()
              const pass = async (found: ReadonlyArray<Buffer | "file">) => {
                for (const chunk of found) await inner.push(chunk)
              }
              return {
                push: async (chunk) => {
                  if (chunk !== "file") await pass(await unpacker.push(chunk))
                },
                end: async () => {
                  await pass(await unpacker.end())
                  await inner.end()
                },
                take: inner.take
              }
            }
          }
        })
  }
}
