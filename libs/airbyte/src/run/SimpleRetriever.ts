import { Effect } from "effect"
import type { Cursor } from "../component/Cursor.ts"
import { decoderOf } from "../component/Decoder.ts"
import type { Component } from "../component/Component.ts"
import { type Paginator, paginatorOf } from "../component/Paginator.ts"
import { combine, type Extras, type InjectInto } from "../component/RequestOption.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { dpathExtractor, type Selector, selectorOf, type SourceRecord } from "../component/Selector.ts"
import { type Slice, wholeSlice } from "../component/Slice.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { truthy } from "../expression/Compare.ts"
import { str } from "../expression/Repr.ts"
import type { Retriever } from "./Parts.ts"
import { makeProperties, type Properties } from "./Properties.ts"
import { pure } from "./pure.ts"
import { makeRequester } from "./Requester.ts"
import type { Run } from "./Run.ts"

/** What a stream gives its retriever. */
export interface RetrieverOptions {
  readonly name: string
  readonly transformations: ReadonlyArray<Component>
  /** What the slicer puts into requests. */
  readonly options: (into: InjectInto, slice: Slice) => PlainDict
  readonly schema: Effect.Effect<PlainDict, RunError>
  /** Whether the cursor wants a record; undefined without a cursor. */
  readonly isWanted: ((record: PlainDict, slice: Slice) => boolean) | undefined
  readonly isClientSide: boolean
  readonly isDataFeed: boolean
  /** A cursor that has read nothing, to begin a walk again from. */
  readonly blankCursor: (() => Cursor) | undefined
  /** Whether answers are kept for other streams. */
  readonly isCached: boolean
}

export const plainRetrieverOptions: Omit<RetrieverOptions, "name"> = {
  transformations: [],
  options: () => ({}),
  schema: Effect.succeed({}),
  isWanted: undefined,
  isClientSide: false,
  isDataFeed: false,
  blankCursor: undefined,
  isCached: false
}

const unsupported = ["page_size_reduction", "request_window_splitting"]

/** The parameter that a chunk of properties goes into, and the requester without it. */
const queryProperties = (requester: Component) => {
  const own = requester.child("query_properties")
  const dict = dictOf(requester.get("request_parameters"))
  const found = (dict === undefined ? [] : dictEntries(dict)).filter(
    ([, value]) => value !== null && isPlainDict(value) && value["type"] === "QueryProperties"
  )
  const [first] = found
  if (found.length > 1) requester.fail("request_parameters", "only one of them may be a QueryProperties.")
  if (first === undefined) {
    const endpoint = requester.get("fetch_properties_from_endpoint")
    const made: Value | undefined =
      endpoint === undefined ? undefined : { type: "QueryProperties", property_list: endpoint }
    return {
      requester,
      key: undefined,
      component: made === undefined ? own : requester.with("made", made).child("made")
    }
  }
  const key = str(first[0])
  const rest = Object.fromEntries(
    (dict === undefined ? [] : dictEntries(dict)).flatMap(([name, value]) =>
      str(name) === key ? [] : [[str(name), value]]
    )
  )
  const parameters = requester.child("request_parameters")
  return { requester: requester.with("request_parameters", rest), key, component: parameters?.child(key) }
}

const merge = (target: PlainDict, source: PlainDict): void => {
  for (const [key, value] of Object.entries(source)) {
    const known = Object.hasOwn(target, key) ? target[key] : undefined
    if (known !== undefined && known !== null && isPlainDict(known) && value !== null && isPlainDict(value)) {
      merge(known, value)
    } else target[key] = value
  }
}

/** Counts the records of a walk, for APIs that give only so many of them at a time. */
const makeTracker = (component: Component | undefined, blank: (() => Cursor) | undefined) => {
  const cursor = component?.optionalText("action") === "SPLIT_USING_CURSOR" ? blank?.() : undefined
  const limit = component?.child("limits")?.get("number_of_records")
  const allowed = cursor === undefined ? 2 : 1
  let count = 0
  let same = 0
  return {
    observe: (record: SourceRecord) => {
      count++
      cursor?.observe(record)
    },
    isFull: () => typeof limit === "number" && count >= limit,
    reduce: (previous: Slice, original: Slice): Slice => {
      // Records of a reduced slice were observed under that slice's key.
      const next = cursor === undefined ? previous : cursor.reduced(original, previous.key)
      if (next.key === previous.key) {
        if (++same >= allowed) {
          throw failure(`There were ${same} attempts with the same slice already while the max allowed is ${allowed}`)
        }
      } else same = 0
      count = 0
      return next
    }
  }
}

/** Most pages of one walk: an API that never ends must not keep the run for ever. */
const mostPages = 1_000_000

/** The component `SimpleRetriever`. Makes no request. */
export const makeSimpleRetriever = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  options: RetrieverOptions
): Effect.fn.Return<Retriever, RunError> {
  for (const name of unsupported) {
    if (component.has(name)) return yield* pure(() => component.fail(name, "it is not there yet.", "unsupported"))
  }
  const { expressions } = run
  const decoderComponent = component.child("decoder")
  const decoder = yield* pure(() => decoderOf(decoderComponent))
  const selectorComponent = component.needed("record_selector")
  const selector: Selector = yield* pure(() =>
    selectorOf({
      component: selectorComponent,
      expressions,
      extractor: dpathExtractor(selectorComponent.needed("extractor"), expressions, decoder),
      transformations: options.transformations,
      wanted: options.isClientSide && !options.isDataFeed ? options.isWanted : undefined,
      isTransformedFirst: options.isClientSide
    })
  )
  const query = yield* pure(() => queryProperties(component.needed("requester")))
  const requester = yield* makeRequester(run, query.requester, {
    propertiesKey: query.key,
    isCached: options.isCached
  })
  const properties: Properties | undefined =
    query.component === undefined
      ? undefined
      : yield* makeProperties(run, query.component, options.name, (inner, cached) =>
          makeSimpleRetriever(run, inner, { ...plainRetrieverOptions, name: "dynamic_properties", isCached: cached })
        )
  const paginator: Paginator = yield* pure(() =>
    paginatorOf(component.child("paginator"), expressions, decoder, decoderComponent)
  )
  const ignoresSlicer = component.isSet("ignore_stream_slicer_parameters_on_paginated_requests")
  const reset = component.child("pagination_reset")
  if (reset?.has("limits") === true && selectorComponent.has("record_filter")) {
    return yield* pure(() => component.fail("pagination_reset", "its limits cannot be used with a record filter."))
  }

  const extras = (slice: Slice, token: Value | undefined): Extras => {
    const part = (into: InjectInto) =>
      combine(
        [
          paginator.options(into, token),
          token !== undefined && ignoresSlicer ? undefined : options.options(into, slice)
        ],
        into === "body_json"
      )
    return {
      request_parameter: part("request_parameter"),
      header: part("header"),
      body_data: part("body_data"),
      body_json: part("body_json")
    }
  }

  const read: Retriever["read"] = Effect.fn("airbyte.read")(function* (original, visit) {
    const schema = yield* options.schema
    const tracker = makeTracker(reset, options.blankCursor)
    const initial = paginator.initialToken
    let token = initial
    let slice = original
    for (let page = 1; page <= mostPages; page++) {
      const mapping: PlainDict | undefined = token === undefined ? undefined : { next_page_token: token }
      const given = token
      const walked = slice
      const records: Array<SourceRecord> = []
      let response: Exclude<Effect.Success<ReturnType<typeof requester.send>>, "reset"> | undefined
      let isReset = false
      const chunks = properties === undefined ? [undefined] : yield* properties.chunks
      const merged = new Map<string, PlainDict>()
      for (const chunk of chunks) {
        const asked = chunk === undefined ? walked : walked.withExtra({ query_properties: [...chunk] })
        const sent = yield* requester.send(
          asked,
          mapping,
          yield* pure(() => extras(asked, given)),
          paginator.path(given)
        )
        if (sent === "reset") {
          isReset = true
          break
        }
        response = sent
        if (!sent.ok) continue
        yield* pure(() => {
          for (const data of selector.select(sent, asked, mapping, schema)) {
            const key = properties?.mergeKey?.(data)
            if (key === undefined) {
              const record = { data, slice: asked }
              tracker.observe(record)
              records.push(record)
              continue
            }
            const known = merged.get(key)
            if (known === undefined) merged.set(key, data)
            else merge(known, data)
          }
        })
      }
      for (const data of merged.values()) records.push({ data, slice: walked })
      const { isWanted } = options
      const kept =
        options.isDataFeed && isWanted !== undefined
          ? yield* pure(() => records.filter((record) => isWanted(record.data, record.slice)))
          : records
      if (kept.length > 0) yield* visit(kept.map(({ data }) => ({ data, slice: original })))
      if (!isReset && (response === undefined || !response.ok)) return
      if (isReset || tracker.isFull()) {
        token = initial
        slice = yield* pure(() => tracker.reduce(walked, original))
        continue
      }
      if (response === undefined) return
      const seen = response
      const last = records.at(-1)
      if (options.isDataFeed && last !== undefined && isWanted !== undefined) {
        if (!(yield* pure(() => isWanted(last.data, last.slice)))) return
      }
      const next = yield* pure(() =>
        paginator.next({
          response: seen,
          size: records.length,
          lastRecord: last?.data,
          token: given,
          slice: walked
        })
      )
      if (next === undefined || !truthy(next)) return
      token = next
    }
    return yield* failure(`Stream ${options.name} has more than ${mostPages} pages; its pagination does not end.`)
  })
  return { read }
})

/** A retriever that is read as a whole: for schemas, properties and generated streams. */
export const readAll = Effect.fnUntraced(function* (retriever: Retriever, slice: Slice = wholeSlice) {
  const all: Array<PlainDict> = []
  yield* retriever.read(slice, (records) =>
    Effect.sync(() => {
      for (const { data } of records) all.push(data)
    })
  )
  return all
})
