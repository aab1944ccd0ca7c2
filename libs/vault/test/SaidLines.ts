import { Effect } from "effect"
import { spawn } from "node:child_process"
import process from "node:process"

/** A process of a test, and what it has said. */
export interface Speaker {
  readonly lines: ReadonlyArray<string>
  /** Waits for a line more than `after` that the condition takes; fails if the process ends first. */
  readonly until: (condition: (line: string) => boolean, count: number) => Effect.Effect<void>
  readonly kill: Effect.Effect<void>
}

/** Starts a module as a process, which is killed at the end of the scope. */
export const startSpeaker = Effect.fnUntraced(function* (
  module: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
) {
  const lines: Array<string> = []
  let waiting: (() => void) | undefined
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [module, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { PATH: process.env["PATH"], ...environment }
      })
      let rest = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        const parts = (rest + text).split("\n")
        rest = parts.pop() ?? ""
        lines.push(...parts)
        waiting?.()
      })
      child.on("close", () => waiting?.())
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const until: Speaker["until"] = (condition, count) =>
    Effect.callback<void>((resume) => {
      const from = lines.length
      const look = () => {
        if (lines.slice(from).filter(condition).length >= count) resume(Effect.void)
        else if (hasEnded())
          resume(Effect.die(new Error(`It ended by itself; it said:\n${lines.slice(-20).join("\n")}`)))
      }
      waiting = look
      look()
    })
  const kill = Effect.callback<void>((resume) => {
    if (hasEnded()) return resume(Effect.void)
    child.once("close", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
  return { lines, until, kill } satisfies Speaker
})
