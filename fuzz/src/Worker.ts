import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { startApi } from "./Api.ts"
import type { Case, Outcome, Wrong } from "./Case.ts"
import { answeringBy } from "./Routing.ts"
import type { Job } from "./runner.ts"
import { truthfulApi } from "./TruthApi.ts"

export interface Bounds {
  /** Milliseconds that a case may take. */
  readonly time: number
  /** Bytes that the runner may have resident. */
  readonly memory: number
}

export interface Result extends Outcome {
  /** Largest resident set of the runner in the case, bytes. */
  readonly resident: number
  readonly requests: number
}

/** A connector's walks are bounded by their settings; a manifest's are not, and the API ends them. */
const mostRequests = { connector: 4000, manifest: 60, engine: 120, truth: 0, expression: 0 } as const

const isOutcome = (message: unknown): message is Outcome =>
  typeof message === "object" && message !== null && "took" in message

/** Resident set of a process in bytes; 0 where the system does not tell. */
const residentOf = (pid: number | undefined): number => {
  try {
    return Number(/VmRSS:\s+(\d+) kB/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** A process that runs cases, and the API that they ask. It is replaced when it ends, hangs or takes too much memory. */
export const startWorker = async (bounds: Bounds, sabotage?: string) => {
  const api = await startApi()
  let child: ChildProcess | undefined
  let said = ""

  /** The process, when it can be given a case. */
  const started = async (): Promise<ChildProcess> => {
    if (child !== undefined) return child
    const made = fork(join(import.meta.dirname, "runner.ts"), {
      execArgv: ["--expose-gc", "--max-old-space-size=768", "--stack-trace-limit=30"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // Time is the real one while a request is on its way: no token request is to take the usual 20 seconds.
      env: {
        ...process.env,
        TRIBUTARY_OAUTH_TIMEOUT: "1 second",
        NO_PROXY: "127.0.0.1",
        HTTP_PROXY: "",
        HTTPS_PROXY: "",
        http_proxy: "",
        https_proxy: ""
      }
    })
    said = ""
    made.stderr?.on("data", (part: Buffer) => (said = (said + part.toString()).slice(-4000)))
    child = made
    await Promise.race([once(made, "message"), once(made, "exit")])
    if (made.exitCode !== null || made.signalCode !== null) throw new Error(`the runner does not start: ${said}`)
    return made
  }
  const end = async (): Promise<void> => {
    const ended = child
    child = undefined
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return
    ended.kill("SIGKILL")
    await once(ended, "exit")
  }

  const run = async (given: Case, collects = false): Promise<Result> => {
    const runner = await started()
    api.use(
      given.kind === "truth"
        ? truthfulApi(given)
        : "routes" in given
          ? answeringBy(given.routes, mostRequests[given.kind])
          : undefined
    )
    const over = new AbortController()
    const began = performance.now()
    let resident = 0
    const watched = async (): Promise<Wrong> => {
      for (;;) {
        await sleep(50, undefined, { signal: over.signal })
        const now = residentOf(runner.pid)
        resident = Math.max(resident, now)
        if (now > bounds.memory)
          return { name: "memory has no bound", detail: `${Math.round(now / 1_048_576)} MB resident` }
        if (performance.now() - began > bounds.time)
          return { name: "a case does not end", detail: `after ${bounds.time} ms` }
      }
    }
    const replied = async (): Promise<Outcome> => {
      const [message]: ReadonlyArray<unknown> = await once(runner, "message", { signal: over.signal })
      if (!isOutcome(message)) throw new Error("the runner said something else")
      return message
    }
    const ended = async (): Promise<Wrong> => {
      const [code, signal]: ReadonlyArray<unknown> = await once(runner, "exit", { signal: over.signal })
      child = undefined
      const heap = said.includes("heap out of memory")
      return {
        name: heap ? "memory has no bound" : "the process ended",
        detail: `${String(code ?? signal)}: ${said.slice(-1500)}`
      }
    }
    const job: Job = { given, base: api.base, sabotage, collects }
    runner.send(job)
    const found = await Promise.race([watched(), replied(), ended()])
    over.abort()
    const requests = api.requests()
    api.use(undefined)
    const took = performance.now() - began
    if ("took" in found) {
      const many = given.kind === "connector" && requests >= mostRequests.connector
      const wrong = many
        ? [...found.wrong, { name: "a walk does not end", detail: `${requests} requests` }]
        : found.wrong
      return { ...found, wrong, resident: Math.max(resident, residentOf(runner.pid)), requests }
    }
    await end()
    return { word: "ended", wrong: [found], took, resident, requests }
  }

  return {
    run,
    stop: async (): Promise<void> => {
      await end()
      api.stop()
    }
  }
}

export type Worker = Awaited<ReturnType<typeof startWorker>>
