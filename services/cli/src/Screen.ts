import { Context, Deferred, Effect, Layer, Logger, type LogLevel, References } from "effect"
// The screen is the edge of the process: this file and Process.ts alone touch its streams.
// oxlint-disable-next-line no-restricted-imports
import process from "node:process"
import { inspect } from "node:util"

const erase = "\r\u001b[2K"

/** Standard output for results, standard error for everything on the way: logs and, on a terminal, one line of progress. */
export class Screen extends Context.Service<
  Screen,
  {
    /** Whether a person watches standard error. */
    readonly isTerminal: boolean
    /** Whether results go to a terminal, not to a file or a pipe. */
    readonly showsResults: boolean
    /** A line of the result, to standard output. */
    readonly print: (text: string) => Effect.Effect<void>
    /** Bytes of the result, as they are. Waits while the reader is slow. */
    readonly write: (bytes: Uint8Array) => Effect.Effect<void>
    /** A line for the person watching, to standard error. */
    readonly note: (text: string) => Effect.Effect<void>
    /** Replaces the line of progress; on anything but a terminal nothing is shown. An empty text removes it. */
    readonly progress: (text: string) => Effect.Effect<void>
    /** Ends when nobody reads standard output any more, as after `| head`. What is printed from then on is dropped. */
    readonly readerGone: Effect.Effect<void>
  }
>()("@tributary/cli/Screen") {
  static readonly layer = Layer.sync(Screen, () => {
    const { stderr, stdout } = process
    const isTerminal = stderr.isTTY === true
    const gone = Deferred.makeUnsafe<void>()
    // Without a listener a closed pipe would end the process with a stack trace.
    stdout.on("error", () => Deferred.doneUnsafe(gone, Effect.void))
    stderr.on("error", () => undefined)
    // A terminal that does not know its width says 0.
    const columns = () => (stderr.columns > 0 ? stderr.columns : 120)
    let shown = ""
    const above = (write: () => void) => {
      if (shown !== "") stderr.write(erase)
      write()
      if (shown !== "") stderr.write(shown)
    }
    const write = (bytes: Uint8Array | string) =>
      Effect.callback<void>((resume) => {
        if (Deferred.isDoneUnsafe(gone)) return resume(Effect.void)
        above(() => stdout.write(bytes, () => resume(Effect.void)))
      })
    return Screen.of({
      isTerminal,
      showsResults: stdout.isTTY === true,
      print: (text) => write(`${text}\n`),
      write,
      note: (text) => Effect.sync(() => above(() => stderr.write(`${text}\n`))),
      progress: (text) =>
        Effect.sync(() => {
          if (!isTerminal || text === shown) return
          stderr.write(erase)
          shown = text.slice(0, columns() - 1)
          stderr.write(shown)
        }),
      readerGone: Deferred.await(gone)
    })
  })
}

const colours: Partial<Record<LogLevel.LogLevel, number>> = { Error: 31, Fatal: 31, Warn: 33, Info: 36 }

const said = (value: unknown): string => (typeof value === "string" ? value : inspect(value, { depth: 3 }))

const sentence = (message: unknown): string => (Array.isArray(message) ? message : [message]).map(said).join(" ")

/** Log lines on the screen: readable on a terminal, one JSON object per line elsewhere. */
export const screenLogger = (minimum: LogLevel.LogLevel) =>
  Layer.unwrap(
    Effect.map(Screen, (screen) => {
      // https://no-color.org
      const isPlain = (process.env["NO_COLOR"] ?? "") !== ""
      const coloured = (text: string, colour: number) => (isPlain ? text : `\u001b[${colour}m${text}\u001b[0m`)
      const readable = Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
        const fields = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
          .map(([key, value]) => `${key}=${said(value)}`)
          .join(" ")
        const level = coloured(logLevel.toUpperCase().padEnd(5), colours[logLevel] ?? 90)
        const trace = cause.reasons.length === 0 ? "" : `\n${inspect(cause)}`
        const time = date.toISOString().slice(11, 19)
        Effect.runSync(
          screen.note(`${time} ${level} ${sentence(message)}${fields === "" ? "" : ` ${coloured(fields, 90)}`}${trace}`)
        )
      })
      const json = Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
        const fields = fiber.getRef(References.CurrentLogAnnotations)
        const line = {
          time: date.toISOString(),
          level: logLevel.toUpperCase(),
          message: sentence(message),
          ...fields,
          ...(cause.reasons.length === 0 ? {} : { cause: inspect(cause) })
        }
        Effect.runSync(
          screen.note(JSON.stringify(line, (_, value) => (typeof value === "bigint" ? `${value}` : value)))
        )
      })
      return Layer.merge(
        Logger.layer([screen.isTerminal ? readable : json]),
        Layer.succeed(References.MinimumLogLevel, minimum)
      )
    })
  )
