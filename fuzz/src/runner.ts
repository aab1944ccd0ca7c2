/** The process that runs cases, one after the other; what runs it watches its time and its memory. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import type { Case, Outcome, Wrong } from "./Case.ts"
import { runConnector } from "./runConnector.ts"
import { runEngine } from "./runEngine.ts"
import { runExpression } from "./runExpression.ts"
import { runManifest } from "./runManifest.ts"
import { runTruth } from "./runTruth.ts"

/** What the runner is sent. `sabotage`: behaves as a product with a fault would, to show that it is found. */
export interface Job {
  readonly given: Case
  readonly base: string
  readonly sabotage: string | undefined
  readonly collects: boolean
}

const isJob = (message: unknown): message is Job =>
  typeof message === "object" && message !== null && "given" in message

const folder = mkdtempSync(join(tmpdir(), "tributary-fuzz-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

/** A fault that nobody waits for any more belongs to the case that runs. */
const strays: Array<Wrong> = []
const stray = (error: unknown) => void strays.push({ name: nameOf(error), detail: textOf(error) })
process.on("uncaughtException", stray)
process.on("unhandledRejection", stray)

const textOf = (error: unknown): string =>
  (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, 1500)

/** The same fault has the same name, whatever the case's values are. */
const nameOf = (error: unknown): string => {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const place =
    error instanceof Error ? (/\/(?<file>[\w.-]+\.ts):(?<line>\d+)/u.exec(error.stack ?? "")?.[0] ?? "") : ""
  return `crash: ${text.slice(0, 60).replaceAll(/["'`].*|\d+/gu, "…")} ${place}`
}

const hog: Array<Buffer> = []

const sabotaged = async (kind: string | undefined): Promise<void> => {
  if (kind === "crash") throw new TypeError("sabotage")
  if (kind === "exit") process.exit(3)
  if (kind === "hang") await new Promise(() => {})
  if (kind === "loop") for (;;);
  if (kind === "memory") for (let n = 0; n < 64; n++) hog.push(Buffer.alloc(32 * 1_048_576, 1))
}

const run = async ({ base, collects, given, sabotage }: Job): Promise<Outcome> => {
  const started = performance.now()
  let word = "crashed"
  const wrong: Array<Wrong> = []
  try {
    await sabotaged(sabotage)
    const came =
      given.kind === "connector"
        ? await runConnector(given, base, folder)
        : given.kind === "manifest"
          ? await runManifest(given, base, folder)
          : given.kind === "engine"
            ? await runEngine(given, base, folder)
            : given.kind === "truth"
              ? await runTruth(given, base, folder, sabotage)
              : runExpression(given)
    word = came.word
    wrong.push(...came.wrong)
    if (sabotage === "place") wrong.push({ name: "an error does not name its stream", detail: "sabotage" })
  } catch (error) {
    wrong.push({ name: nameOf(error), detail: textOf(error) })
  }
  wrong.push(...strays.splice(0))
  const took = performance.now() - started
  if (!collects) return { word, wrong, took }
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  return { word, wrong, took, heap: heapUsed + external }
}

process.on("message", (message) => {
  if (!isJob(message)) return
  void run(message).then((outcome) => process.send?.(outcome))
})
process.on("disconnect", () => process.exit(0))
// The time of a case does not begin before this: a busy machine needs long to load the program.
process.send?.("ready")
