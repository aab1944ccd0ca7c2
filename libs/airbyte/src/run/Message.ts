import { writeJson } from "../component/jsonText.ts"
import type { FailureType } from "../component/RunError.ts"
import type { PlainDict, Value } from "../expression/Value.ts"

/** A message of Airbyte's protocol, as one line of JSON. */
export type Message = PlainDict

/** Records are the many: their line is put together from its parts. */
export const recordLine = (stream: string, data: PlainDict, emittedAt: number): string =>
  `{"type":"RECORD","record":{"stream":${JSON.stringify(stream)},"data":${writeJson(data)},"emitted_at":${emittedAt}}}`

/** A message as its line. */
export const line = (message: Message): string => writeJson(message)

export const log = (level: "INFO" | "WARN" | "ERROR", message: string): Message => ({
  type: "LOG",
  log: { level, message }
})

/** `records` counts those since the stream's last state. */
export const state = (stream: string, streamState: PlainDict, records: number): Message => ({
  type: "STATE",
  state: {
    type: "STREAM",
    stream: { stream_descriptor: { name: stream }, stream_state: streamState },
    sourceStats: { recordCount: records }
  }
})

export const streamStatus = (
  stream: string,
  status: "STARTED" | "RUNNING" | "COMPLETE" | "INCOMPLETE",
  emittedAt: number
): Message => ({
  type: "TRACE",
  trace: {
    type: "STREAM_STATUS",
    emitted_at: emittedAt,
    stream_status: { stream_descriptor: { name: stream }, status }
  }
})

export const errorTrace = (message: string, failureType: FailureType, emittedAt: number, stream?: string): Message => ({
  type: "TRACE",
  trace: {
    type: "ERROR",
    emitted_at: emittedAt,
    error: {
      message,
      internal_message: message,
      failure_type: failureType,
      ...(stream === undefined ? {} : { stream_descriptor: { name: stream } })
    }
  }
})

/** The config after its tokens changed, for whoever keeps it. */
export const control = (config: Value, emittedAt: number): Message => ({
  type: "CONTROL",
  control: { type: "CONNECTOR_CONFIG", emitted_at: emittedAt, connectorConfig: { config } }
})
