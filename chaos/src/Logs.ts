import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import { Effect } from "effect"
import type { Worker } from "@tributary/load"

/** What the workers' own logs say of a run. */
export interface LogSummary {
  /** Commits and transactions that were refused because another worker had taken over. */
  readonly fenced: number
  /** Plans that a sink found and carried out in place of the one that had made them. */
  readonly replayed: number
  /** Warnings and errors by what they say, numbers left out, most frequent first. */
  readonly complaints: ReadonlyArray<{ readonly count: number; readonly text: string }>
}

const fencedText = "now belongs to another worker"
const replayedText = "Pending plan replayed."
const longest = 220

const entryOf = (line: string): { readonly level: string; readonly message: string; readonly stage: string } => {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== "object" || entry === null) return { level: "", message: line, stage: "" }
    const text = (name: string) => {
      const found: unknown = Object.getOwnPropertyDescriptor(entry, name)?.value
      return typeof found === "string" ? found : found === undefined ? "" : JSON.stringify(found)
    }
    return { level: text("level").toUpperCase(), message: text("message"), stage: text("stage") }
  } catch {
    // Not every line is an entry: what Node prints of a crash is none.
    return { level: "", message: line, stage: "" }
  }
}

/** Reads the logs of workers. */
export const readLogs = (workers: ReadonlyArray<Worker>): Effect.Effect<LogSummary> =>
  Effect.promise(async () => {
    let fenced = 0
    let replayed = 0
    const complaints = new Map<string, number>()
    for (const { log, stage } of workers) {
      for await (const line of createInterface({ input: createReadStream(log), crlfDelay: Infinity })) {
        if (line.startsWith('{"start"')) continue
        const { level, message } = entryOf(line)
        if (message.includes(fencedText)) fenced++
        if (message.includes(replayedText)) replayed++
        if (level !== "" && !/^(WARN|ERROR|FATAL)/u.test(level)) continue
        const text = `${stage} ${level}: ${message.replaceAll(/\d+/gu, "N").replaceAll(/\s+/gu, " ").slice(0, longest)}`
        complaints.set(text, (complaints.get(text) ?? 0) + 1)
      }
    }
    return {
      fenced,
      replayed,
      complaints: [...complaints].map(([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
    }
  })
