/** Runs jobs with this project's runner in a thread of its own, which can be ended whatever it does. */
import { dirname } from "node:path"
import { parentPort, Worker } from "node:worker_threads"
import { parseJson, type Value, writeJson } from "../../src/index.ts"
import { dict, manifestIn } from "./cases.ts"
import { engineRun } from "./engineMode.ts"
import { runOurs } from "./ours.ts"
import { inTime, type Runner } from "./python.ts"

const verbOf = (value: Value | undefined): "check" | "discover" | "read" =>
  value === "check" || value === "discover" ? value : "read"

const run = async (text: string): Promise<string> => {
  const job = dict(parseJson(text))
  if (job["engine"] !== undefined) return engineRun(job["engine"])
  const file = String(job["file"])
  const state = job["state"]
  const outcome = await runOurs(
    {
      verb: verbOf(job["verb"]),
      manifest: manifestIn(file).manifest,
      config: dict(job["config"]),
      state: Array.isArray(state) ? state : [],
      folder: dirname(file)
    },
    String(job["base"])
  )
  return writeJson({ ...outcome, incomplete: [...outcome.incomplete], controls: [...outcome.controls] })
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread, which has no origin
const answer = (message: { readonly reply: string } | { readonly error: string }) => parentPort?.postMessage(message)

parentPort?.on("message", (text: unknown) => {
  run(String(text)).then(
    (reply) => answer({ reply }),
    (error: unknown) => answer({ error: String(error) })
  )
})

const replyOf = (message: unknown): string => {
  if (typeof message === "object" && message !== null && "reply" in message) return String(message.reply)
  const reason = typeof message === "object" && message !== null && "error" in message ? message.error : message
  throw new Error(`the run broke: ${String(reason)}`)
}

/** A thread that runs one job after the other. */
export const startOurs = (): Runner => {
  let worker: Worker | undefined
  const end = () => {
    void worker?.terminate()
    worker = undefined
  }
  return {
    run: async (job, millis) => {
      const current = (worker ??= new Worker(new URL("./worker.ts", import.meta.url)))
      const reply = new Promise<unknown>((resolve, reject) => {
        current.removeAllListeners()
        current.on("message", resolve)
        current.on("error", reject)
        current.on("exit", () => reject(new Error("the thread ended")))
      })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, which has no origin
      current.postMessage(job)
      try {
        return replyOf(await inTime(reply, millis))
      } catch (error) {
        end()
        throw error
      }
    },
    stop: end
  }
}
