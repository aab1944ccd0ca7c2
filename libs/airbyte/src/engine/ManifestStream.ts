import {
  type CursorState,
  type EngineTools,
  type Extracted,
  extractedFrom,
  type Position,
  type Retriever as EngineRetriever,
  type Slice as EngineSlice,
  type SourceReason,
  type StreamDefinition,
  type StreamSlots
} from "@tributary/connector"
import { Effect, type Scope } from "effect"
import type { Component } from "../component/Component.ts"
import type { CursorSettings } from "../component/Cursor.ts"
import { Expressions } from "../component/Expressions.ts"
import { parseJson, writeJson } from "../component/jsonText.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { embeddedPage, Slice } from "../component/Slice.ts"
import { isPlainDict, type PlainDict } from "../expression/Value.ts"
import type { Retriever } from "../run/Parts.ts"
import { pure, thrown } from "../run/pure.ts"
import type { Run } from "../run/Run.ts"
import { migrateState } from "../run/stateMigrations.ts"
import { cursorSettings, delegated, parentState, streamParts } from "../run/Streams.ts"
import { airbyteState } from "./airbyteState.ts"
import { reasonOf } from "./EngineHttp.ts"
import { checkpointState, isBlank, type ManifestCursor, manifestCursor } from "./ManifestCursor.ts"
import { type ManifestRouter, manifestRouter, withPartition } from "./ManifestRouter.ts"

/** What the streams of a manifest share in a walk. */
export interface StreamContext {
  readonly run: Run
  readonly tools: EngineTools
  /** Values of the config that must never be shown. */
  readonly secrets: ReadonlyArray<string>
  /** What Airbyte kept of the stream. */
  readonly kept?: PlainDict | undefined
}

/** The records of pages, for the cursor: they were values before they became text. */
const pageRecords = new WeakMap<Extracted, ReadonlyArray<PlainDict>>()
const recordsOf = (page: Extracted): ReadonlyArray<PlainDict> => pageRecords.get(page) ?? []

/** A position of a manifest's stream is JSON text, which keeps every number as it is. */
const tokenOf = (position: Position | undefined): string | undefined =>
  position !== undefined && "token" in position && typeof position.token === "string" ? position.token : undefined

const positionIn = (position: Position | undefined): PlainDict | undefined => {
  const token = tokenOf(position)
  const value = token === undefined ? null : parseJson(token)
  return value !== null && isPlainDict(value) ? value : undefined
}

/** One of the streams that a component stands for: a `StateDelegatingStream` is two. */
interface Branch {
  readonly cursor: ManifestCursor | undefined
  readonly retriever: Retriever
}

const branchOf = Effect.fnUntraced(function* (
  { run, secrets }: StreamContext,
  component: Component,
  router: ManifestRouter | undefined
): Effect.fn.Return<Branch & { readonly settings: CursorSettings | undefined }, RunError> {
  const parts = yield* streamParts(
    run,
    component,
    { options: router?.options ?? (() => ({})) },
    router !== undefined,
    () => false,
    {}
  )
  const { sync } = parts
  const { config, environment } = run.expressions
  const cursor =
    parts.settings === undefined
      ? undefined
      : manifestCursor(
          (startedAt) => {
            const ports = { ...environment.ports, nowMicros: () => Math.floor(startedAt * 1000) }
            const then = new Expressions(config, { ...environment, ports })
            return (
              cursorSettings(sync, then, router !== undefined) ?? component.fail("incremental_sync", "it is missing.")
            )
          },
          recordsOf,
          (error) => reasonOf(error, secrets)
        )
  return {
    cursor,
    settings: parts.settings,
    retriever: yield* parts.retriever((record, slice) => slice.isWanted?.(record) ?? true)
  }
})

const branchesOf = (component: Component): readonly [first: Component, later: Component] =>
  component.type === "StateDelegatingStream"
    ? [component.needed("full_refresh_stream"), component.needed("incremental_stream")]
    : [component, component]

/** The first page that a parent's record holds is all that there is only as long as nothing has been read. */
const withoutEmbedded = (extra: PlainDict = {}): PlainDict => {
  const { [embeddedPage]: _, ...rest } = extra
  return rest
}

/** Two cursors of which the state says which one is meant. */
const eitherCursor = (first: ManifestCursor, later: ManifestCursor): ManifestCursor["cursor"] => {
  const of = (state: CursorState) => (isBlank(state) ? first : later).cursor
  return {
    field: undefined,
    parameters: [],
    apply: () => {},
    interval: (state, startedAt, previous) => of(state).interval(state, startedAt, previous),
    follow: (state, interval, progress, startedAt) => of(state).follow(state, interval, progress, startedAt)
  }
}

/** Where the requests of a retriever go. */
const addressOf = (run: Run, retriever: Component): URL => {
  const requester = retriever.child("requester") ?? retriever.child("creation_requester")
  const template = requester?.optionalText("url_base") ?? requester?.optionalText("url") ?? ""
  const address = run.expressions.text(template, requester?.parameters ?? {})
  if (URL.canParse(address)) return new URL(address)
  throw failure(`${retriever.path}.requester: its address is known only when a request is made.`, "config_error")
}

const slotsOf = Effect.fnUntraced(function* (
  context: StreamContext,
  component: Component,
  setting: string,
  isParent: boolean
): Effect.fn.Return<StreamSlots, RunError> {
  const { run, secrets, tools } = context
  const toReason = (error: RunError): SourceReason => reasonOf(error, secrets)
  const [firstComponent, laterComponent] = yield* pure(() => branchesOf(component))
  const [goesOnAs, delegatedState] = yield* delegated(run, component, context.kept ?? {})
  const kept = yield* pure(() => migrateState(run.expressions, goesOnAs, delegatedState))
  const router = yield* manifestRouter(
    {
      run,
      tools,
      setting,
      toReason,
      parent: (parent, isIncremental) => ({
        open: Effect.flatMap(
          Effect.mapError(
            pure(() => (isIncremental ? parentState(run, parent, kept) : {})),
            toReason
          ),
          (ofParent) => manifestStream({ run, secrets, tools, kept: ofParent }, parent, setting, true).open
        )
      })
    },
    firstComponent.needed("retriever")
  )
  const first = yield* branchOf(context, firstComponent, router)
  const later = laterComponent === firstComponent ? first : yield* branchOf(context, laterComponent, router)

  const sliceOf = (slice: EngineSlice, state: CursorState, startedAt: number): Slice => {
    const branch = isBlank(state) ? first : later
    const base = slice.partition === undefined ? undefined : router?.sliceOf(slice.partition)
    return new Slice(
      base?.partition,
      branch.cursor?.sliceOf(slice.interval, startedAt),
      isBlank(state) ? base?.extra : withoutEmbedded(base?.extra),
      branch.cursor?.wanted(state, startedAt)
    )
  }

  const retriever: EngineRetriever = {
    place: "the manifest's record_selector",
    address: Effect.mapError(
      pure(() => addressOf(run, firstComponent.needed("retriever"))),
      toReason
    ),
    fits: (position) => tokenOf(position) !== undefined,
    open: (plan) => {
      const extracted = extractedFrom(plan)
      return ({ position, slice, startedAt, state }) =>
        Effect.gen(function* () {
          const asked = yield* pure(() => sliceOf(slice, state, startedAt))
          const branch = isBlank(state) ? first : later
          const { failure, next, records } = yield* branch.retriever.page(
            asked,
            yield* pure(() => positionIn(position))
          )
          // The page is asked for again, as a whole.
          if (failure !== undefined) return yield* failure
          return yield* pure(() => {
            const page = extracted(
              records.map(({ data }) => writeJson(isParent ? withPartition(data, asked.partition) : data))
            )
            pageRecords.set(
              page,
              records.map(({ data }) => data)
            )
            return {
              extracted: page,
              next: next === undefined ? ("end" as const) : { token: writeJson(next) },
              url: setting
            }
          })
        }).pipe(thrown, Effect.mapError(toReason))
    }
  }
  const cursor =
    first.cursor === undefined || later.cursor === undefined || first === later
      ? first.cursor?.cursor
      : eitherCursor(first.cursor, later.cursor)
  const { settings } = later
  if (cursor === undefined || settings === undefined || Object.keys(kept).length === 0) {
    return { retriever, router: router?.router, cursor }
  }
  const initial: NonNullable<typeof cursor.initial> = (partition) =>
    Effect.mapError(
      pure(() => {
        const of = partition === undefined ? undefined : router?.sliceOf(partition).partition
        const base = airbyteState(settings, kept, of)
        return Object.keys(base).length === 0 ? {} : checkpointState({ base })
      }),
      toReason
    )
  return { retriever, router: router?.router, cursor: { ...cursor, initial } }
})

/** A stream of a manifest for the engine. As a parent, its records come with their partitions. */
export const manifestStream = (
  context: StreamContext,
  component: Component,
  setting: string,
  isParent: boolean
): StreamDefinition => {
  const open: Effect.Effect<StreamSlots, SourceReason, Scope.Scope> = Effect.mapError(
    thrown(slotsOf(context, component, setting, isParent)),
    (error) => reasonOf(error, context.secrets)
  )
  return { open }
}
