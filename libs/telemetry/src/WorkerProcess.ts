import { Clock, Effect, Schema } from "effect"
// A process knows its own use of the machine from nowhere else.
// oxlint-disable-next-line eslint/no-restricted-imports
import process from "node:process"

/**
 * What the process of a worker uses of its machine; a value of `_tributary.status`, keyed `@worker`. Workers write it every 5 seconds
 * and take it back when they end well. Two of them give the CPU time of the time between, by their `at`.
 */
export const WorkerProcess = Schema.Struct({
  worker: Schema.String,
  /** What it runs: `source`, `transform`, `sink` or `control`. */
  service: Schema.String,
  /** When it was measured, milliseconds since 1970. */
  at: Schema.Finite,
  /** When the process started, milliseconds since 1970: a worker of the same name that started later counts CPU time anew. */
  startedAt: Schema.Finite,
  /** CPU time of all threads since the process started, in user and system mode, seconds. */
  cpuSeconds: Schema.Finite,
  /** Memory that is in RAM, bytes. */
  residentBytes: Schema.Finite
})
export type WorkerProcess = typeof WorkerProcess.Type

/** A process with whether it wrote within the last 60 seconds. */
export interface SeenProcess extends WorkerProcess {
  readonly isLive: boolean
}

const mark = "@"

/** Key of a worker's process in `_tributary.status`. */
export const workerProcessKey = (worker: string): string => `${mark}${worker}`

/** Whether a key of `_tributary.status` is that of a process; all others are those of streams. */
export const isWorkerProcessKey = (key: string): boolean => key.startsWith(mark)

/** Measures the process that this runs in. */
export const measureProcess = (worker: string, service: string): Effect.Effect<WorkerProcess> =>
  Effect.map(Clock.currentTimeMillis, (at) => {
    const { system, user } = process.cpuUsage()
    return {
      worker,
      service,
      at,
      startedAt: Math.round(performance.timeOrigin),
      cpuSeconds: (user + system) / 1_000_000,
      residentBytes: process.memoryUsage.rss()
    }
  })
