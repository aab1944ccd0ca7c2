import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { copyOfDict } from "../component/copyOf.ts"
import * as Dpath from "../component/Dpath.ts"
import { hookOf } from "../component/Hooks.ts"
import { injected, RequestOption } from "../component/RequestOption.ts"
import { failure, type RunError } from "../component/RunError.ts"
import type { SourceRecord } from "../component/Selector.ts"
import { embeddedPage, Slice, wholeSlice } from "../component/Slice.ts"
import { truthy } from "../expression/Compare.ts"
import { hashKey } from "../expression/Dict.ts"
import { iterableOf } from "../expression/Iterate.ts"
import { str } from "../expression/Repr.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import { askingContext, awaited } from "./asking.ts"
import { lookahead } from "./lookahead.ts"
import type { ManifestStream, Router, Visit } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** The router of a stream without partitions. */
export const singleRouter: Router = {
  slices: (visit) => visit(wholeSlice),
  options: () => ({}),
  state: () => undefined
}

const listRouter = (run: Run, component: Component): Router => {
  const { parameters } = component
  const given = component.get("values") ?? []
  const values = typeof given === "string" ? run.expressions.value(given, parameters) : given
  const items = iterableOf(values)
  if (items === undefined || typeof values === "string") {
    // Python goes through a text letter by letter; nobody means that.
    return component.fail("values", "it does not come out as a list.")
  }
  const list = [...items]
  const field = run.expressions.text(component.text("cursor_field"), parameters)
  const inject = component.child("request_option")
  const option = inject === undefined ? undefined : new RequestOption(inject, run.expressions)
  return {
    slices: (visit) => Effect.forEach(list, (value) => visit(new Slice({ [field]: value })), { discard: true }),
    options: (into, slice) => {
      const value = slice.get(field)
      return value === undefined || !truthy(value) ? {} : injected(option, into, value)
    },
    state: () => undefined
  }
}

/** Makes the stream of a parent; `incremental` says whether it goes on where the child has left it. */
export type MakeParent = (component: Component, isIncremental: boolean) => Effect.Effect<ManifestStream, RunError>

/** A parent of a stream; `S` is how it is read. */
export interface Parent<S> {
  readonly stream: S
  readonly key: string
  readonly field: string
  readonly extra: ReadonlyArray<ReadonlyArray<string>>
  /** Where the parent's record holds the first page of its child; empty when it does not. */
  readonly embedded: ReadonlyArray<Value>
  readonly option: RequestOption | undefined
  readonly isIncremental: boolean
}

const extraFields = (data: PlainDict, paths: ReadonlyArray<ReadonlyArray<string>>): PlainDict =>
  Object.fromEntries(paths.map((path): [string, Value] => [path.join("."), Dpath.get(data, path) ?? null]))

/** The parents of a `SubstreamPartitionRouter`. */
export const makeParents = Effect.fnUntraced(function* <S>(
  run: Run,
  component: Component,
  make: (component: Component, isIncremental: boolean) => Effect.Effect<S, RunError>
): Effect.fn.Return<ReadonlyArray<Parent<S>>, RunError> {
  const parents: Array<Parent<S>> = []
  for (const config of component.children("parent_stream_configs")) {
    const stream = yield* make(config.needed("stream"), config.isSet("incremental_dependency"))
    parents.push(
      yield* pure(() => {
        const { parameters } = config
        const evaluate = (template: string) => run.expressions.text(template, parameters)
        const pointer = config.texts("lazy_read_pointer")
        if (pointer.some((part) => part.includes("*"))) {
          config.fail("lazy_read_pointer", "it must stand for one place, without *.")
        }
        const inject = config.child("request_option")
        const extra = config.get("extra_fields")
        return {
          stream,
          key: evaluate(config.text("parent_key")),
          field: evaluate(config.text("partition_field")),
          extra: Array.isArray(extra)
            ? extra.map((path) => (Array.isArray(path) ? path.map((part) => evaluate(str(part))) : []))
            : [],
          embedded: pointer.map((part) => run.expressions.value(part, parameters)),
          option: inject === undefined ? undefined : new RequestOption(inject, run.expressions),
          isIncremental: config.isSet("incremental_dependency")
        }
      })
    )
  }
  if (parents.length === 0) {
    return yield* pure(() => component.fail("parent_stream_configs", "at least one is needed."))
  }
  return parents
})

/** The partition of a parent's record; undefined where it has no key. */
export const parentSlice = (
  { embedded, extra, field, key }: Omit<Parent<unknown>, "stream">,
  record: SourceRecord
): Slice | undefined => {
  const value = Dpath.get(record.data, key)
  if (value === undefined || value === null) return undefined
  const page = embedded.length === 0 ? {} : { [embeddedPage]: Dpath.get(record.data, embedded) ?? [] }
  return new Slice(
    { [field]: value, parent_slice: { ...record.slice.partition } },
    {},
    { ...page, ...extraFields(record.data, extra) }
  )
}

/** What a stream's parents put into its requests. */
export const substreamOptions =
  (parents: ReadonlyArray<Omit<Parent<unknown>, "stream">>): Router["options"] =>
  (into, slice) => {
    const options: PlainDict = {}
    for (const { field, option } of parents) {
      const value = slice.get(field)
      if (option?.into === into && value !== undefined && truthy(value)) option.inject(options, value)
    }
    return options
  }

const substreamRouter = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  make: MakeParent
): Effect.fn.Return<Router, RunError> {
  const parents = yield* makeParents(run, component, make)

  const readParent = Effect.fnUntraced(function* (parent: Parent<ManifestStream>, visit: Visit<Slice>) {
    const { stream } = parent
    const partitions = lookahead<Slice>((partition, isLastPartition) =>
      Effect.gen(function* () {
        const closeIt = pure(() => {
          stream.cursor.close(partition)
          if (isLastPartition) stream.cursor.finish()
        })
        const records = lookahead<SourceRecord>((record, isLast) =>
          Effect.gen(function* () {
            const slice = yield* pure(() => {
              stream.cursor.observe(record)
              return parentSlice(parent, record)
            })
            // The parent's state counts this partition's children before they are read; they hold it back themselves.
            if (isLast) yield* closeIt
            if (slice !== undefined) yield* visit(slice)
          })
        )
        yield* stream.retriever.read(partition, (page) => Effect.forEach(page, records.push, { discard: true }))
        if (!(yield* records.end())) yield* closeIt
      })
    )
    yield* stream.slices(partitions.push)
    yield* partitions.end()
  })

  return {
    slices: (visit) => Effect.forEach(parents, (parent) => readParent(parent, visit), { discard: true }),
    options: substreamOptions(parents),
    state: () => {
      const state: PlainDict = {}
      for (const { isIncremental, stream } of parents) {
        if (isIncremental) state[stream.name] = copyOfDict(stream.cursor.state())
      }
      return state
    }
  }
})

/** All slices of a router. */
const collected = (router: Router) =>
  Effect.gen(function* () {
    const all: Array<Slice> = []
    yield* router.slices((slice) =>
      Effect.sync(() => {
        all.push(slice)
      })
    )
    return all
  })

const product = (routers: ReadonlyArray<Router>): Router => {
  // The first of two routers that set the same wins.
  const reversed = (parts: ReadonlyArray<PlainDict>): PlainDict => Object.assign({}, ...parts.toReversed())
  const combined = (slices: ReadonlyArray<Slice>): Slice => {
    const cursors = slices.filter(({ cursor }) => Object.keys(cursor).length > 0)
    if (cursors.length > 1) throw failure("There should only be a single cursor slice.")
    return new Slice(
      reversed(slices.map(({ partition }) => partition)),
      cursors[0]?.cursor ?? {},
      reversed(slices.map(({ extra }) => extra))
    )
  }
  return {
    slices: (visit) =>
      Effect.gen(function* () {
        const lists = yield* Effect.forEach(routers, collected)
        const choose = (index: number, chosen: ReadonlyArray<Slice>): Effect.Effect<void, RunError> => {
          const list = lists[index]
          if (list === undefined)
            return Effect.flatMap(
              pure(() => combined(chosen)),
              visit
            )
          return Effect.forEach(list, (slice) => choose(index + 1, [...chosen, slice]), { discard: true })
        }
        yield* choose(0, [])
      }),
    options: (into, slice) => reversed(routers.map((router) => router.options(into, slice))),
    state: () => undefined
  }
}

const groupingRouter = (component: Component, inner: Router): Router => {
  const size = component.number("group_size", 1)
  const isDeduplicating = component.get("deduplicate") !== false
  let state: PlainDict | undefined = {}
  const grouped = (batch: ReadonlyArray<Slice>): Slice => {
    const names = Object.keys(batch[0]?.partition ?? {})
    const extras = new Set(batch.flatMap(({ extra }) => Object.keys(extra)))
    return new Slice(
      Object.fromEntries(names.map((name) => [name, batch.map(({ partition }) => partition[name] ?? null)])),
      {},
      Object.fromEntries(Array.from(extras, (name) => [name, batch.map(({ extra }) => extra[name] ?? null)]))
    )
  }
  return {
    isGrouping: true,
    slices: (visit) =>
      Effect.gen(function* () {
        let batch: Array<Slice> = []
        const seen = new Set<string>()
        yield* inner.slices((slice) =>
          Effect.gen(function* () {
            const key = yield* pure(() => {
              const names = Object.keys(slice.partition).filter((name) => name !== "parent_slice")
              const [name] = names
              if (name === undefined || names.length !== 1) {
                throw failure(
                  `GroupingPartitionRouter expects a single partition key-value pair. Got ${names.join(", ")}`
                )
              }
              return hashKey(slice.partition[name] ?? null)
            })
            if (isDeduplicating && seen.has(key)) return
            seen.add(key)
            batch.push(slice)
            if (batch.length < size) return
            state = inner.state()
            const full = batch
            batch = []
            yield* visit(grouped(full))
          })
        )
        state = inner.state()
        if (batch.length > 0) yield* visit(grouped(batch))
      }),
    options: () => ({}),
    state: () => state
  }
}

const unionRouter = (component: Component, routers: ReadonlyArray<Router>): Router => {
  const field = component.text("partition_field")
  return {
    slices: (visit) =>
      Effect.suspend(() => {
        const seen = new Set<string>()
        const once: Visit<Slice> = (slice) =>
          Effect.gen(function* () {
            const made = yield* pure(() => {
              const { [field]: value, ...rest } = slice.partition
              if (value === undefined) {
                throw failure(
                  `UnionPartitionRouter expects all child partition routers to emit the partition field '${field}'.`
                )
              }
              const key = hashKey(value)
              if (seen.has(key)) return undefined
              seen.add(key)
              return new Slice({ [field]: value }, {}, { ...slice.extra, ...rest })
            })
            if (made !== undefined) yield* visit(made)
          })
        return Effect.forEach(routers, (router) => router.slices(once), { discard: true })
      }),
    options: () => ({}),
    state: () => Object.assign({}, ...routers.map((router) => router.state() ?? {}))
  }
}

const customRouter = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  make: MakeParent
): Effect.fn.Return<Router, RunError> {
  const hook = yield* pure(() => hookOf(component, run.expressions, "partitionRouters"))
  const inner = component.has("parent_stream_configs") ? yield* substreamRouter(run, component, make) : undefined
  return {
    slices: (visit) =>
      Effect.gen(function* () {
        const slices = inner === undefined ? [] : yield* collected(inner)
        const parents = slices.map(({ extra, partition }) => ({ partition, extra }))
        const made = yield* awaited(component, () => hook({ ...askingContext(run, component), parents }))
        yield* Effect.forEach(made, ({ extra, partition }) => visit(new Slice(partition, {}, extra)), { discard: true })
      }),
    options: inner?.options ?? (() => ({})),
    state: () => inner?.state()
  }
})

const routerOf = (run: Run, component: Component, make: MakeParent): Effect.Effect<Router, RunError> => {
  switch (component.type) {
    case "ListPartitionRouter":
      return pure(() => listRouter(run, component))
    case "SubstreamPartitionRouter":
      return substreamRouter(run, component, make)
    case "GroupingPartitionRouter":
      return Effect.flatMap(routerOf(run, component.needed("underlying_partition_router"), make), (inner) =>
        pure(() => groupingRouter(component, inner))
      )
    case "UnionPartitionRouter":
      return Effect.flatMap(
        Effect.forEach(component.children("partition_routers"), (inner) => routerOf(run, inner, make)),
        (inner) => pure(() => unionRouter(component, inner))
      )
    case "CustomPartitionRouter":
      return customRouter(run, component, make)
    default:
      return pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
}

/** The router of a retriever: one component, or the product of several. */
export const makeRouter = (run: Run, retriever: Component, make: MakeParent): Effect.Effect<Router, RunError> => {
  const components = retriever.children("partition_router")
  const [first] = components
  if (first === undefined) return Effect.succeed(singleRouter)
  if (!Array.isArray(retriever.get("partition_router"))) return routerOf(run, first, make)
  return Effect.map(
    Effect.forEach(components, (component) => routerOf(run, component, make)),
    product
  )
}
