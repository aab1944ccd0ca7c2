import { Effect } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { randomUUID } from "node:crypto"
import { newKey } from "../keys.ts"
import { redisServer } from "../RedisServer.ts"
import { now, startFleetServer } from "./FleetServer.ts"
import { absence, type FleetOptions, type WorkerOptions, type WorkerReport } from "./options.ts"
import type { FleetRecord } from "./verdict.ts"

const isReport = (value: unknown): value is WorkerReport =>
  typeof value === "object" && value !== null && "tokens" in value && "failures" in value

/** Runs a fleet from its start to its last life, with a process killed and the server away in between. */
export const runFleet = Effect.fn("runFleet")(function* (
  options: FleetOptions,
  onProgress: (line: string) => void = () => undefined
) {
  // Synced at once: tokens that live for seconds cannot wait a second for the disk.
  const redis = yield* redisServer("--appendonly", "yes", "--appendfsync", "always")
  const server = yield* startFleetServer(options.authorizations, options.life)
  const told: Omit<WorkerOptions, "index"> = {
    fleet: options,
    redisUrl: redis.url,
    prefix: `fleet:${randomUUID()}:`,
    vaultKey: newKey(),
    tokenUrl: server.tokenUrl,
    apiUrl: server.apiUrl,
    first: server.first
  }
  const tokens = new Map<string, Set<string>>()
  const failures: Array<FleetRecord["failures"][number]> = []
  const sums = { gets: 0, longestWait: 0, ended: "" }
  const children = new Map<number, ChildProcess>()
  const note = (report: WorkerReport) => {
    sums.gets += report.gets
    sums.longestWait = Math.max(sums.longestWait, report.longestWait)
    for (const [authorization, generation, print] of report.tokens) {
      const key = `${authorization}/${generation}`
      const prints = tokens.get(key)
      if (prints === undefined) tokens.set(key, new Set([print]))
      else prints.add(print)
    }
    for (const [failureClass, { count, message }] of Object.entries(report.failures)) {
      for (let each = 0; each < count; each++) failures.push({ at: now(), failureClass, message })
    }
  }
  const start = (index: number) =>
    Effect.sync(() => {
      const child = fork(new URL("./fleet-worker.ts", import.meta.url), {
        stdio: ["ignore", "ignore", "inherit", "ipc"]
      })
      children.set(index, child)
      child.on("message", (message) => {
        if (isReport(message)) note(message)
      })
      child.once("exit", (code, signal) => {
        if (signal !== "SIGKILL") sums.ended = `process ${index} ended by itself (${code ?? signal})`
      })
      child.send({ ...told, index } satisfies WorkerOptions)
    })
  const kill = (index: number) =>
    Effect.callback<void>((resume) => {
      const child = children.get(index)
      children.delete(index)
      if (child === undefined || child.exitCode !== null) return resume(Effect.void)
      child.once("exit", () => resume(Effect.void))
      child.kill("SIGKILL")
    })
  yield* Effect.addFinalizer(() => Effect.forEach([...children.keys()], kill, { discard: true }))

  for (let index = 0; index < options.processes; index++) yield* start(index)

  /** Lives that every authorization has behind it. */
  const reached = Array.from({ length: options.authorizations }, () => 0)
  let looked = 0
  const lives = () => {
    for (; looked < server.seen.length; looked++) {
      const request = server.seen[looked]
      if (request?.status === 200)
        reached[request.authorization] = Math.max(reached[request.authorization] ?? 0, request.life + 1)
    }
    return Math.min(...reached)
  }
  /** Without any new life for so long there will be none: tokens are lost. */
  const patience = 4 * options.life + 20_000
  /** How long it takes at most until all have a first token, while the processes start, on a busy machine. */
  const starting = 120_000
  let shown = now()
  /** Waits until so much of all lives is over. False: they do not come to it. */
  const until = Effect.fnUntraced(function* (part: number) {
    let known = lives()
    let since = now()
    for (;;) {
      const current = lives()
      if (current !== known) since = now()
      known = current
      if (current >= options.lives * part) return true
      // What the server has revoked does not come back.
      if (now() - since > (current === 0 ? starting : patience) || sums.ended !== "" || server.stats.reuses > 0)
        return false
      if (now() - shown > 10_000) {
        shown = now()
        onProgress(`${lives()} of ${options.lives} lives; ${server.seen.length} token requests`)
      }
      yield* Effect.sleep(50)
    }
  })

  const result = (killedAt: number, outage: FleetRecord["outage"], isComplete: boolean): FleetRecord => ({
    options,
    seen: [...server.seen],
    revoked: server.stats.reuses,
    issued: server.issued,
    tokens,
    killedAt,
    outage,
    failures,
    gets: sums.gets,
    apiCalls: server.api.calls,
    apiRefused: server.api.refused,
    longestWait: sums.longestWait,
    isComplete
  })
  const never = { from: Infinity, busyFrom: Infinity, until: Infinity }

  if (!(yield* until(0.3))) return result(Infinity, never, false)
  const killedAt = now()
  yield* kill(options.processes - 1)
  onProgress("one process killed")
  yield* Effect.sleep(absence)
  yield* start(options.processes - 1)

  if (!(yield* until(0.6))) return result(killedAt, never, false)
  const from = now()
  onProgress("the authorization server is away")
  yield* server.goAway
  yield* Effect.sleep(options.outage / 2)
  const busyFrom = now()
  yield* server.comeBackBusy
  yield* Effect.sleep(options.outage / 2)
  yield* server.recover
  const outage = { from, busyFrom, until: now() }
  onProgress("it is back")

  const isComplete = yield* until(1)
  // What is under way shows, and what processes saw of it.
  yield* Effect.sleep(500)
  if (sums.ended !== "") onProgress(sums.ended)
  return result(killedAt, outage, isComplete)
}, Effect.scoped)
