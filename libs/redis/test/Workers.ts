import { Clock, Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import process from "node:process"

/** What a worker printed: its name and words. */
export type Line = ReadonlyArray<string>

export interface Worker {
  readonly kill: Effect.Effect<void>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Ends its wait for a word. */
  readonly tell: Effect.Effect<void>
}

/** Processes of one test with everything they printed, in the order in which it arrived. */
export const makeWorkersOf = Effect.fnUntraced(function* (program: "redis-worker.ts" | "token-worker.ts") {
  const lines: Array<Line> = []
  const children = new Set<ChildProcess>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const child of children) child.kill("SIGKILL")
    })
  )

  const start = (...words: readonly [mode: string, url: string, name: string, ...Array<string>]) =>
    Effect.sync((): Worker => {
      const child = spawn(process.execPath, [new URL(program, import.meta.url).pathname, ...words], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      children.add(child)
      let rest = ""
      child.stdout.on("data", (chunk: Buffer) => {
        const parts = (rest + chunk.toString()).split("\n")
        rest = parts.pop() ?? ""
        // What the logger prints is not the worker's own word.
        for (const part of parts) if (part.startsWith(`${words[2]} `)) lines.push(part.split(" "))
      })
      const signal = (name: NodeJS.Signals) => Effect.sync(() => void child.kill(name))
      return {
        kill: Effect.callback<void>((resume) => {
          child.once("close", () => resume(Effect.void))
          child.kill("SIGKILL")
        }),
        pause: signal("SIGSTOP"),
        resume: signal("SIGCONT"),
        tell: Effect.sync(() => void child.stdin.write("go\n"))
      }
    })

  /** Waits until the lines fulfil something. */
  const until = Effect.fnUntraced(function* (what: string, condition: (lines: ReadonlyArray<Line>) => boolean) {
    const deadline = (yield* Clock.currentTimeMillis) + 150_000
    while (!condition(lines)) {
      if ((yield* Clock.currentTimeMillis) > deadline) {
        return yield* Effect.die(`Not so within 150 seconds: ${what}. Last lines: ${JSON.stringify(lines.slice(-20))}`)
      }
      yield* Effect.sleep(10)
    }
  })

  return { lines, start, until }
})

export const makeWorkers = makeWorkersOf("redis-worker.ts")
