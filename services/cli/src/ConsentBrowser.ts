import { Config, Effect, Option } from "effect"
import { spawn } from "node:child_process"
import { platform } from "node:os"
import { createInterface } from "node:readline"
// The terminal of the person who consents; Screen.ts has the streams that go out.
// oxlint-disable-next-line no-restricted-imports
import process from "node:process"
import { Writable } from "node:stream"

/** The command that opens an address in the person's browser. The address is an argument of its own: no shell reads it. */
const opener = Effect.gen(function* () {
  const own = Option.getOrUndefined(yield* Config.option(Config.NonEmptyString("BROWSER")))
  if (own !== undefined) return [own]
  switch (platform()) {
    case "darwin":
      return ["open"]
    case "win32":
      return ["rundll32", "url.dll,FileProtocolHandler"]
    default: {
      const display = yield* Config.option(Config.NonEmptyString("DISPLAY"))
      const wayland = yield* Config.option(Config.NonEmptyString("WAYLAND_DISPLAY"))
      return Option.isNone(display) && Option.isNone(wayland) ? undefined : ["xdg-open"]
    }
  }
})

/** Opens an address in the person's browser; `false`: there is none, or it could not be started. `BROWSER` names another. */
export const openBrowser = Effect.fn("cli.openBrowser")(function* (address: string) {
  const command = yield* opener
  if (command === undefined) return false
  const [program = "", ...first] = command
  return yield* Effect.callback<boolean>((resume) => {
    const child = spawn(program, [...first, address], { stdio: "ignore", detached: true })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(true))
    })
  })
})

/** Whether a person can be asked. */
export const canAsk = Effect.sync(() => process.stdin.isTTY === true && process.stderr.isTTY === true)

/** A pasted line may be this long; addresses with a code have a few thousand characters. */
const longestLine = 65_536

/**
 * The next line of standard input, without what surrounds it; `undefined` when there is none. On a terminal what is typed or pasted
 * is not shown: it may be a token.
 */
export const readLine = Effect.callback<string | undefined>((resume) => {
  const { stdin } = process
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: stdin.isTTY === true })
  let isDone = false
  const end = (line: string | undefined) => {
    if (isDone) return
    isDone = true
    lines.close()
    stdin.pause()
    resume(Effect.succeed(line === undefined || line.trim() === "" ? undefined : line.trim().slice(0, longestLine)))
  }
  lines.once("line", end)
  lines.once("close", () => end(undefined))
  // In a terminal that is read key by key, Ctrl-C arrives here.
  lines.once("SIGINT", () => {
    end(undefined)
    process.kill(process.pid, "SIGINT")
  })
  return Effect.sync(() => end(undefined))
})
