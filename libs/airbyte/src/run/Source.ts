import { Clock, Effect, Result, type Scope } from "effect"
import { Component } from "../component/Component.ts"
import { Expressions } from "../component/Expressions.ts"
import { failure, RunError } from "../component/RunError.ts"
import type { Environment } from "../expression/CompiledTemplate.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import { type Manifest, requireStream, requireSupported, specOf } from "../manifest/Manifest.ts"
import { budgetOf } from "./Budget.ts"
import { configProblems } from "./ConfigSchema.ts"
import { normalizedConfig, validateConfig } from "./configTransformations.ts"
import { ManifestHttp } from "./ManifestHttp.ts"
import type { Files } from "./Files.ts"
import { fixedStreams, generatedStreams } from "./manifestStreams.ts"
import * as Message from "./Message.ts"
import type { ManifestStream } from "./Parts.ts"
import { pure, thrown } from "./pure.ts"
import { ResponseCache } from "./ResponseCache.ts"
import type { ConfiguredStream, Run } from "./Run.ts"
import { connectionSpecification, scrubber } from "./Spec.ts"
import { makeStream } from "./Streams.ts"

/** Where a run's messages go; each is one line. */
export interface Output {
  readonly print: (lines: ReadonlyArray<string>) => Effect.Effect<void>
}

export interface SourceOptions {
  readonly manifest: Manifest
  /** With secrets in the clear. */
  readonly config: PlainDict
  /** Folder that the manifest stands in. */
  readonly folder: string
  readonly environment: Environment
  readonly output: Output
  /** Where the files of records go; undefined: streams with a `file_uploader` are refused. */
  readonly files?: Files | undefined
}

/** A stream that is wanted. */
export interface WantedStream {
  readonly name: string
  readonly cursorField: string | undefined
  readonly schema: PlainDict
}

export interface ReadOptions {
  /** All streams when undefined. */
  readonly catalog: ReadonlyArray<WantedStream> | undefined
  /** State by stream. */
  readonly state: ReadonlyMap<string, PlainDict>
}

/** A manifest with a config, as Airbyte's protocol has it. */
export interface Source {
  /** Prints CONNECTION_STATUS; true when it succeeded. */
  readonly check: Effect.Effect<boolean>
  /** Prints CATALOG. */
  readonly discover: Effect.Effect<void, RunError>
  /** Prints RECORD, STATE, TRACE and LOG; true when every stream was read to its end. */
  readonly read: (options: ReadOptions) => Effect.Effect<boolean, RunError>
}

/** Ends a check as soon as it knows enough. */
const enough = new RunError({ problem: "enough", failureType: "system_error" })

/** The routers of a retriever, those inside of others too. */
const routersIn = (retriever: Component): ReadonlyArray<Component> => {
  const routers = [...retriever.children("partition_router")]
  for (const router of routers) {
    routers.push(...router.children("partition_routers"), ...router.children("underlying_partition_router"))
  }
  return routers
}

const parentNames = (streams: ReadonlyArray<Component>): ReadonlySet<string> =>
  new Set(
    streams
      .flatMap((stream) => stream.children("retriever"))
      .flatMap(routersIn)
      .flatMap((router) => router.children("parent_stream_configs"))
      .flatMap((config) => config.child("stream")?.optionalText("name") ?? [])
  )

const airbyteStream = Effect.fnUntraced(function* (stream: ManifestStream) {
  const schema = yield* stream.schema
  const isIncremental = stream.cursorField !== undefined
  const described: PlainDict = {
    name: stream.name,
    json_schema: schema,
    supported_sync_modes: isIncremental ? ["full_refresh", "incremental"] : ["full_refresh"],
    is_resumable: isIncremental,
    is_file_based: stream.hasFiles
  }
  if (stream.cursorField !== undefined) {
    described["source_defined_cursor"] = !stream.isCursorChosen
    described["default_cursor_field"] = [stream.cursorField]
  }
  if (stream.primaryKey.length > 0) described["source_defined_primary_key"] = stream.primaryKey.map((key) => [key])
  return described
})

/**
 * Makes a source of a manifest and a config.
 *
 * Fails with a `RunError` when the config does not fit the manifest's `spec`, or the manifest needs what is not there.
 */
export const makeSource = Effect.fnUntraced(function* (
  options: SourceOptions
): Effect.fn.Return<Source, RunError, ManifestHttp | Scope.Scope> {
  const { environment, folder, manifest, output } = options
  const http = yield* ManifestHttp
  const scrub = scrubber(manifest, options.config)
  yield* pure(() => requireSupported(manifest, environment.hooks))
  const specification = connectionSpecification(manifest)
  const problems = yield* Effect.try({
    try: () => (Object.keys(specification).length === 0 ? [] : configProblems(specification, options.config)),
    catch: () => failure("spec.connection_specification is not a JSON schema", "config_error")
  })
  if (problems.length > 0) return yield* failure(`Config validation error: ${problems.join(" ")}`, "config_error")
  const specData = specOf(manifest)
  const spec = specData === undefined ? undefined : new Component(specData, "spec")
  const config = yield* pure(() => normalizedConfig(spec, options.config, environment))
  yield* pure(() => validateConfig(spec, config, environment))

  /** A message of the run's own: records, catalogs and changed configs are data, the others are said to people. */
  const emit = (message: Message.Message): Effect.Effect<void> =>
    Effect.suspend(() => {
      const isSaid = message["type"] === "LOG" || message["type"] === "TRACE"
      return output.print([Message.line(isSaid ? Message.withTexts(message, scrub) : message)])
    })

  const makeRun = (
    used: PlainDict,
    configured: ReadonlyMap<string, ConfiguredStream>
  ): Effect.Effect<Run, RunError> => {
    const expressions = new Expressions(used, environment)
    const budget = manifest.data["api_budget"]
    return pure(() => ({
      expressions,
      http,
      cache: new ResponseCache(),
      budget:
        budget !== undefined && budget !== null && isPlainDict(budget)
          ? budgetOf(new Component(budget, "api_budget"), expressions)
          : undefined,
      emit,
      folder,
      files: options.files,
      configured
    }))
  }

  const streamsOf = Effect.fnUntraced(function* (run: Run) {
    const fixed = yield* fixedStreams(run, manifest)
    const generated = yield* generatedStreams(run, manifest)
    return { generated, components: [...fixed, ...generated.map(({ component }) => component)] }
  })

  const build = (run: Run, component: Component, all: ReadonlyArray<Component>, state: PlainDict) => {
    const parents = parentNames(all)
    return Effect.andThen(
      pure(() => requireStream(component, environment.hooks)),
      makeStream(run, component, state, (name) => parents.has(name))
    )
  }

  /** Why a stream needs more than is there; undefined when it does not. */
  const refusal = (component: Component) =>
    Effect.map(Effect.result(pure(() => requireStream(component, environment.hooks))), (result) =>
      Result.isFailure(result) ? result.failure : undefined
    )

  /** Why a stream cannot be read; undefined when it can. */
  const unavailable = Effect.fnUntraced(function* (stream: ManifestStream) {
    const first = yield* Effect.result(
      stream.slices((slice) =>
        Effect.andThen(
          stream.retriever.read(slice, () => Effect.fail(enough)),
          Effect.fail(enough)
        )
      )
    )
    if (first._tag === "Success") {
      return `Cannot attempt to connect to stream ${stream.name} - no stream slices were found`
    }
    return first.failure === enough ? undefined : first.failure.message
  })

  const checkStreams = Effect.fnUntraced(function* (run: Run, check: Component) {
    const { components, generated } = yield* streamsOf(run)
    const byName = new Map(components.map((component) => [component.optionalText("name") ?? "", component]))
    const wanted: Array<Component> = []
    if (check.type === "CheckDynamicStream") {
      if (components.length === 0) return "No streams to connect to from source"
      if (check.get("use_check_availability") === false) return undefined
      wanted.push(...components.slice(0, check.number("stream_count", 0)))
    } else {
      for (const name of check.texts("stream_names")) {
        const component = byName.get(name)
        if (component === undefined) {
          return `${name} is not part of the catalog. Expected one of ${[...byName.keys()].join(", ")}.`
        }
        wanted.push(component)
      }
      for (const dynamic of check.children("dynamic_streams_check_configs")) {
        const name = dynamic.text("dynamic_stream_name")
        const made = generated.filter(({ origin }) => origin === name).map(({ component }) => component)
        const count = dynamic.get("stream_count")
        wanted.push(...(typeof count === "number" ? made.slice(0, count) : made))
      }
    }
    for (const component of wanted) {
      const stream = yield* build(run, component, components, {})
      const reason = yield* unavailable(stream)
      if (reason !== undefined) return `Stream ${stream.name} is not available: ${reason}`
    }
    return undefined
  })

  const check = Effect.gen(function* () {
    const data = manifest.data["check"]
    const component = new Component(data !== undefined && data !== null && isPlainDict(data) ? data : {}, "check")
    const overrides = component.get("config_overrides")
    const used = overrides !== undefined && isPlainDict(overrides) ? { ...config, ...overrides } : config
    const run = yield* makeRun(used, new Map())
    return yield* checkStreams(run, component)
  }).pipe(
    thrown,
    Effect.catch((error) => Effect.succeed(error.message)),
    Effect.tap((reason) =>
      output.print([Message.line(Message.connectionStatus(reason === undefined ? undefined : scrub(reason)))])
    ),
    Effect.map((reason) => reason === undefined)
  )

  const discover = Effect.gen(function* () {
    const run = yield* makeRun(config, new Map())
    const { components } = yield* streamsOf(run)
    const streams: Array<PlainDict> = []
    const refused: Array<RunError> = []
    for (const component of components) {
      const reason = yield* refusal(component)
      if (reason !== undefined) {
        refused.push(reason)
        continue
      }
      streams.push(yield* airbyteStream(yield* build(run, component, components, {})))
    }
    const [first] = refused
    if (first !== undefined && streams.length === 0) return yield* first
    // The other streams can be read without them.
    for (const { message } of refused) yield* emit(Message.log("WARN", message))
    yield* emit({ type: "CATALOG", catalog: { streams } })
  }).pipe(
    thrown,
    // It is said to people by whoever runs this.
    Effect.mapError(({ failureType, message }) => failure(scrub(message), failureType))
  )

  const readStream = Effect.fn("airbyte.stream")(function* (stream: ManifestStream) {
    const errors: Array<RunError> = []
    let count = 0
    let untold = 0
    const tell = Effect.suspend(() => {
      const message = Message.state(stream.name, stream.cursor.state(), untold)
      untold = 0
      return emit(message)
    })
    const status = (name: "STARTED" | "RUNNING" | "COMPLETE" | "INCOMPLETE") =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => emit(Message.streamStatus(stream.name, name, now)))
    const failed = (error: RunError) =>
      Effect.gen(function* () {
        errors.push(error)
        yield* emit(Message.errorTrace(error.message, error.failureType, yield* Clock.currentTimeMillis, stream.name))
      })
    yield* status("STARTED")
    const slices = stream.slices((slice) =>
      stream.retriever
        .read(slice, (records) =>
          Effect.gen(function* () {
            if (count === 0) yield* status("RUNNING")
            const now = yield* Clock.currentTimeMillis
            const lines: Array<string> = []
            const observed = yield* Effect.result(
              pure(() => {
                for (const record of records) {
                  lines.push(Message.recordLine(stream.name, record.data, now, record.file))
                  stream.cursor.observe(record)
                }
              })
            )
            count += lines.length
            untold += lines.length
            yield* output.print(lines)
            // A record that the cursor cannot follow has been given, and ends the slice.
            if (Result.isFailure(observed)) return yield* observed.failure
          })
        )
        .pipe(
          Effect.andThen(pure(() => stream.cursor.close(slice))),
          Effect.tap((isNew) => (isNew ? tell : Effect.void)),
          // The other slices of the stream are read all the same; this one is not closed, so the next run reads it again.
          Effect.catch(failed)
        )
    )
    yield* slices.pipe(Effect.catch(failed))
    yield* pure(() => stream.cursor.finish())
    yield* tell
    yield* emit(Message.log("INFO", `Read ${count} records from ${stream.name} stream`))
    yield* status(errors.length > 0 ? "INCOMPLETE" : "COMPLETE")
    return errors.length === 0
  })

  const read: Source["read"] = Effect.fn("airbyte.run")(function* ({ catalog, state }) {
    const configured = new Map(
      (catalog ?? []).map((wanted): [string, ConfiguredStream] => [
        wanted.name,
        { cursorField: wanted.cursorField, schema: wanted.schema }
      ])
    )
    const run = yield* makeRun(config, configured)
    const { components } = yield* streamsOf(run)
    const byName = new Map(components.map((component) => [component.optionalText("name") ?? "", component]))
    let isComplete = true
    for (const name of catalog === undefined ? byName.keys() : configured.keys()) {
      const component = byName.get(name)
      if (component === undefined) {
        yield* emit(Message.streamStatus(name, "INCOMPLETE", yield* Clock.currentTimeMillis))
        yield* emit(Message.log("WARN", `The manifest has no stream ${name}; it has ${[...byName.keys()].join(", ")}.`))
        isComplete = false
        continue
      }
      const reason = yield* refusal(component)
      if (reason !== undefined) {
        const now = yield* Clock.currentTimeMillis
        yield* emit(Message.errorTrace(reason.message, reason.failureType, now, name))
        yield* emit(Message.streamStatus(name, "INCOMPLETE", now))
        isComplete = false
        continue
      }
      const result = yield* Effect.result(
        thrown(Effect.flatMap(build(run, component, components, state.get(name) ?? {}), readStream))
      )
      if (result._tag === "Success") isComplete &&= result.success
      else {
        const { failureType, message } = result.failure
        yield* emit(Message.errorTrace(message, failureType, yield* Clock.currentTimeMillis, name))
        isComplete = false
      }
    }
    return isComplete
  }, thrown)
  return { check, discover, read }
})
