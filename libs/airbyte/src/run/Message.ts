import { writeJson } from "../component/jsonText.ts"
import type { FailureType } from "../component/RunError.ts"
import type { FileReference } from "../component/Selector.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

/** A message of Airbyte's protocol, as one line of JSON. */
export type Message = PlainDict

/** Records are the many: their line is put together from its parts. */
export const recordLine = (stream: string, data: PlainDict, emittedAt: number, file?: FileReference): string =>
  `{"type":"RECORD","record":{"stream":${JSON.stringify(stream)},"data":${writeJson(data)},"emitted_at":${emittedAt}${file === undefined ? "" : `,"file_reference":${JSON.stringify(file)}`}}}`

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
  emittedAt: number,
  reason?: "RATE_LIMITED"
): Message => ({
  type: "TRACE",
  trace: {
    type: "STREAM_STATUS",
    emitted_at: emittedAt,
    stream_status: {
      stream_descriptor: { name: stream },
      status,
      ...(reason === undefined ? {} : { reasons: [{ type: reason }] })
    }
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

/** What a check came to; `problem` is undefined when it succeeded. */
export const connectionStatus = (problem: string | undefined): Message => ({
  type: "CONNECTION_STATUS",
  connectionStatus: problem === undefined ? { status: "SUCCEEDED" } : { status: "FAILED", message: problem }
})

/** The config after its tokens changed, for whoever keeps it. */
export const control = (config: Value, emittedAt: number): Message => ({
  type: "CONTROL",
  control: { type: "CONNECTOR_CONFIG", emitted_at: emittedAt, connectorConfig: { config } }
})

/** Members of messages that people read. */
const texts = new Set(["message", "internal_message"])

/** A message with its texts changed; its other members are words of the protocol, which a short secret may be a part of. */
export const withTexts = (message: Message, change: (text: string) => string): Message =>
  Object.fromEntries(
    Object.entries(message).map(([name, value]): [string, Value] => {
      if (typeof value === "string") return [name, texts.has(name) ? change(value) : value]
      return [name, value !== null && isPlainDict(value) ? withTexts(value, change) : value]
    })
  )
