// Runs `tributary load` in a process of its own.
import { Schema } from "effect"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { main } from "./support.ts"

const Result = Schema.fromJsonString(
  Schema.Struct({
    outcome: Schema.String,
    reason: Schema.NullOr(
      Schema.Struct({ kind: Schema.String, sentence: Schema.String, problems: Schema.Array(Schema.String) })
    ),
    records: Schema.Finite,
    api: Schema.Record(Schema.String, Schema.Finite),
    faults: Schema.Array(Schema.Struct({ what: Schema.String })),
    freshness: Schema.Struct({ count: Schema.Finite, p50: Schema.Finite, p99: Schema.Finite }),
    processes: Schema.Array(
      Schema.Struct({ name: Schema.String, cpu: Schema.Finite, rss: Schema.Finite, restarts: Schema.Finite })
    ),
    samples: Schema.Array(
      Schema.Struct({ offered: Schema.Finite, published: Schema.Finite, loaded: Schema.Finite, lag: Schema.Finite })
    ),
    verification: Schema.Array(
      Schema.Struct({
        what: Schema.String,
        expected: Schema.Finite,
        found: Schema.Finite,
        missing: Schema.Finite,
        duplicated: Schema.Finite,
        altered: Schema.Finite,
        foreign: Schema.Finite,
        differences: Schema.Array(Schema.String)
      })
    )
  })
)
/** A result, as `--json` prints it. */
export const resultOf = Schema.decodeSync(Result)

let runs = 0
const running = new Set<number>()
const folder = mkdtempSync(join(tmpdir(), "tributary-load-test-"))

/** Ends what a failed test left behind, and removes the folders of all. */
export const endLoads = (): void => {
  for (const pid of running) process.kill(pid, "SIGKILL")
  running.clear()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
}

/** Starts `tributary load` with a folder for temporary files of its own, so that what it leaves is seen. */
export const load = (
  args: ReadonlyArray<string>,
  options: {
    readonly program?: string
    readonly env?: Readonly<Record<string, string>>
    readonly temporary?: string
  } = {}
) => {
  const temporary = options.temporary ?? join(folder, `run-${++runs}`)
  mkdirSync(temporary, { recursive: true })
  const child = spawn(process.execPath, [options.program ?? main, "load", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: temporary, ...options.env }
  })
  if (child.pid !== undefined) running.add(child.pid)
  let out = ""
  let err = ""
  child.stdout.on("data", (part: Buffer) => (out += part.toString()))
  child.stderr.on("data", (part: Buffer) => (err += part.toString()))
  return {
    child,
    temporary,
    err: () => err,
    ended: new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((done) =>
      child.once("close", (code) => {
        if (child.pid !== undefined) running.delete(child.pid)
        done({ code, out, err })
      })
    )
  }
}

/** What is left in a folder for temporary files; Node's own cache of compiled files is none of the test's. */
export const left = (temporary: string) => readdirSync(temporary).filter((name) => !name.includes("compile-cache"))

export const sums = (result: ReturnType<typeof resultOf>) => {
  const sum = (of: (one: (typeof result.verification)[number]) => number) =>
    result.verification.reduce((total, one) => total + of(one), 0)
  return {
    missing: sum((one) => one.missing),
    duplicated: sum((one) => one.duplicated),
    altered: sum((one) => one.altered),
    foreign: sum((one) => one.foreign)
  }
}
export const nothing = { missing: 0, duplicated: 0, altered: 0, foreign: 0 }
