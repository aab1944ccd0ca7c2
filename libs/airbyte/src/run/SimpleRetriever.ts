import { Effect, Result } from "effect"
import type { CursorSettings } from "../component/Cursor.ts"
import { decoderOf } from "../component/Decoder.ts"
import type { Component } from "../component/Component.ts"
import { type Paginator, paginatorOf } from "../component/Paginator.ts"
import { combine, type Extras, type InjectInto } from "../component/RequestOption.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { extractorOf } from "../component/Extractor.ts"
import { type FileReference, type Selector, selectorOf, type SourceRecord } from "../component/Selector.ts"
import { writeJson } from "../component/jsonText.ts"
import { Response } from "../component/Response.ts"
import { TruncatedLists } from "../component/TruncatedLists.ts"
import { embeddedPage, type Slice, wholeSlice } from "../component/Slice.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import { truthy } from "../expression/Compare.ts"
import type { Upload } from "./FileUploader.ts"
import { makePageSize } from "./PageSize.ts"
import { makeTracker } from "./PaginationReset.ts"
import { isRefusal, type Refusal, type Retriever, type Sent } from "./Parts.ts"
import { makeProperties, merge, type Properties, queryProperties } from "./Properties.ts"
import { pure } from "./pure.ts"
import { readPages } from "./readPages.ts"
import { makeRequester } from "./Requester.ts"
import type { Run } from "./Run.ts"
import { makeExtraction } from "./wholeLists.ts"
import { positionOf, tokenAt, unbegun, walkAt } from "./Walk.ts"
import { inWindow, makeWindows } from "./Windows.ts"

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
  /** The stream's cursor, and what it is made of: to begin a walk again, or with a shorter interval. */
  readonly sync: Component | undefined
  readonly cursor: CursorSettings | undefined
  /** Whether answers are kept for other streams. */
  readonly isCached: boolean
  /** Whether the first page of a slice comes with its parent's record. */
  readonly isEmbedded: boolean
  /** Downloads the file of each record. */
  readonly upload: Upload | undefined
}

export const plainRetrieverOptions: Omit<RetrieverOptions, "name"> = {
  transformations: [],
  options: () => ({}),
  schema: Effect.succeed({}),
  isWanted: undefined,
  isClientSide: false,
  isDataFeed: false,
  sync: undefined,
  cursor: undefined,
  isCached: false,
  isEmbedded: false,
  upload: undefined
}

/** Whether a parent's records may hold the first pages of the slices. */
const readsLazily = (retriever: Component): boolean => {
  const router = retriever.child("partition_router")
  return (
    router?.type === "SubstreamPartitionRouter" &&
    router.children("parent_stream_configs").some((parent) => parent.texts("lazy_read_pointer").length > 0)
  )
}

/** An action that only a hook can have asked for, where the manifest has no setting for it. */
const unexpected = ({ refused }: Refusal) =>
  failure(
    `An error handler asks for ${refused}, but the retriever has no ${refused === "REDUCE_PAGE_SIZE" ? "page_size_reduction" : "request_window_splitting"}.`,
    "config_error"
  )

/** The component `SimpleRetriever`. Makes no request. */
export const makeSimpleRetriever = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  options: RetrieverOptions
): Effect.fn.Return<Retriever, RunError> {
  const { expressions } = run
  const decoderComponent = component.child("decoder")
  const decoder = yield* pure(() => decoderOf(decoderComponent, expressions))
  const selectorComponent = component.needed("record_selector")
  const lists = new TruncatedLists()
  const extractor = yield* pure(() => extractorOf(selectorComponent.needed("extractor"), expressions, decoder, lists))
  const extraction = yield* makeExtraction(run, selectorComponent, extractor, lists, (inner) =>
    inner.type === "SimpleRetriever"
      ? makeSimpleRetriever(run, inner, { ...plainRetrieverOptions, name: "record_expander_truncated_list" })
      : pure(() => inner.fail("type", `${inner.type} cannot read lists here; expected SimpleRetriever.`, "unsupported"))
  )
  const selector: Selector = yield* pure(() =>
    selectorOf({
      component: selectorComponent,
      expressions,
      extractor,
      transformations: options.transformations,
      wanted: options.isClientSide && !options.isDataFeed ? options.isWanted : undefined,
      isTransformedFirst: options.isClientSide
    })
  )
  const query = yield* pure(() => queryProperties(component.needed("requester")))
  const requester = yield* makeRequester(run, query.requester, {
    propertiesKey: query.key,
    isCached: options.isCached,
    stream: options.name
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

  const limits = {
    name: options.name,
    emit: run.emit,
    sync: options.sync,
    settings: options.cursor,
    configured: paginator.pageSize,
    hasProperties: properties !== undefined,
    hasFiles: options.upload !== undefined,
    isLazy: readsLazily(component)
  }
  const pageSize = yield* makePageSize(component, limits)
  const windowsOf = yield* makeWindows(component, limits)

  const extras = (slice: Slice, token: Value | undefined, asked: number | undefined): Extras => {
    const part = (into: InjectInto) =>
      combine(
        [
          paginator.options(into, token, asked),
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

  const tracker = makeTracker(reset, options.cursor)

  const page: Retriever["page"] = Effect.fn("airbyte.page")(function* (original, position) {
    const schema = yield* options.schema
    const page = position === undefined && options.isEmbedded ? original.extra[embeddedPage] : undefined
    let embedded = page === undefined ? undefined : new Response(200, [], Buffer.from(writeJson(page)), "")
    // The page that a parent's record holds is the one that is asked for without a token.
    const given =
      position === undefined ? (embedded === undefined ? paginator.initialToken : undefined) : tokenAt(position)
    const mapping: PlainDict | undefined = given === undefined ? undefined : { next_page_token: given }
    const { size: kept, tracked: before, windows } = walkAt(position)
    const [window] = windows
    const whole = inWindow(original, window?.cursor)
    const walked = inWindow(whole, before.cursor)
    const records: Array<SourceRecord> = []
    const answers: Array<Buffer> = []
    let response: Response | undefined
    let refusal: Refusal | undefined
    let failed: RunError | undefined
    const chunks = properties === undefined ? [undefined] : yield* properties.chunks
    const merged = new Map<string, PlainDict>()
    for (const chunk of chunks) {
      const asked = chunk === undefined ? walked : walked.withExtra({ query_properties: [...chunk] })
      const asking = pure(() => extras(asked, given, kept.size)).pipe(
        Effect.flatMap((parts) => requester.send(asked, mapping, parts, paginator.path(given)))
      )
      const reply: Result.Result<Sent, RunError> =
        embedded === undefined ? yield* Effect.result(asking) : Result.succeed(embedded)
      embedded = undefined
      if (Result.isFailure(reply)) {
        failed = reply.failure
        break
      }
      const sent = reply.success
      if (isRefusal(sent)) {
        refusal = sent
        break
      }
      response = sent
      if (!sent.ok) continue
      answers.push(sent.body)
      const { upload } = options
      const take = (data: PlainDict, file: FileReference | undefined) => {
        const key = properties?.mergeKey?.(data)
        if (key === undefined) {
          records.push({ data, slice: asked, file })
          return
        }
        const known = merged.get(key)
        if (known === undefined) merged.set(key, data)
        else merge(known, data)
      }
      const selected = yield* Effect.result(
        Effect.gen(function* () {
          const extracted = extraction === undefined ? undefined : yield* extraction(sent)
          const select = () => selector.select(sent, asked, mapping, schema, extracted)
          if (upload === undefined) {
            return yield* pure(() => {
              for (const data of select()) take(data, undefined)
            })
          }
          for (const data of yield* pure(() => [...select()])) take(data, yield* upload(data))
        })
      )
      if (Result.isFailure(selected)) {
        failed = selected.failure
        break
      }
    }
    const { isWanted } = options
    const wantedOf = (all: ReadonlyArray<SourceRecord>) =>
      (options.isDataFeed && isWanted !== undefined
        ? all.filter((record) => isWanted(record.data, record.slice))
        : all
      ).map(({ data, file }) => ({ data, slice: original, file }))
    /** What came before a failure is there all the same. */
    const withFailure = (error: RunError, before: ReadonlyArray<SourceRecord>) =>
      before.length === 0 ? Effect.fail(error) : Effect.succeed({ records: before, next: undefined, failure: error })
    if (failed !== undefined) return yield* withFailure(failed, yield* pure(() => wantedOf(records)))
    if (refusal?.refused === "REDUCE_PAGE_SIZE") {
      if (pageSize === undefined) return yield* unexpected(refusal)
      const size = yield* pageSize.reduced(kept, refusal.message)
      return { records: [], next: positionOf(given, { tracked: before, size, windows }) }
    }
    if (refusal?.refused === "SPLIT_REQUEST_WINDOW") {
      if (windowsOf === undefined) return yield* unexpected(refusal)
      const halves = yield* windowsOf.halves(walked, window?.depth ?? 0, refusal.message)
      return { records: [], next: positionOf(paginator.initialToken, unbegun([...halves, ...windows.slice(1)])) }
    }
    const tracked = yield* pure(() => tracker.observed(before, walked, records))
    for (const data of merged.values()) records.push({ data, slice: walked })
    const size = refusal === undefined && pageSize !== undefined ? pageSize.succeeded(kept) : kept
    const found = yield* pure(() => wantedOf(records))
    const rest = windows.slice(1)
    const done = {
      records: found,
      next: rest.length === 0 ? undefined : positionOf(paginator.initialToken, unbegun(rest))
    }
    if (refusal === undefined && (response === undefined || !response.ok)) return done
    if (refusal !== undefined || tracker.isFull(tracked)) {
      const again = yield* pure(() => tracker.reduced(tracked, walked, whole))
      return { records: found, next: positionOf(paginator.initialToken, { tracked: again, size, windows }) }
    }
    if (response === undefined) return done
    const seen = response
    const last = records.at(-1)
    if (options.isDataFeed && last !== undefined && isWanted !== undefined) {
      if (!(yield* pure(() => isWanted(last.data, last.slice)))) return done
    }
    const following = yield* Effect.result(
      pure(() =>
        paginator.next({
          response: seen,
          size: records.length,
          lastRecord: last?.data,
          token: given,
          slice: walked,
          asked: kept.size
        })
      )
    )
    if (Result.isFailure(following)) return yield* withFailure(following.failure, found)
    const next = following.success
    return next === undefined || !truthy(next)
      ? done
      : { records: found, next: positionOf(next, { tracked, size, windows }), answers }
  })
  return { page, read: readPages(page, options.name) }
})

/** Ends a read as soon as it knows enough. */
const enough = failure("enough")

/** The first record of a retriever: for schemas. What would come after it is not asked for. */
export const readFirst = Effect.fnUntraced(function* (retriever: Retriever) {
  let first: PlainDict | undefined
  const read = retriever.read(wholeSlice, (records) => {
    first = records[0]?.data
    return Effect.fail(enough)
  })
  yield* Effect.catchIf(
    read,
    (error) => error === enough,
    () => Effect.void
  )
  return first
})
