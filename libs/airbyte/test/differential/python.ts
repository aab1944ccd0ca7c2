/** A Python with airbyte-cdk, made once in the user's cache. */
import { pythonWith, type PythonWith } from "@tributary/testkit"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"

/** What is installed, as pip names it. */
const wanted = "airbyte-cdk==7.39.1"

/** The Python that has it, or why there is none. AIRBYTE_CDK_PYTHON names one that is there already. */
export const cdkPython = (): PythonWith => {
  const given = process.env["AIRBYTE_CDK_PYTHON"]
  return given !== undefined && given !== ""
    ? { python: given.includes("/") ? resolve(given) : given }
    : pythonWith("airbyte-cdk-7.39.1", wanted)
}

/** A runner of jobs, each one line of JSON, its reply another. */
export interface Runner {
  /** Fails with a `TimeoutError` after so many milliseconds; the next job gets a new process. */
  readonly run: (job: string, millis: number) => Promise<string>
  readonly stop: () => void
}

export class TimeoutError extends Error {}

/** The reply, or a failure when it takes too long. */
export const inTime = async <A>(reply: Promise<A>, millis: number): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    // oxlint-disable-next-line no-restricted-globals -- a bound on another process, in no Effect
    timer = setTimeout(() => reject(new TimeoutError(`no reply within ${millis / 1000} s`)), millis)
  })
  try {
    return await Promise.race([reply, late])
  } finally {
    clearTimeout(timer)
  }
}

const spawnCdk = (python: string) => {
  // The CDK leaves files of async jobs where it runs.
  const cwd = mkdtempSync(join(tmpdir(), "tributary-cdk-"))
  const child: ChildProcess = spawn(python, [join(import.meta.dirname, "cdk.py")], {
    cwd,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NO_PROXY: "*", no_proxy: "*" }
  })
  child.once("exit", () => rmSync(cwd, { recursive: true, force: true }))
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error("Python has no pipes")
  return { child, stdin, lines: createInterface({ input: stdout })[Symbol.asyncIterator]() }
}

/** A Python process that runs one job after the other. */
export const startCdk = (python: string): Runner => {
  let current: ReturnType<typeof spawnCdk> | undefined
  const end = () => {
    current?.child.kill("SIGKILL")
    current = undefined
  }
  return {
    run: async (job, millis) => {
      current ??= spawnCdk(python)
      const { lines, stdin } = current
      stdin.write(`${job}\n`)
      try {
        const next = await inTime(lines.next(), millis)
        if (next.done === true) throw new Error("the Python process ended; see its messages above")
        return next.value
      } catch (error) {
        end()
        throw error
      }
    },
    stop: end
  }
}
