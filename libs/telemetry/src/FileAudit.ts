import { Config, Effect, Layer, Option, Schema } from "effect"
import { appendFile, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { AuditError, AuditEvent, type AuditQuery, AuditTrail, isAskedFor, makeAuditTrail } from "./AuditTrail.ts"

const encode = Schema.encodeSync(Schema.fromJsonString(AuditEvent))
const decode = Schema.decodeOption(Schema.fromJsonString(AuditEvent))

const defaultSize = 8 * 1024 * 1024
/** So many full files are kept beside the one that is written. */
const kept = 4

/** The files, newest first. */
const filesOf = (directory: string) =>
  Array.from({ length: kept + 1 }, (_, index) => join(directory, index === 0 ? "audit.jsonl" : `audit.${index}.jsonl`))

const codeOf = (error: unknown) =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown"

const isMissing = (error: unknown) => codeOf(error) === "ENOENT"

/** Whether a file of this size ends with a line break. */
const endsLine = async (file: string, size: number): Promise<boolean> => {
  const handle = await open(file, "r")
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    return bytesRead === 0 || buffer[0] === 0x0a
  } finally {
    await handle.close()
  }
}

const storeOf = (directory: string, size: number) => {
  const files = filesOf(directory)
  const [current = ""] = files
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: run,
      catch: (error) =>
        new AuditError({ place: directory, problem: `a file cannot be read or written (${codeOf(error)}).` })
    })

  /** Makes room: each file takes the name of the next older one, and the oldest goes. */
  const rotate = async () => {
    await rm(files.at(-1) ?? "", { force: true })
    for (let index = files.length - 1; index > 0; index--) {
      await rename(files[index - 1] ?? "", files[index] ?? "").catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    }
  }
  const sizeOf = (file: string) =>
    stat(file).then(
      (found) => found.size,
      (error: unknown) => {
        if (isMissing(error)) return 0
        throw error
      }
    )

  return {
    append: (events: ReadonlyArray<AuditEvent>) =>
      attempt(async () => {
        const lines = events.map((event) => `${encode(event)}\n`).join("")
        await mkdir(directory, { recursive: true, mode: 0o700 })
        const before = await sizeOf(current)
        const isFull = before > 0 && before + Buffer.byteLength(lines) > size
        if (isFull) await rotate()
        // A process that was killed, or a disk that was full, may have left half a line; this one is not to become part of it.
        const isWhole = isFull || before === 0 || (await endsLine(current, before))
        await appendFile(current, isWhole ? lines : `\n${lines}`, { mode: 0o600 })
      }),
    read: (query: AuditQuery) =>
      attempt(async () => {
        let found: ReadonlyArray<AuditEvent> = []
        for (const file of files) {
          if (found.length >= query.last) break
          const text = await readFile(file, "utf8").catch((error: unknown) => {
            if (isMissing(error)) return ""
            throw error
          })
          // A process that was killed may have left half a line.
          const events = text.split("\n").flatMap((line) => Option.toArray(decode(line)))
          found = [...events.filter((event) => isAskedFor(query, event)), ...found].slice(-query.last)
        }
        return query.last === 0 ? [] : found
      })
  }
}

/**
 * The audit trail of one machine: lines of JSON in files of the folder, for the process of this name. At most five files of
 * `TRIBUTARY_AUDIT_BYTES` (8 MiB) are kept; the oldest events go.
 */
export const layerFileAudit = (options: { readonly directory: string; readonly process: string }) =>
  Layer.effect(
    AuditTrail,
    Effect.gen(function* () {
      const size = yield* Config.Int("TRIBUTARY_AUDIT_BYTES").pipe(Config.withDefault(defaultSize))
      return yield* makeAuditTrail(options.process, storeOf(options.directory, Math.max(4096, size)))
    })
  )
