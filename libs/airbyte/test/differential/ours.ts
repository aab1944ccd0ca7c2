/** Runs a manifest with this project's runner, in time that stands still and passes only by sleeping. */
import { Clock, Duration, Effect, Layer, Schema } from "effect"
import {
  isPlainDict,
  makeSource,
  ManifestHttp,
  manifestOf,
  type Output,
  parseJson,
  type PlainDict,
  RunError,
  ManifestError,
  type Value
} from "../../src/index.ts"

/** What a run came to. */
export interface Outcome {
  readonly check: string | null
  readonly streams: Value
  readonly records: PlainDict
  readonly states: PlainDict
  readonly incomplete: ReadonlyArray<string>
  readonly failed: boolean
  readonly error: string | null
}

export interface Job {
  readonly verb: "check" | "discover" | "read"
  readonly manifest: PlainDict
  readonly config: PlainDict
  readonly state: ReadonlyArray<Value>
  readonly folder: string
}

const startMillis = 1_709_212_455_167

const frozenClock = (): Clock.Clock => {
  let now = startMillis
  return {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.sync(() => {
        now += Duration.toMillis(duration)
      })
  }
}

/** Requests go to the local API, which is told the address that was meant. */
const httpTo = (base: string) =>
  Layer.effect(
    ManifestHttp,
    Effect.map(ManifestHttp, (http) =>
      ManifestHttp.of({
        send: (request, timeouts) =>
          Effect.map(
            http.send(
              { ...request, url: `${base}/`, headers: { ...request.headers, "X-Meant-Url": request.url } },
              timeouts
            ),
            (answer) => ("status" in answer ? answer.from(request) : answer)
          )
      })
    )
  ).pipe(Layer.provide(ManifestHttp.layer))

const member = (value: Value | undefined, name: string): Value | undefined =>
  value !== undefined && value !== null && isPlainDict(value) ? value[name] : undefined

const stateOf = (messages: ReadonlyArray<Value>): ReadonlyMap<string, PlainDict> =>
  new Map(
    messages.flatMap((message): ReadonlyArray<readonly [string, PlainDict]> => {
      const stream = member(message, "stream")
      const name = member(member(stream, "stream_descriptor"), "name")
      const state = member(stream, "stream_state")
      return typeof name === "string" && state !== undefined && state !== null && isPlainDict(state)
        ? [[name, state]]
        : []
    })
  )

const isOurs = Schema.is(Schema.Union([RunError, ManifestError]))

export const runOurs = async (job: Job, base: string): Promise<Outcome> => {
  const messages: Array<Value> = []
  const output: Output = {
    print: (lines) =>
      Effect.sync(() => {
        for (const line of lines) messages.push(parseJson(line))
      })
  }
  const program = Effect.gen(function* () {
    const manifest = yield* Effect.try({
      try: () => manifestOf(job.manifest),
      catch: (error) => (isOurs(error) ? error : new RunError({ problem: String(error), failureType: "system_error" }))
    })
    const source = yield* makeSource({
      manifest,
      config: job.config,
      folder: job.folder,
      environment: {
        ports: {
          nowMicros: () => 1_709_212_455_167_089,
          uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f",
          random: () => 0
        }
      },
      output
    })
    if (job.verb === "check") return yield* source.check
    if (job.verb === "discover") return yield* Effect.as(source.discover, true)
    return yield* source.read({ catalog: undefined, state: stateOf(job.state) })
  }).pipe(Effect.scoped, Effect.provide(httpTo(base)), Effect.provideService(Clock.Clock, frozenClock()))
  const result = await Effect.runPromise(Effect.result(program))
  const records: PlainDict = {}
  const states: PlainDict = {}
  const incomplete: Array<string> = []
  let check: string | null = null
  let streams: Value = null
  let error = result._tag === "Failure" ? result.failure.message : null
  for (const message of messages) {
    switch (member(message, "type")) {
      case "RECORD": {
        const record = member(message, "record")
        const name = String(member(record, "stream"))
        const list = records[name]
        const data = member(record, "data") ?? null
        if (Array.isArray(list)) list.push(data)
        else records[name] = [data]
        break
      }
      case "STATE": {
        const stream = member(member(message, "state"), "stream")
        states[String(member(member(stream, "stream_descriptor"), "name"))] = member(stream, "stream_state") ?? null
        break
      }
      case "CONNECTION_STATUS": {
        const status = member(message, "connectionStatus")
        check = String(member(status, "status"))
        error ??= member(status, "message") === undefined ? null : String(member(status, "message"))
        break
      }
      case "CATALOG":
        streams = member(member(message, "catalog"), "streams") ?? null
        break
      case "TRACE": {
        const trace = member(message, "trace")
        const status = member(trace, "stream_status")
        if (member(status, "status") === "INCOMPLETE") {
          incomplete.push(String(member(member(status, "stream_descriptor"), "name")))
        }
        error ??= member(trace, "error") === undefined ? null : String(member(member(trace, "error"), "message"))
        break
      }
      default:
    }
  }
  if (job.verb === "check" && check === null) check = "FAILED"
  const failed = result._tag === "Failure" || (job.verb === "read" && !result.success)
  return { check, streams, records, states, incomplete, failed, error }
}
