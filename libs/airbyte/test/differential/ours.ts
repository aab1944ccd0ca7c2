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
  streamStates,
  ManifestError,
  type Value,
  type WantedStream
} from "../../src/index.ts"
import { copyOfDict } from "../../src/component/copyOf.ts"

/** What a run came to. */
export interface Outcome {
  readonly check: string | null
  readonly streams: Value
  readonly records: PlainDict
  readonly states: PlainDict
  readonly incomplete: ReadonlyArray<string>
  /** Configs that the run has changed. */
  readonly controls: ReadonlyArray<Value>
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
    currentTimeNanosUnsafe: () => BigInt(Math.floor(now)) * 1_000_000n,
    monotonicTimeNanosUnsafe: () => BigInt(Math.floor(now)) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(Math.floor(now)) * 1_000_000n),
    currentTimeNanos: Effect.sync(() => BigInt(Math.floor(now)) * 1_000_000n),
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

/** The streams of a CATALOG message, as they are asked for. */
const catalogOf = (messages: ReadonlyArray<Value>): ReadonlyArray<WantedStream> =>
  messages.flatMap((message) => {
    const streams = member(member(message, "catalog"), "streams")
    return (Array.isArray(streams) ? streams : []).map((stream) => {
      const schema = member(stream, "json_schema")
      return {
        name: String(member(stream, "name")),
        cursorField: undefined,
        schema: schema !== undefined && schema !== null && isPlainDict(schema) ? schema : {}
      }
    })
  })

const isOurs = Schema.is(Schema.Union([RunError, ManifestError]))

export const runOurs = async (job: Job, base: string): Promise<Outcome> => {
  const messages: Array<Value> = []
  const written = new Map<string, string>()
  const outputTo = (list: Array<Value>): Output => ({
    print: (lines) =>
      Effect.sync(() => {
        for (const line of lines) list.push(parseJson(line))
      })
  })
  const program = Effect.gen(function* () {
    const manifest = yield* Effect.try({
      try: () => manifestOf(job.manifest),
      catch: (error) => (isOurs(error) ? error : new RunError({ problem: String(error), failureType: "system_error" }))
    })
    const sourceFor = (list: Array<Value>) =>
      makeSource({
        manifest,
        // A run may change the config that it is given.
        config: copyOfDict(job.config),
        folder: job.folder,
        environment: {
          ports: {
            nowMicros: () => 1_709_212_455_167_089,
            uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f",
            random: () => 0
          }
        },
        output: outputTo(list),
        files: {
          write: (path, body) =>
            Effect.sync(() => {
              written.set(path, Buffer.from(body).toString("base64"))
              return { url: path, size: body.length }
            })
        }
      })
    const source = yield* sourceFor(messages)
    if (job.verb === "check") return yield* source.check
    if (job.verb === "discover") return yield* Effect.as(source.discover, true)
    // A read takes all that a discovery finds, whose requests are not counted.
    const found: Array<Value> = []
    yield* Effect.flatMap(sourceFor(found), (first) => first.discover)
    const http = yield* ManifestHttp
    yield* http.send({ method: "GET", url: "http://mark/", headers: { "X-Mark": "1" }, body: undefined }, {})
    return yield* source.read({ catalog: catalogOf(found), state: streamStates([...job.state]) })
  }).pipe(Effect.scoped, Effect.provide(httpTo(base)), Effect.provideService(Clock.Clock, frozenClock()))
  const result = await Effect.runPromise(Effect.result(program))
  const records: PlainDict = {}
  const states: PlainDict = {}
  const incomplete: Array<string> = []
  const controls: Array<Value> = []
  let check: string | null = null
  let streams: Value = null
  let error = result._tag === "Failure" ? result.failure.message : null
  for (const message of messages) {
    switch (member(message, "type")) {
      case "RECORD": {
        const record = member(message, "record")
        const name = String(member(record, "stream"))
        const list = records[name]
        const file = member(record, "file_reference")
        const path = String(member(file, "source_file_relative_path"))
        const plain = member(record, "data") ?? null
        const data =
          file === undefined
            ? plain
            : { record: plain, path, size: member(file, "file_size_bytes") ?? null, file: written.get(path) ?? null }
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
      case "CONTROL":
        controls.push(member(member(member(message, "control"), "connectorConfig"), "config") ?? null)
        break
      case "CATALOG":
        streams = member(member(message, "catalog"), "streams") ?? null
        break
      case "TRACE": {
        const trace = member(message, "trace")
        const status = member(trace, "stream_status")
        if (member(status, "status") === "INCOMPLETE") {
          incomplete.push(String(member(member(status, "stream_descriptor"), "name")))
        }
        const said = member(trace, "error") === undefined ? null : String(member(member(trace, "error"), "message"))
        // A walk that does not end is no difference where the CDK's does not either: it is told before others.
        if (error === null || said?.includes("its pagination does not end") === true) error = said ?? error
        break
      }
      default:
    }
  }
  if (job.verb === "check" && check === null) check = "FAILED"
  const failed = result._tag === "Failure" || (job.verb === "read" && !result.success)
  return { check, streams, records, states, incomplete, controls, failed, error }
}
