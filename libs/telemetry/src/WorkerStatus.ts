import { Schema } from "effect"
import { StreamStatus } from "./Status.ts"

/**
 * What one worker does for a stream; the value of `_tributary.status`, keyed `connector/stream@worker`. The one process of an
 * engine that is not shared has the name "", and its keys end with the stream.
 */
export const WorkerStatus = Schema.Struct({
  ...StreamStatus.fields,
  worker: Schema.String,
  /** When it was written, milliseconds since 1970. Workers write again every 10 seconds, changed or not. */
  at: Schema.Finite
})
export type WorkerStatus = typeof WorkerStatus.Type

/** Key of a worker's status of a stream in `_tributary.status`. */
export const workerStatusKey = ({ connector, stream, worker }: Pick<WorkerStatus, "connector" | "stream" | "worker">) =>
  worker === "" ? `${connector}/${stream}` : `${connector}/${stream}@${worker}`
