import { smallestSize } from "@tributary/testkit"
import { Duration, Schema } from "effect"
import type { ShapeName } from "./Shapes.ts"

/** How the values of a topic that sinks read are written. */
export const formats = ["json", "avro", "json_schema"] as const

/** What a load test is to do. Times are durations, sizes bytes, rates records per second. */
export interface LoadOptions {
  /** Records of all streams together. */
  readonly records: number
  readonly connectors: number
  /** Streams of each connector. */
  readonly streams: number
  readonly partitions: number
  /** Size of each record; 0: about 390, as they are. */
  readonly recordSize: number
  /** Rate over all streams; 0: as fast as they are read. */
  readonly rate: number
  readonly format: (typeof formats)[number]
  readonly transform: ShapeName
  /** Time between two polls of a stream. */
  readonly poll: Duration.Duration
  /** Time before each answer of the API. */
  readonly latency: Duration.Duration
  readonly faults: boolean
  /** With faults: how often each worker is killed. */
  readonly killEvery: Duration.Duration
  /** Workers of each service, or those that run already. */
  readonly workers: { readonly source: number; readonly transform: number; readonly sink: number } | "running"
  /** The longest that everything may take; what is not there then is reported as missing. */
  readonly longest: Duration.Duration
  /** Bound of the 99th percentile of freshness. */
  readonly objective: Duration.Duration
  readonly findKnee: boolean
  /** How long a rate is looked at when the knee is looked for. */
  readonly step: Duration.Duration
  /** Where the API listens, and the address by which workers reach it; default: that. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly url: string | undefined
  /** Folder for load.html and load.json. */
  readonly report: string | undefined
  /** Keep connectors, topics, tables and files. */
  readonly keep: boolean
}

/** What was asked for cannot be done. */
export class WrongLoad extends Schema.TaggedError<WrongLoad>()("WrongLoad", {
  option: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  readonly isUsage = true
  override get message(): string {
    return `--${this.option} ${this.problem}`
  }
}

const mostStreams = 200
/** Identifiers of records have ten digits. */
const mostRecords = 1_000_000_000

/** What is wrong with options; `undefined` when nothing is. */
export const problemOf = (options: LoadOptions, isEmbedded: boolean): WrongLoad | undefined => {
  const wrong = (option: string, problem: string) => new WrongLoad({ option, problem })
  const between = (option: string, value: number, low: number, high: number) =>
    Number.isInteger(value) && value >= low && value <= high
      ? undefined
      : wrong(option, `is ${value}; expected a whole number from ${low} to ${high}.`)
  const streams = options.connectors * options.streams
  const { listen, workers } = options
  return (
    between("records", options.records, 1, mostRecords) ??
    between("connector-count", options.connectors, 1, mostStreams) ??
    between("streams", options.streams, 1, mostStreams) ??
    (streams > mostStreams
      ? wrong(
          "streams",
          `makes ${streams} streams with --connector-count; expected at most ${mostStreams} of both together.`
        )
      : undefined) ??
    (options.records < streams
      ? wrong("records", `is ${options.records}, fewer than the ${streams} streams; each needs one at least.`)
      : undefined) ??
    between("partitions", options.partitions, 1, 256) ??
    (options.recordSize === 0 ? undefined : between("record-size", options.recordSize, smallestSize, 1_048_576)) ??
    (Number.isFinite(options.rate) && options.rate >= 0
      ? undefined
      : wrong("rate", `is ${options.rate}; expected records per second, or 0 for as many as can be read.`)) ??
    between("listen", listen.port, 0, 65_535) ??
    (workers === "running"
      ? undefined
      : (between("workers", workers.source, 1, 64) ??
        between("workers", workers.transform, 0, 64) ??
        between("workers", workers.sink, 1, 64))) ??
    (workers !== "running" && workers.transform === 0 && options.transform !== "none"
      ? wrong("workers", "has no transform worker, which --transform needs.")
      : undefined) ??
    (workers === "running" && isEmbedded
      ? wrong(
          "workers",
          "is running, but no server is named by which they could be reached; set TRIBUTARY_KAFKA_BROKERS."
        )
      : undefined) ??
    (options.findKnee && options.faults
      ? wrong("find-knee", "cannot go with --faults: what is found then would be chance.")
      : undefined) ??
    (options.findKnee && options.rate > 0
      ? wrong("find-knee", "looks for the rate by itself; leave out --rate.")
      : undefined) ??
    (Duration.toMillis(options.longest) > 0 ? undefined : wrong("minutes", "is 0; expected more.")) ??
    undefined
  )
}

/** Options as names and values to show. */
export const describeOptions = (options: LoadOptions, isEmbedded: boolean): Readonly<Record<string, string>> => {
  const { workers } = options
  return {
    records: options.findKnee ? "as many as it takes" : options.records.toLocaleString("en-US"),
    connectors: `${options.connectors} with ${options.streams} stream(s) of ${options.partitions} partition(s)`,
    "record size": options.recordSize === 0 ? "about 390 bytes" : `${options.recordSize} bytes`,
    rate: options.rate === 0 ? "as fast as read" : `${options.rate.toLocaleString("en-US")} records/s`,
    format: options.format,
    transform: options.transform,
    latency: Duration.format(options.latency),
    poll: `every ${Duration.format(options.poll)}`,
    faults: options.faults
      ? `5 % 500s, 2 % drops, 1 % 429s, 1 % cut, tokens of 5 s, revoked tokens, a kill of each worker every ${Duration.format(options.killEvery)}`
      : "none",
    workers: isEmbedded
      ? "one process"
      : workers === "running"
        ? "running"
        : `${workers.source} source, ${workers.transform} transform, ${workers.sink} sink`,
    objective: Duration.format(options.objective)
  }
}
