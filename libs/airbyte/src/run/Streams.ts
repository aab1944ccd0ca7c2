import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { Cursor, type CursorSettings } from "../component/Cursor.ts"
import { countCursorSettings, timeCursorSettings, timeNow } from "../component/cursorSettings.ts"
import { PartitionCursors } from "../component/PartitionCursors.ts"
import { type InjectInto, injected, RequestOption } from "../component/RequestOption.ts"
import type { Expressions } from "../component/Expressions.ts"
import type { RunError } from "../component/RunError.ts"
import { Slice } from "../component/Slice.ts"
import { hookOf } from "../component/Hooks.ts"
import { compare } from "../expression/Compare.ts"
import { addDelta, addDuration, parseDuration, PyDuration } from "../expression/Duration.ts"
import { PyTimeDelta } from "../expression/DateTime.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import { str } from "../expression/Repr.ts"
import { makeAsyncRetriever } from "./AsyncRetriever.ts"
import { askingContext, awaited } from "./asking.ts"
import { makeFileUploader } from "./FileUploader.ts"
import { lookahead } from "./lookahead.ts"
import type { ManifestStream, Retriever, Router, StreamCursor } from "./Parts.ts"
import { pure } from "./pure.ts"
import { readPages } from "./readPages.ts"
import { makeRouter, singleRouter } from "./Routers.ts"
import { makeSchema } from "./SchemaLoader.ts"
import { makeSimpleRetriever, plainRetrieverOptions, type RetrieverOptions } from "./SimpleRetriever.ts"
import { migrateState } from "./stateMigrations.ts"
import type { Run } from "./Run.ts"

/** State of a stream that is read as a whole every time. */
const noCursorState = "__ab_no_cursor_state_message"

const fullRefresh = (router: Router): StreamCursor => ({
  slices: router.slices,
  observe: () => {},
  close: () => false,
  finish: () => {},
  state: () => ({ [noCursorState]: true })
})

const single = (cursor: Cursor): StreamCursor => ({
  slices: (visit) =>
    Effect.flatMap(
      pure(() => [...cursor.slices()]),
      (slices) => Effect.forEach(slices, visit, { discard: true })
    ),
  observe: (record) => cursor.observe(record),
  close: (slice) => cursor.close(slice),
  finish: () => {},
  state: () => cursor.state
})

/** So often a state is told of while a stream is being read, in seconds. */
const tellEvery = 600

const perPartition = (run: Run, cursors: PartitionCursors, router: Router): StreamCursor => {
  const now = () => run.expressions.environment.ports.nowMicros() / 1e6
  let toldAt = 0
  return {
    slices: (visit) =>
      Effect.gen(function* () {
        cursors.begin()
        const partitions = lookahead<{ readonly slice: Slice; readonly parent: PlainDict | undefined }>((item) =>
          Effect.flatMap(
            pure(() => [...cursors.slices(item.slice, item.parent)]),
            (slices) => Effect.forEach(slices, visit, { discard: true })
          )
        )
        yield* router.slices((slice) => partitions.push({ slice, parent: router.state() }))
        yield* partitions.end()
      }),
    observe: (record) => cursors.observe(record),
    close: (slice) => {
      cursors.close(slice)
      if (now() - toldAt <= tellEvery) return false
      toldAt = now()
      return cursors.isTellable
    },
    finish: () => cursors.finish(router.state()),
    state: () => cursors.state
  }
}

/** What a cursor puts into requests. */
const cursorOptions = (run: Run, component: Component) => {
  const option = (name: string) => {
    const found = component.child(name)
    return found === undefined ? undefined : new RequestOption(found, run.expressions)
  }
  const field = (name: string, fallback: string) =>
    run.expressions.text(component.optionalText(name) ?? fallback, component.parameters)
  const isCount = component.type === "IncrementingCountCursor"
  const start = option(isCount ? "start_value_option" : "start_time_option")
  const end = isCount ? undefined : option("end_time_option")
  const startField = isCount ? "start" : field("partition_field_start", "start_time")
  const endField = field("partition_field_end", "end_time")
  return (into: InjectInto, slice: Slice): PlainDict => {
    const isEmpty = Object.keys(slice.cursor).length + Object.keys(slice.partition).length === 0
    if (isEmpty) return {}
    const options = injected(start, into, slice.get(startField) ?? null)
    if (end?.into === into) end.inject(options, slice.get(endField) ?? null)
    return options
  }
}

/** Fields that a stream's records are known by, keys joined by dots. */
export const primaryKeyOf = (component: Component): ReadonlyArray<string> => {
  const given = component.get("primary_key")
  if (given === undefined) return []
  const keys = Array.isArray(given) ? given : [given]
  return keys.map((key) => (Array.isArray(key) ? key.map(str).join(".") : str(key))).filter((key) => key !== "")
}

/** Where a parent goes on, by the state that its child has kept. */
export const parentState = (run: Run, parent: Component, childState: PlainDict): PlainDict => {
  const { [noCursorState]: _, ...state } = childState
  if (Object.keys(state).length === 0) return {}
  const name = parent.optionalText("name") ?? ""
  const own = state["parent_state"]
  const kept = own !== undefined && own !== null && isPlainDict(own) ? own[name] : undefined
  if (kept !== undefined && kept !== null && isPlainDict(kept)) return kept
  const global = state["state"]
  if (global !== undefined && global !== null && isPlainDict(global)) return global
  const values = Object.values(state)
  const [only] = values
  if (values.length !== 1 || (typeof only !== "string" && typeof only !== "number")) return {}
  const stream = parent.type === "StateDelegatingStream" ? parent.needed("incremental_stream") : parent
  const sync = stream.child("incremental_sync")
  if (sync === undefined) return {}
  return { [run.expressions.text(sync.text("cursor_field"), sync.parameters)]: only }
}

/** Whether a state is older than what the API still has. */
const isTooOld = (run: Run, component: Component, cursors: ReadonlyArray<Component>, state: PlainDict): boolean => {
  const template = component.optionalText("api_retention_period")
  const period = template === undefined ? "" : run.expressions.text(template, component.parameters)
  if (period === "") return false
  const gap = parseDuration(period)
  const now = timeNow(run.expressions)
  if (state[noCursorState] === true) return false
  const global = state["state"]
  const told = global !== undefined && global !== null && isPlainDict(global) ? global : state
  for (const cursor of cursors) {
    if (cursor.type !== "DatetimeBasedCursor") continue
    const point = new Cursor(timeCursorSettings(cursor, run.expressions), {}).pointOf(told)
    if (point === undefined) continue
    const border =
      gap instanceof PyDuration ? addDuration(now, gap.negated()) : addDelta(now, new PyTimeDelta(-gap.micros))
    return compare(point, border, "<")
  }
  return true
}

/** Whether the records of a parent hold the first pages of its children (`lazy_read_pointer`), as in a first run. */
export const isEmbedded = (retriever: Component, sync: Component | undefined, state: PlainDict): boolean => {
  const router = retriever.child("partition_router")
  const isLazy =
    router?.type === "SubstreamPartitionRouter" &&
    router.children("parent_stream_configs").some((parent) => parent.texts("lazy_read_pointer").length > 0)
  if (!isLazy || Object.keys(state).length > 0) return false
  if (
    sync !== undefined &&
    (sync.type !== "DatetimeBasedCursor" || sync.has("step") || sync.has("cursor_granularity"))
  ) {
    sync.fail("", "a parent's lazy_read_pointer needs a DatetimeBasedCursor without step.")
  }
  const decoder = retriever.child("decoder")
  if (decoder !== undefined && decoder.type !== "JsonDecoder") {
    decoder.fail("type", `found ${decoder.type}, but a parent's lazy_read_pointer needs JsonDecoder.`)
  }
  return true
}

/** What a stream's cursor is made of; undefined without one. */
export const cursorSettings = (
  sync: Component | undefined,
  expressions: Expressions,
  isPartitioned: boolean,
  chosen?: string
): CursorSettings | undefined => {
  switch (sync?.type) {
    case undefined:
      return undefined
    case "DatetimeBasedCursor":
      return timeCursorSettings(sync, expressions, chosen)
    case "IncrementingCountCursor":
      if (isPartitioned) sync.fail("type", "IncrementingCountCursor cannot be used with partitions.")
      return countCursorSettings(sync, expressions, chosen)
    default:
      return sync?.fail("type", `${sync.type} is not there yet.`, "unsupported")
  }
}

/** What the streams of a run and those of the engine have in common. */
export interface StreamParts {
  readonly name: string
  readonly primaryKey: ReadonlyArray<string>
  readonly sync: Component | undefined
  readonly settings: CursorSettings | undefined
  readonly schema: Effect.Effect<PlainDict, RunError>
  readonly isCursorChosen: boolean
  /** The retriever of the stream's slices; `isWanted` says what its cursor takes for new. */
  readonly retriever: (isWanted: RetrieverOptions["isWanted"]) => Effect.Effect<Retriever, RunError>
}

/** The component a `StateDelegatingStream` stands for with this state, and the state that it goes on with. */
export const delegated = (
  run: Run,
  given: Component,
  state: PlainDict
): Effect.Effect<readonly [stream: Component, state: PlainDict], RunError> =>
  pure(() => {
    if (given.type !== "StateDelegatingStream") return [given, state]
    const full = given.needed("full_refresh_stream")
    const incremental = given.needed("incremental_stream")
    if (
      full.optionalText("name") !== given.optionalText("name") ||
      incremental.optionalText("name") !== given.optionalText("name")
    ) {
      return given.fail("name", "it and the names of its two streams must be equal.")
    }
    if (Object.keys(state).length === 0) return [full, {}]
    const syncs = [full, incremental].flatMap((stream) => stream.child("incremental_sync") ?? [])
    return isTooOld(run, given, syncs, state) ? [full, {}] : [incremental, state]
  })

/** The parts of a stream whose partitions come from `router`, for a run that goes on from `state`. Makes no request. */
export const streamParts = Effect.fnUntraced(function* (
  run: Run,
  given: Component,
  router: Pick<Router, "options">,
  isPartitioned: boolean,
  isCached: (name: string) => boolean,
  state: PlainDict
): Effect.fn.Return<StreamParts, RunError> {
  if (given.type !== "DeclarativeStream") {
    return yield* pure(() => given.fail("type", `${given.type} is not there yet.`, "unsupported"))
  }
  const name = given.optionalText("name") ?? ""
  const uploader = given.child("file_uploader")
  if (uploader !== undefined && given.child("retriever")?.type !== "SimpleRetriever") {
    return yield* pure(() => uploader.fail("", "it is for a SimpleRetriever only."))
  }
  const upload = uploader === undefined ? undefined : yield* makeFileUploader(run, uploader, name)
  const sync = given.child("incremental_sync")
  const isCursorChosen = sync?.isSet("allow_catalog_defined_cursor_field") === true
  const chosen = isCursorChosen ? run.configured.get(name)?.cursorField : undefined
  const settings = yield* pure(() => cursorSettings(sync, run.expressions, isPartitioned, chosen))
  const embedded = yield* pure(() => isEmbedded(given.needed("retriever"), sync, state))
  const fromCursor = sync === undefined ? undefined : yield* pure(() => cursorOptions(run, sync))
  const options: RetrieverOptions["options"] = (into, slice) => {
    if (fromCursor === undefined) return router.options(into, slice)
    if (!isPartitioned) return fromCursor(into, slice)
    return {
      ...router.options(into, new Slice(slice.partition)),
      ...fromCursor(into, new Slice({}, slice.cursor))
    }
  }
  const schema = yield* makeSchema(run, given, (component) =>
    makeRetriever(run, component, {
      ...plainRetrieverOptions,
      name: "dynamic_properties",
      isCached: true,
      // The slices of a schema's retriever are its own.
      options: () => ({})
    })
  )
  return {
    name,
    primaryKey: primaryKeyOf(given),
    sync,
    settings,
    schema,
    isCursorChosen,
    retriever: (isWanted) =>
      makeRetriever(run, given.needed("retriever"), {
        name,
        transformations: given.children("transformations"),
        options,
        schema,
        isWanted: settings === undefined ? undefined : isWanted,
        isClientSide: sync?.isSet("is_client_side_incremental") === true,
        isDataFeed: sync?.isSet("is_data_feed") === true,
        sync,
        cursor: settings,
        isCached: isCached(name),
        isEmbedded: embedded,
        upload
      })
  }
})

/** Makes the streams of a manifest, for one run. Makes no request. */
export const makeStream = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  stored: PlainDict,
  isCached: (name: string) => boolean = () => false
): Effect.fn.Return<ManifestStream, RunError> {
  const [given, givenState] = yield* delegated(run, component, stored)
  const state = yield* pure(() => migrateState(run.expressions, given, givenState))
  const router = yield* makeRouter(run, given.needed("retriever"), (parent, isIncremental) =>
    Effect.flatMap(
      pure(() => (isIncremental ? parentState(run, parent, state) : {})),
      (kept) => makeStream(run, parent, kept, () => true)
    )
  )
  const isPartitioned = router !== singleRouter
  const parts = yield* streamParts(run, given, router, isPartitioned, isCached, givenState)
  const { settings, sync } = parts
  const isGlobal = router.isGrouping === true || sync?.isSet("global_substream_cursor") === true
  const now = () => run.expressions.environment.ports.nowMicros() / 1e6
  const made = yield* pure(() => {
    if (settings === undefined) return { cursor: fullRefresh(router), isWanted: undefined }
    if (!isPartitioned) {
      const cursor = new Cursor(settings, state)
      return { cursor: single(cursor), isWanted: (record: PlainDict) => cursor.isWanted(record) }
    }
    const cursors = new PartitionCursors(settings, state, isGlobal, now)
    return {
      cursor: perPartition(run, cursors, router),
      isWanted: (record: PlainDict, slice: Slice) => cursors.isWanted(record, slice)
    }
  })
  return {
    name: parts.name,
    primaryKey: parts.primaryKey,
    cursorField: settings?.field,
    isCursorChosen: parts.isCursorChosen,
    hasFiles: given.has("file_uploader"),
    schema: parts.schema,
    cursor: made.cursor,
    slices: made.cursor.slices,
    retriever: yield* parts.retriever(made.isWanted)
  }
})

/** The retriever of a component. Makes no request. */
export const makeRetriever = (
  run: Run,
  component: Component,
  options: RetrieverOptions
): Effect.Effect<Retriever, RunError> => {
  switch (component.type) {
    case "SimpleRetriever":
      return makeSimpleRetriever(run, component, options)
    case "AsyncRetriever":
      return makeAsyncRetriever(run, component, options)
    case "CustomRetriever":
      return Effect.map(
        pure(() => hookOf(component, run.expressions, "retrievers")),
        (hook) => {
          const context = askingContext(run, component)
          const page: Retriever["page"] = (slice, position) =>
            Effect.map(
              awaited(component, () => hook({ ...context, slice: slice.value, position })),
              ({ next, records }) => ({ records: records.map((data) => ({ data, slice })), next })
            )
          return { page, read: readPages(page, options.name) }
        }
      )
    default:
      return pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
}
