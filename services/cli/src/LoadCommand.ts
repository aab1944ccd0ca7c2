import type { LoadOptions } from "@tributary/load"
import { Duration, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { Screen } from "./Screen.ts"
import { WrongFlag } from "./WrongFlag.ts"

/** The test did not find what must be; what, has been printed. */
export class LoadFailed extends Schema.TaggedError<LoadFailed>()("LoadFailed", {
  outcome: Schema.String,
  reason: Schema.String
}) {
  readonly failureClass = "defect" as const
  override get message(): string {
    return this.outcome === "incomplete"
      ? `The load test is incomplete. ${this.reason}`
      : `The load test failed. ${this.reason}`
  }
}

const int = (name: string, fallback: number, description: string) =>
  Flag.Int(name).pipe(Flag.withDescription(`${description} (default ${fallback})`), Flag.withDefault(fallback))

const seconds = (name: string, fallback: number, description: string) =>
  Flag.Finite(name).pipe(
    Flag.withDescription(`${description}, in seconds (default ${fallback})`),
    Flag.withDefault(fallback)
  )

const flags = {
  records: int("records", 100_000, "Records of all streams together"),
  connectors: int("connector-count", 1, "Connectors, each with an authorization of its own"),
  streams: int("streams", 2, "Streams of each connector"),
  partitions: int("partitions", 4, "Partitions of each topic"),
  recordSize: Flag.Int("record-size").pipe(
    Flag.withDescription("Bytes of each record, from 512 on; default: as they are, about 390"),
    Flag.withDefault(0)
  ),
  rate: Flag.Finite("rate").pipe(
    Flag.withDescription("Records a second over all streams; default: as fast as they are read"),
    Flag.withDefault(0)
  ),
  format: Flag.Literals("format", ["json", "avro", "json_schema"]).pipe(
    Flag.withDescription("Format of the topics that sinks read (default json)"),
    Flag.withDefault("json" as const)
  ),
  transform: Flag.Literals("transform", ["none", "cast", "script"]).pipe(
    Flag.withDescription("Steps between topic and table: none, declared ones, or a script (default none)"),
    Flag.withDefault("none" as const)
  ),
  poll: seconds("poll", 1, "Time between two polls of a stream"),
  latency: seconds("latency", 0, "Time that the API takes for each answer"),
  faults: Flag.Boolean("faults").pipe(
    Flag.withDescription(
      "5 % 500s, 2 % drops, cut bodies, 429s, tokens of 5 seconds, revoked tokens, and kill -9 of each worker of the test"
    ),
    Flag.withDefault(false)
  ),
  killEvery: seconds("kill-every", 60, "With --faults: how often each worker is killed"),
  workers: Flag.String("workers").pipe(
    Flag.withDescription(
      'On servers: workers to start, as source=2,transform=1,sink=2, or "running" for those that run already, which are not killed'
    ),
    Flag.withDefault("source=2,transform=1,sink=2")
  ),
  minutes: Flag.Finite("minutes").pipe(
    Flag.withDescription("The longest that records may take to arrive (default 30)"),
    Flag.withDefault(30)
  ),
  objective: seconds("objective", 10, "Bound of the 99th percentile of freshness"),
  findKnee: Flag.Boolean("find-knee").pipe(
    Flag.withDescription("Look for the highest rate at which the objective is kept and the lag does not grow"),
    Flag.withDefault(false)
  ),
  step: seconds("step", 20, "With --find-knee: how long each rate is held"),
  listen: Flag.String("listen").pipe(
    Flag.withDescription("Where the API listens, as host:port (default 127.0.0.1:0, a free port)"),
    Flag.withDefault("127.0.0.1:0")
  ),
  url: Flag.String("url").pipe(
    Flag.withDescription("Address by which workers reach the API, where it is not the one that it listens on"),
    Flag.optional
  ),
  report: Flag.String("report").pipe(Flag.withDescription("Folder to write load.html and load.json to"), Flag.optional),
  keep: Flag.Boolean("keep").pipe(
    Flag.withDescription("Keep connectors, topics, tables and files of the test"),
    Flag.withDefault(false)
  )
}

const services = ["source", "transform", "sink"] as const

const workersOf = (text: string): Effect.Effect<LoadOptions["workers"], WrongFlag> => {
  if (text.trim() === "running") return Effect.succeed("running")
  const found = { source: 0, transform: 0, sink: 0 }
  for (const part of text.split(",")) {
    const [, name = "", digits = ""] = /^\s*(\w+)\s*=\s*(\d{1,3})\s*$/u.exec(part) ?? []
    const service = services.find((one) => one === name)
    if (service === undefined) {
      const expected = 'counts by service, as source=2,transform=1,sink=2, or "running"'
      return Effect.fail(new WrongFlag({ flag: "workers", found: text, expected }))
    }
    found[service] = Number(digits)
  }
  return Effect.succeed(found)
}

const listenOf = (text: string): Effect.Effect<LoadOptions["listen"], WrongFlag> => {
  const [, host = "", digits = ""] = /^(.+):(\d{1,6})$/u.exec(text.trim()) ?? []
  return host === ""
    ? Effect.fail(new WrongFlag({ flag: "listen", found: text, expected: "host:port, as 127.0.0.1:8090" }))
    : Effect.succeed({ host: host.replaceAll(/^\[|\]$/gu, ""), port: Number(digits) })
}

const urlOf = (text: string): Effect.Effect<string, WrongFlag> =>
  /^https?:\/\//u.test(text) && URL.canParse(text)
    ? Effect.succeed(text.replace(/\/+$/u, ""))
    : Effect.fail(new WrongFlag({ flag: "url", found: text, expected: "an address, as http://load:8090" }))

const durationOf = (flag: string, value: number): Effect.Effect<Duration.Duration, WrongFlag> =>
  Number.isFinite(value) && value >= 0
    ? Effect.succeed(Duration.seconds(value))
    : Effect.fail(new WrongFlag({ flag, found: String(value), expected: "a number of seconds, 0 or more" }))

/** `tributary load`; `shared` are the flags that all commands have. */
export const loadCommand = <R>(shared: Effect.Effect<{ readonly json: boolean }, never, R>) =>
  Command.make(
    "load",
    flags,
    Effect.fn(function* (given) {
      const { json } = yield* shared
      const screen = yield* Screen
      const options: LoadOptions = {
        ...given,
        poll: yield* durationOf("poll", given.poll),
        latency: yield* durationOf("latency", given.latency),
        killEvery: yield* durationOf("kill-every", given.killEvery),
        objective: yield* durationOf("objective", given.objective),
        step: yield* durationOf("step", given.step),
        longest: yield* durationOf("minutes", given.minutes * 60),
        workers: yield* workersOf(given.workers),
        listen: yield* listenOf(given.listen),
        url: Option.isNone(given.url) ? undefined : yield* urlOf(given.url.value),
        report: Option.getOrUndefined(given.report)
      }
      // Loaded where it is asked for: it would make each command slower to start.
      const [{ describeResult, runLoad }, { loadEngine }] = yield* Effect.promise(() =>
        Promise.all([import("@tributary/load"), import("./LoadEngines.ts")])
      )
      const result = yield* runLoad(yield* loadEngine, options, screen)
      yield* screen.print(json ? JSON.stringify(result) : describeResult(result))
      if (json) for (const problem of result.reason?.problems ?? []) yield* screen.note(problem)
      if (options.report !== undefined) yield* screen.note(`The report is in ${options.report}.`)
      if (result.outcome !== "ok") {
        return yield* new LoadFailed({ outcome: result.outcome, reason: result.reason?.sentence ?? "" })
      }
    })
  ).pipe(Command.withDescription("Drive the whole chain with a synthetic API, measure it, and compare every record"))
