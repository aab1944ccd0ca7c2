import {
  BadSetting,
  Checkpoint,
  type EngineTools,
  type Page,
  type Partition,
  type PartitionBatch,
  type Router,
  type SourceReason,
  type StreamDefinition
} from "@tributary/connector"
import { Effect, Schema, Stream } from "effect"
import type { Component } from "../component/Component.ts"
import { parseJson } from "../component/jsonText.ts"
import { RunError } from "../component/RunError.ts"
import type { SourceRecord } from "../component/Selector.ts"
import { partitionKey, Slice, wholeSlice } from "../component/Slice.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import type { ManifestStream, Router as RunRouter } from "../run/Parts.ts"
import { pure, thrown } from "../run/pure.ts"
import { makeParents, makeRouter, parentSlice, substreamOptions } from "../run/Routers.ts"
import type { Run } from "../run/Run.ts"

const decodeCheckpoint = Schema.decodeUnknownEffect(Checkpoint)
const encodeCheckpoint = Schema.encodeSync(Schema.toCodecJson(Checkpoint))

/** Where the parents of a stream stand, by their number; and the one that is being read. */
const ParentStates = Schema.Struct({ at: Schema.Natural, parents: Schema.Record(Schema.String, Schema.Json) })
const decodeStates = Schema.decodeUnknownEffect(ParentStates)

/** What a router in the engine needs beside the manifest. */
export interface RouterContext {
  readonly run: Run
  readonly tools: EngineTools
  readonly setting: string
  /** A parent as a stream of the engine, each of its records with its partition; an incremental one goes on where Airbyte's state says. */
  readonly parent: (component: Component, isIncremental: boolean) => StreamDefinition
  readonly toReason: (error: RunError) => SourceReason
}

/** A router of a manifest in the engine. */
export interface ManifestRouter {
  readonly router: Router
  readonly options: RunRouter["options"]
  /** The slice that a partition stands for. */
  readonly sliceOf: (partition: Partition) => Slice
}

const dictIn = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

/** A record of a parent's walk, with the partition that it was read for. */
const sourceRecord = (bytes: Uint8Array): SourceRecord => {
  const both = dictIn(parseJson(Buffer.from(bytes).toString("utf8")))
  return { data: dictIn(both["record"]), slice: new Slice(dictIn(both["partition"])) }
}

/** A parent's record as its walk hands it over. */
export const withPartition = (record: PlainDict, partition: PlainDict): PlainDict => ({ record, partition })

/** Whether partitions come from other streams. */
const hasParents = (component: Component): boolean =>
  component.type === "SubstreamPartitionRouter" ||
  component.children("partition_routers").some(hasParents) ||
  component.children("underlying_partition_router").some(hasParents)

const isIncremental = (component: Component): boolean =>
  component.children("parent_stream_configs").some((config) => config.isSet("incremental_dependency")) ||
  component.children("partition_routers").some(isIncremental) ||
  component.children("underlying_partition_router").some(isIncremental)

/** The router slot of a retriever's `partition_router`; undefined without one. */
export const manifestRouter = Effect.fnUntraced(function* (
  context: RouterContext,
  retriever: Component
): Effect.fn.Return<ManifestRouter | undefined, RunError> {
  const { parent: parentDefinition, run, setting, toReason, tools } = context
  const components = retriever.children("partition_router")
  const [first] = components
  if (first === undefined) return undefined
  const slices = new WeakMap<Partition, Slice>()
  const partitionOf = (slice: Slice): Partition => {
    const partition = { key: partitionKey(slice.partition), values: {} }
    slices.set(partition, slice)
    return partition
  }
  const sliceOf = (partition: Partition): Slice => slices.get(partition) ?? wholeSlice
  const reset = (problem: string) =>
    new BadSetting({ setting, problem: `the position of a parent cannot be read (${problem}). Reset the stream.` })

  const statesOf = (state: Schema.Json | undefined) =>
    state === undefined || state === null
      ? Effect.succeed({ at: 0, parents: {} })
      : Effect.mapError(decodeStates(state), ({ message }) => reset(message))
  const checkpointOf = (state: Schema.Json | undefined): Effect.Effect<Checkpoint | undefined, SourceReason> =>
    state === undefined || state === null
      ? Effect.undefined
      : Effect.mapError(decodeCheckpoint(state), ({ message }) => reset(message))
  const readParent = (
    component: Component,
    isGoingOn: boolean,
    from: Checkpoint | undefined
  ): Stream.Stream<Page, SourceReason> =>
    tools.read(component.optionalText("name") ?? component.path, parentDefinition(component, isGoingOn), from)

  // The usual case: partitions of one page of the parent after the other, so that a walk goes on in the middle of it.
  if (first.type === "SubstreamPartitionRouter" && components.length === 1) {
    const parents = yield* makeParents(run, first, (component) => Effect.succeed(component))
    const router: Router = {
      isIncremental: parents.some((parent) => parent.isIncremental),
      apply: () => {},
      partitions: (state, goesOn) =>
        Stream.unwrap(
          Effect.map(statesOf(state), (before) => {
            let states: Readonly<Record<string, Schema.Json>> = before.parents
            return Stream.fromIterable(parents.entries()).pipe(
              Stream.filter(([index]) => !goesOn || index >= before.at),
              Stream.flatMap(([index, parent]) =>
                Stream.unwrap(
                  Effect.gen(function* () {
                    const isCurrent = goesOn && index === before.at
                    const stored = isCurrent || parent.isIncremental ? states[index] : undefined
                    const from = yield* checkpointOf(stored)
                    // It was read to its end in this walk: the next walk begins it anew.
                    if (isCurrent && from !== undefined && from.walk === undefined) return Stream.empty
                    return readParent(parent.stream, parent.isIncremental, from).pipe(
                      Stream.mapEffect(({ checkpoint, records }) =>
                        Effect.mapError(
                          pure((): PartitionBatch => {
                            states = { ...states, [index]: encodeCheckpoint(checkpoint) }
                            const partitions = records.flatMap(({ value }) => {
                              const slice = parentSlice(parent, sourceRecord(value))
                              return slice === undefined ? [] : [partitionOf(slice)]
                            })
                            return { partitions, state: { at: index, parents: states } }
                          }),
                          toReason
                        )
                      )
                    )
                  })
                )
              )
            )
          })
        )
    }
    return { router, options: substreamOptions(parents), sliceOf }
  }

  // Lists, and what is made of several routers, are there as a whole.
  const finals = new Map<string, Schema.Json>()
  let starts: Readonly<Record<string, Schema.Json>> = {}
  /** A parent that the run's routers read, by a walk of the engine. */
  const parentStream = (component: Component, goesOn: boolean): ManifestStream => {
    const name = component.optionalText("name") ?? component.path
    return {
      name,
      primaryKey: [],
      cursorField: undefined,
      isCursorChosen: false,
      hasFiles: false,
      schema: Effect.succeed({}),
      slices: (visit) => visit(wholeSlice),
      cursor: {
        slices: (visit) => visit(wholeSlice),
        observe: () => {},
        close: () => false,
        finish: () => {},
        state: () => ({})
      },
      retriever: {
        page: () => Effect.succeed({ records: [], next: undefined }),
        read: (_slice, visit) =>
          Stream.unwrap(
            Effect.map(checkpointOf(goesOn ? starts[name] : undefined), (from) => readParent(component, goesOn, from))
          ).pipe(
            Stream.mapError(
              (reason) =>
                new RunError({ problem: reason.message, failureType: "config_error", stated: reason.failureClass })
            ),
            Stream.runForEach(({ checkpoint, records }) => {
              finals.set(name, encodeCheckpoint(checkpoint))
              return visit(records.map(({ value }) => sourceRecord(value)))
            })
          )
      }
    }
  }
  const made = yield* makeRouter(run, retriever, (component, goesOn) => pure(() => parentStream(component, goesOn)))
  const all = Effect.gen(function* () {
    const partitions: Array<Partition> = []
    yield* made.slices((slice) =>
      Effect.sync(() => {
        partitions.push(partitionOf(slice))
      })
    )
    return partitions
  })
  const withParents = components.some(hasParents)
  const router: Router = {
    isIncremental: components.some(isIncremental),
    apply: () => {},
    // All partitions are one batch: which of them are done is remembered by their keys, whatever order they come in.
    partitions: (state, goesOn) =>
      goesOn
        ? Stream.empty
        : Stream.fromEffect(
            Effect.gen(function* () {
              if (withParents) starts = (yield* statesOf(state)).parents
              const partitions = yield* Effect.mapError(thrown(all), toReason)
              return {
                partitions,
                state: { at: 0, parents: Object.fromEntries(finals) }
              }
            })
          )
  }
  return { router, options: made.options, sliceOf }
})
