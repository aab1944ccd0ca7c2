import { Context, Effect, Layer, Logger, type LogLevel, References } from "effect"
// The screen is the edge of the process: this file alone touches its streams.
// oxlint-disable-next-line no-restricted-imports
import process from "node:process"
import { inspect } from "node:util"

const erase = "\r\u001b[2K"

/** Standard output for results, standard error for everything on the way: logs and, on a terminal, one line of progress. */
export class Screen extends Context.Service<
  Screen,
  {
    readonly isTerminal: boolean
    readonly columns: () => number
    /** A line of the result, to standard output. */
    readonly print: (text: string) => Effect.Effect<void>
    /** Bytes of the result, as they are. Waits while the reader is slow. */
    readonly write: (bytes: Uint8Array) => Effect.Effect<void>
    /** A line for the person watching, to standard error. */
    readonly note: (text: string) => Effect.Effect<void>
    /** Replaces the line of progress; on anything but a terminal nothing is shown. An empty text removes it. */
    readonly progress: (text: string) => Effect.Effect<void>
  }
>()("@tributary/cli/Screen") {
  static readonly layer = Layer.sync(Screen, () => {
    const { stderr, stdout } = process
    const isTerminal = stderr.isTTY === true
    let shown = ""
    const above = (write: () => void) => {
      if (shown !== "") stderr.write(erase)
      write()
      if (shown !== "") stderr.write(shown)
    }
    return Screen.of({
      isTerminal,
      columns: () => stderr.columns ?? 120,
      print: (text) => Effect.sync(() => above(() => stdout.write(`${text}\n`))),
      write: (bytes) =>
        Effect.callback((resume) => {
          stdout.write(bytes, () => resume(Effect.void))
        }),
      note: (text) => Effect.sync(() => above(() => stderr.write(`${text}\n`))),
      progress: (text) =>
        Effect.sync(() => {
          if (!isTerminal) return
          stderr.write(erase)
          shown = text.slice(0, (stderr.columns ?? 120) - 1)
          stderr.write(shown)
        })
    })
  })
}

const colour: Partial<Record<LogLevel.LogLevel, string>> = { Error: "31", Fatal: "31", Warn: "33", Info: "36" }

const said = (value: unknown): string => (typeof value === "string" ? value : inspect(value, { depth: 3 }))

/** Log lines on the screen: readable on a terminal, one JSON object per line elsewhere. */
export const screenLogger = (minimum: LogLevel.LogLevel) =>
  Layer.unwrap(
    Effect.map(Screen, (screen) => {
      const readable = Logger.make<unknown, void>((options) => {
        const { cause, date, fiber, logLevel, message } = options
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        const fields = Object.entries(annotations)
          .map(([key, value]) => `${key}=${said(value)}`)
          .join(" ")
        const text = (Array.isArray(message) ? message : [message]).map(said).join(" ")
        const level = `\u001b[${colour[logLevel] ?? "90"}m${logLevel.toUpperCase().padEnd(5)}\u001b[0m`
        const trace = cause.reasons.length === 0 ? "" : `\n${inspect(cause)}`
        const time = date.toISOString().slice(11, 19)
        Effect.runSync(screen.note(`${time} ${level} ${text} \u001b[90m${fields}\u001b[0m${trace}`))
      })
      const json = Logger.map(Logger.formatJson, (line) => Effect.runSync(screen.note(line)))
      return Layer.merge(
        Logger.layer([screen.isTerminal ? readable : json]),
        Layer.succeed(References.MinimumLogLevel, minimum)
      )
    })
  )
