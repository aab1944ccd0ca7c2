/** Runs a manifest in the engine: the connector file's way, with its transport, its token layer and its checkpoints. */
import { writeFileSync } from "node:fs"
import { Budgets, Checkpoint, type Source, Wire, type WireShape } from "@tributary/connector"
import { Connector } from "@tributary/domain"
import { Tokens, TokenTransport } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Clock, Duration, Effect, Layer, Redacted, Result, Schema, Stream } from "effect"
import {
  expandConnector,
  isPlainDict,
  openSource,
  parseJson,
  type PlainDict,
  type Value,
  writeJson
} from "../../src/index.ts"

const startMillis = 1_709_212_455_167
/** So many times faster than real time passes when the program waits. */
const speed = 50

/** Time stands still and passes only by sleeping, which takes a fiftieth of what it says. */
const quickClock = (): Clock.Clock => {
  let now = startMillis
  return {
    // The CDK stands at so many microseconds.
    currentTimeMillisUnsafe: () => now + 0.0895,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const millis = Duration.toMillis(duration)
        const until = Math.ceil(now + millis)
        // oxlint-disable-next-line no-restricted-globals -- this clock is what Effect.sleep waits by
        const timer = setTimeout(() => {
          now = Math.max(now, until)
          resume(Effect.void)
        }, millis / speed)
        return Effect.sync(() => clearTimeout(timer))
      })
  }
}

/** Requests of the engine and of the token layer go to the synthetic API, which is told the address that was meant. */
const carriedTo = (api: string) => {
  const target = new URL(`${api}/`)
  const wire = Effect.map(Wire, (network): WireShape => ({
    ...network,
    send: (carried, connections) => {
      const { request } = carried
      const headers = { ...request.headers, "x-meant-url": request.target.href }
      return network.send({ ...carried, request: { ...request, target, headers } }, connections)
    }
  }))
  const tokens = Layer.effect(
    TokenTransport,
    Effect.map(TokenTransport, (transport) =>
      TokenTransport.of({
        send: (request) => {
          const { body, headers } = Redacted.value(request.contents)
          const contents = Redacted.make({ body, headers: { ...headers, "x-meant-url": request.url } })
          return transport.send({ ...request, url: target.href, contents })
        }
      })
    )
  ).pipe(Layer.provide(TokenTransport.layer))
  return { wire, tokens }
}

const dictIn = (value: Value): PlainDict => (value !== null && isPlainDict(value) ? value : {})

/** The config with references in the place of its secrets, and what they refer to. */
const referenced = (
  manifest: PlainDict,
  config: PlainDict
): readonly [config: PlainDict, secrets: Record<string, string>] => {
  const secrets: Record<string, string> = {}
  const marked = new Set(
    [...writeJson(manifest["spec"] ?? null).matchAll(/"(\w+)":\{[^{}]*"airbyte_secret":true/g)].map(([, name]) => name)
  )
  const visit = (value: Value, name: string): Value => {
    const isSecret = marked.has(name) || /secret|token|password|key/i.test(name)
    if (typeof value === "string" && isSecret && value !== "") {
      const variable = `SECRET_${Object.keys(secrets).length}`
      secrets[variable] = value
      return `\${env:${variable}}`
    }
    if (Array.isArray(value)) return value.map((item) => visit(item, name))
    if (value === null || !isPlainDict(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, key)]))
  }
  const result = visit(config, "")
  return [result !== null && isPlainDict(result) ? result : {}, secrets]
}

const decode = Schema.decodeUnknownSync(Connector)
const asText = Schema.fromJsonString(Schema.toCodecJson(Checkpoint))
const decodeCheckpoint = Schema.decodeUnknownSync(asText)
const encodeCheckpoint = Schema.encodeSync(asText)

/** The connector file is refused. */
export class RefusedError extends Error {}

export interface EngineRun {
  /** Records by stream, in the order in which they came. */
  readonly records: Record<string, Array<Value>>
  readonly failed: Record<string, string>
}

export interface EngineOptions {
  /** Address of the synthetic API. */
  readonly api: string
  readonly folder: string
  readonly name: string
  readonly manifest: string
  readonly config: PlainDict
  /** Names of the streams; all that stand in the manifest when empty. */
  readonly streams?: ReadonlyArray<string>
  /** Airbyte's states that the first walk goes on with. */
  readonly state?: ReadonlyArray<Value>
  /** Every page is followed by a restart of the program. */
  readonly restarts?: boolean
  /** Awaited before each of them, and between streams. */
  readonly onPause?: () => Promise<void>
}

/** All walks of the streams, one after the other, as often as `walks` says; each goes on from the checkpoint of the last. */
export const runEngine = async (options: EngineOptions, walks: number): Promise<ReadonlyArray<EngineRun>> => {
  const { folder, manifest, name, restarts = false } = options
  const file = `${folder}/${name}`
  writeFileSync(file, manifest)
  const [config, variables] = referenced(dictIn(parseJson(manifest)), options.config)
  const state = options.state ?? []
  if (state.length > 0) writeFileSync(`${folder}/state.json`, writeJson([...state]))
  const given = decode({
    ...(state.length > 0 ? { state: "./state.json" } : {}),
    connector: "case",
    manifest: name,
    config: JSON.parse(writeJson(config)),
    http: { retries: 1 },
    streams: Object.fromEntries((options.streams ?? []).map((stream) => [stream, {}]))
  })
  const expanded = expandConnector(given, manifest)
  if (Result.isFailure(expanded)) {
    throw new RefusedError(
      expanded.failure
        .map(({ advice, expected, found, path }) => `${path.join(".")}: ${found}; ${expected}; ${advice}`)
        .join("\n")
    )
  }
  const { connector } = expanded.success
  const secrets = Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, variables)))
  const carried = carriedTo(options.api)
  const tokens = Tokens.layerNoDeps.pipe(
    Layer.provide([carried.tokens, secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer])
  )
  const services = Layer.mergeAll(Budgets.layer, secrets, tokens, Layer.effect(Wire, carried.wire))
  const checkpoints = new Map<string, Checkpoint>()
  const runs: Array<EngineRun> = []
  const open = openSource(connector, { base: folder })
  const pause = Effect.promise(async () => options.onPause?.())
  const walkOn = Effect.fnUntraced(function* (source: Source, stream: string, found: EngineRun) {
    for (;;) {
      let isOver = true
      let count = 0
      yield* source.pages(stream, checkpoints.get(stream)).pipe(
        (pages) => (restarts ? Stream.take(pages, 1) : pages),
        Stream.runForEach((page) =>
          Effect.sync(() => {
            checkpoints.set(stream, decodeCheckpoint(encodeCheckpoint(page.checkpoint)))
            // A record without its key is kept beside the others.
            for (const { value } of [...page.records, ...page.rejected]) {
              const list = (found.records[stream] ??= [])
              list.push(parseJson(Buffer.from(value).toString()))
            }
            isOver = page.last
            count++
          })
        )
      )
      if (isOver || count === 0) return
      yield* pause
    }
  })
  const program = Effect.gen(function* () {
    for (let walk = 0; walk < walks; walk++) {
      const found: EngineRun = { records: {}, failed: {} }
      runs.push(found)
      for (const stream of Object.keys(connector.streams)) {
        yield* pause
        const result = yield* Effect.result(
          Effect.scoped(Effect.flatMap(open, (source) => walkOn(source, stream, found)))
        )
        if (result._tag === "Failure") found.failed[stream] = result.failure.message
      }
    }
  })
  await Effect.runPromise(
    program.pipe(Effect.provide(services), Effect.provideService(Clock.Clock, quickClock()), Effect.scoped)
  )
  return runs
}
