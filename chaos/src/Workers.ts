import { runToEnd, startWorker as startNode, type WorkerOptions } from "@tributary/load"
import { fileURLToPath } from "node:url"

/** The command that everything is started with. */
const tributary: ReadonlyArray<string> = [
  "--max-semi-space-size=8",
  fileURLToPath(import.meta.resolve("@tributary/cli/main"))
]

/** Runs a command of the platform to its end, for at most three minutes. */
export const runCommand = (args: ReadonlyArray<string>, options: Parameters<typeof runToEnd>[1]) =>
  runToEnd([...tributary, ...args], options)

/** Starts a process of the platform, `args` being those of `tributary`; it ends with the scope. */
export const startWorker = (options: WorkerOptions) => startNode({ ...options, args: [...tributary, ...options.args] })
