import { gunzip, type Gunzip, createGunzip } from "node:zlib"
import { Unzip, UnzipInflate, unzipSync } from "fflate"
import { Effect } from "effect"
import { CutOff, BadPart } from "./LineExtractor.ts"
import type { Extractor, PartReader } from "./slots/index.ts"
import { BadRecords, type SourceReason, TruncatedJson } from "./SourceError.ts"

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
        stream.once("error", () => resolve())
        stream.write(chunk, () => resolve())
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

const endOfArchive = Buffer.from("PK\u0005\u0006", "latin1")
/** The record at the end of an archive with the longest comment. */
const largestEnd = 22 + 65_535

const zipUnpacker = (): Unpacker => {
  let out: Array<Buffer | "file"> = []
  let problem: Error | undefined
  let files = 0
  let open = 0
  let bytes = 0
  let tail: Buffer = Buffer.alloc(0)
  const unzip = new Unzip((file) => {
    if (file.name.endsWith("/")) return
    if (files++ > 0) out.push("file")
    open++
    file.ondata = (error, data, isLast) => {
      if (error) problem ??= new BadPart(`the file ${file.name} of the archive cannot be read (${error.message})`)
      else if (data.length > 0) out.push(Buffer.from(data))
      if (isLast) open--
    }
    file.start()
  })
  unzip.register(UnzipInflate)
  const run = (chunk: Uint8Array, isLast: boolean): Promise<ReadonlyArray<Buffer | "file">> => {
    try {
      unzip.push(chunk, isLast)
    } catch (error) {
      problem ??= new BadPart(`expected a zip archive (${error instanceof Error ? error.message : String(error)})`)
    }
    // Between two files a cut shows only by the missing end (APPNOTE.TXT, 4.3.16).
    if (isLast && problem === undefined && files > 0 && (open > 0 || tail.lastIndexOf(endOfArchive) < 0)) {
      problem = new CutOff("The zip archive breaks off.")
    }
    if (isLast && problem === undefined && files === 0 && bytes > 0)
      problem = new BadPart("expected a zip archive with a file in it")
    if (problem !== undefined) return Promise.reject(problem)
    const found = out
    out = []
    return Promise.resolve(found)
  }
  return {
    push: (chunk) => {
      bytes += chunk.length
      tail = Buffer.concat([tail, chunk]).subarray(-largestEnd)
      return run(chunk, false)
    },
    end: () => run(new Uint8Array(), true)
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
              : bad(`expected a gzip file (${error.message}).`)
          )
        )
      })
    })
  }
  return Effect.suspend((): Effect.Effect<Buffer, SourceReason> => {
    let size = 0
    const files = Object.entries(
      unzipSync(body, {
        filter: ({ originalSize }) => {
          size += originalSize
          return size <= limit
        }
      })
    ).filter(([name]) => !name.endsWith("/"))
    const [only] = files
    if (size > limit) return Effect.fail(bad(`the archive holds more than ${limit} bytes (http.max_page_bytes).`))
    return only !== undefined && files.length === 1
      ? Effect.succeed(Buffer.from(only[1]))
      : Effect.fail(bad(`expected an archive of one file, found ${files.length}.`))
  }).pipe(
    Effect.catchDefect((cause) =>
      Effect.fail(bad(`expected a zip archive (${cause instanceof Error ? cause.message : String(cause)}).`))
    )
  )
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
            return (): PartReader => {
              const inner = open()
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
