import { LosslessJson } from "@tributary/codec"
import { Log, type LogRecord } from "@tributary/log"
import { Duration, Effect } from "effect"
import { Screen } from "./Screen.ts"

export interface TapOptions {
  readonly topic: string
  /** `earliest`, `latest`, or a number of records from the end. */
  readonly from: "earliest" | "latest" | number
  /** Stop after so many records; without it go on as records come. */
  readonly limit: number | undefined
  readonly follow: boolean
  readonly json: boolean
}

const decoder = new TextDecoder()

const shown = (bytes: Uint8Array | null): unknown => {
  if (bytes === null) return null
  const text = decoder.decode(bytes)
  try {
    return LosslessJson.parse(text)
  } catch {
    // Not JSON: the text itself is the most that can be shown.
    return text
  }
}

const line = (partition: number, record: LogRecord, json: boolean): string => {
  const value = record.value === null ? null : decoder.decode(record.value)
  if (!json) {
    const key = record.key === null ? "–" : decoder.decode(record.key)
    const headers = Object.entries(record.headers).map(([name, text]) => `\n    ${name}: ${text}`)
    return `${partition}/${record.offset}  ${key}  ${value ?? "(deleted)"}${headers.join("")}`
  }
  return LosslessJson.stringify({
    partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.key === null ? null : decoder.decode(record.key),
    value: shown(record.value),
    headers: record.headers
  })
}

/** Prints the records of a topic; with `follow` also those to come. Joins no group and moves no position. */
export const tap = Effect.fn("cli.tap")(function* (options: TapOptions) {
  const log = yield* Log
  const screen = yield* Screen
  let left = options.limit ?? Number.POSITIVE_INFINITY
  const offsets = yield* log.offsets(options.topic)
  const start = (earliest: number, end: number): number => {
    if (options.from === "earliest") return earliest
    if (options.from === "latest") return end
    return Math.max(earliest, end - options.from)
  }
  const read = Effect.fnUntraced(function* (partition: number, from: number, until: number) {
    let next = from
    while (left > 0 && next < until) {
      const batch = yield* log.read(options.topic, partition, next, {
        maxRecords: Math.min(500, left),
        maxBytes: 1_048_576,
        wait: options.follow ? Duration.minutes(1) : Duration.zero
      })
      for (const record of batch.records) {
        if (left <= 0) break
        left--
        yield* screen.print(line(partition, record, options.json))
      }
      if (batch.next === next && !options.follow) break
      next = batch.next
    }
  })
  yield* Effect.forEach(
    offsets,
    ({ earliest, end, partition }) =>
      read(partition, start(earliest, end), options.follow ? Number.POSITIVE_INFINITY : end),
    { concurrency: options.follow ? "unbounded" : 1, discard: true }
  )
})
