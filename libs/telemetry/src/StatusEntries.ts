import { Result, Schema } from "effect"
import { isWorkerProcessKey, WorkerProcess } from "./WorkerProcess.ts"
import { WorkerStatus } from "./WorkerStatus.ts"

const decodeStream = Schema.decodeUnknownResult(Schema.fromJsonString(WorkerStatus))
const decodeProcess = Schema.decodeUnknownResult(Schema.fromJsonString(WorkerProcess))
const text = new TextDecoder()

/** What workers wrote to `_tributary.status`. */
export interface StatusEntries {
  readonly streams: ReadonlyArray<WorkerStatus>
  readonly processes: ReadonlyArray<WorkerProcess>
  /** Keys whose value this version cannot read: another one wrote it. */
  readonly unreadable: ReadonlyArray<string>
}

/** Reads the last value of each key of `_tributary.status`. */
export const readStatusEntries = (
  last: Iterable<readonly [string, { readonly value: Uint8Array | null }]>
): StatusEntries => {
  const streams: Array<WorkerStatus> = []
  const processes: Array<WorkerProcess> = []
  const unreadable: Array<string> = []
  for (const [key, { value }] of last) {
    if (value === null) continue
    const json = text.decode(value)
    if (isWorkerProcessKey(key)) {
      const decoded = decodeProcess(json)
      if (Result.isSuccess(decoded)) processes.push(decoded.success)
      else unreadable.push(key)
      continue
    }
    const decoded = decodeStream(json)
    if (Result.isSuccess(decoded)) streams.push(decoded.success)
    else unreadable.push(key)
  }
  return { streams, processes, unreadable: unreadable.toSorted() }
}
