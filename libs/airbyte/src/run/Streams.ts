import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { Cursor, type CursorSettings } from "../component/Cursor.ts"
import { countCursorSettings, timeCursorSettings, timeNow } from "../component/cursorSettings.ts"
import { PartitionCursors } from "../component/PartitionCursors.ts"
import { type InjectInto, injected, RequestOption } from "../component/RequestOption.ts"
import type { RunError } from "../component/RunError.ts"
import { Slice } from "../component/Slice.ts"
import { compare } from "../expression/Compare.ts"
import { addDelta, addDuration, parseDuration, PyDuration } from "../expression/Duration.ts"
import { PyTimeDelta } from "../expression/DateTime.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import { str } from "../expression/Repr.ts"
import { makeAsyncRetriever } from "./AsyncRetriever.ts"
import { lookahead } from "./lookahead.ts"
import type { ManifestStream, Retriever, Router, StreamCursor } from "./Parts.ts"
import { pure } from "./pure.ts"
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

const primaryKeyOf = (component: Component): ReadonlyArray<string> => {
  const given = component.get("primary_key")
  if (given === undefined) return []
  const keys = Array.isArray(given) ? given : [given]
  return keys.map((key) => (Array.isArray(key) ? key.map(str).join(".") : str(key))).filter((key) => key !== "")
}

/** Where a parent goes on, by the state that its child has kept. */
const parentState = (run: Run, parent: Component, childState: PlainDict): PlainDict => {
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

/** Makes the streams of a manifest, for one run. Makes no request. */
export const makeStream = Effect.fnUntraced(function* (
  run: Run,
  given: Component,
  givenState: PlainDict,
  isCached: (name: string) => boolean = () => false
): Effect.fn.Return<ManifestStream, RunError> {
  if (given.type === "StateDelegatingStream") {
    const full = given.needed("full_refresh_stream")
    const incremental = given.needed("incremental_stream")
    if (
      full.optionalText("name") !== given.optionalText("name") ||
      incremental.optionalText("name") !== given.optionalText("name")
    ) {
      return yield* pure(() => given.fail("name", "it and the names of its two streams must be equal."))
    }
    if (Object.keys(givenState).length === 0) return yield* makeStream(run, full, {}, isCached)
    const syncs = [full, incremental].flatMap((stream) => stream.child("incremental_sync") ?? [])
    const isOld = yield* pure(() => isTooOld(run, given, syncs, givenState))
    return yield* makeStream(run, isOld ? full : incremental, isOld ? {} : givenState, isCached)
  }
  if (given.type !== "DeclarativeStream") {
    return yield* pure(() => given.fail("type", `${given.type} is not there yet.`, "unsupported"))
  }
  for (const name of ["file_uploader"]) {
    if (given.has(name)) return yield* pure(() => given.fail(name, "it is not there yet.", "unsupported"))
  }
  const name = given.optionalText("name") ?? ""
  const retrieverComponent = given.needed("retriever")
  const sync = given.child("incremental_sync")
  const state = yield* pure(() => migrateState(run.expressions, given, givenState))
  const router = yield* makeRouter(run, retrieverComponent, (parent, isIncremental) =>
    Effect.flatMap(
      pure(() => (isIncremental ? parentState(run, parent, state) : {})),
      (kept) => makeStream(run, parent, kept, () => true)
    )
  )
  const isPartitioned = router !== singleRouter
  const chosen =
    sync?.isSet("allow_catalog_defined_cursor_field") === true ? run.configured.get(name)?.cursorField : undefined
  const settings: CursorSettings | undefined = yield* pure(() => {
    switch (sync?.type) {
      case undefined:
        return undefined
      case "DatetimeBasedCursor":
        return timeCursorSettings(sync, run.expressions, chosen)
      case "IncrementingCountCursor":
        if (isPartitioned) sync.fail("type", "IncrementingCountCursor cannot be used with partitions.")
        return countCursorSettings(sync, run.expressions, chosen)
      default:
        return sync?.fail("type", `${sync.type} is not there yet.`, "unsupported")
    }
  })
  const isGlobal = router.isGrouping === true || sync?.isSet("global_substream_cursor") === true
  const now = () => run.expressions.environment.ports.nowMicros() / 1e6
  const made = yield* pure(() => {
    if (settings === undefined) return { cursor: fullRefresh(router), isWanted: undefined, blank: undefined }
    if (!isPartitioned) {
      const cursor = new Cursor(settings, state)
      return {
        cursor: single(cursor),
        isWanted: (record: PlainDict) => cursor.isWanted(record),
        blank: () => new Cursor(settings, {})
      }
    }
    const cursors = new PartitionCursors(settings, state, isGlobal, now)
    return {
      cursor: perPartition(run, cursors, router),
      isWanted: (record: PlainDict, slice: Slice) => cursors.isWanted(record, slice),
      blank: () => cursors.blank()
    }
  })
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
  const retriever = yield* makeRetriever(run, retrieverComponent, {
    name,
    transformations: given.children("transformations"),
    options,
    schema,
    isWanted: made.isWanted,
    isClientSide: sync?.isSet("is_client_side_incremental") === true,
    isDataFeed: sync?.isSet("is_data_feed") === true,
    blankCursor: made.blank,
    isCached: isCached(name)
  })
  return {
    name,
    primaryKey: primaryKeyOf(given),
    cursorField: settings?.field,
    isCursorChosen: sync?.isSet("allow_catalog_defined_cursor_field") === true,
    schema,
    cursor: made.cursor,
    slices: made.cursor.slices,
    retriever
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
    default:
      return pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
}
