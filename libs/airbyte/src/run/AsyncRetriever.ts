import { Clock, Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { csvRows } from "../component/Csv.ts"
import { decoderOf } from "../component/Decoder.ts"
import { headersOf, type Response } from "../component/Response.ts"
import { paginatorOf } from "../component/Paginator.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { type Extractor, extractorOf } from "../component/Extractor.ts"
import { selectorOf } from "../component/Selector.ts"
import type { Slice } from "../component/Slice.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { truthy } from "../expression/Compare.ts"
import { str } from "../expression/Repr.ts"
import { gunzipSync, inflateSync } from "node:zlib"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { isRefusal, type Requester, type RetrievedPage, type Retriever } from "./Parts.ts"
import { pure } from "./pure.ts"
import { readPages } from "./readPages.ts"
import { makeRequester } from "./Requester.ts"
import type { RetrieverOptions } from "./SimpleRetriever.ts"
import type { Run } from "./Run.ts"

type Status = "running" | "completed" | "failed" | "timeout" | "skipped"
const statuses: ReadonlyArray<Status> = ["running", "completed", "failed", "timeout", "skipped"]

interface Job {
  readonly created: PlainDict
  readonly polled: Response
}

/** How often a job is started in sum, and how long is waited between looks at it. */
const mostAttempts = 3
const pollSeconds = 5
const defaultTimeout = 3_600_000

/** Where the download of a finished job goes on. */
interface DownloadPosition {
  readonly created: PlainDict
  readonly polled: PlainDict
  readonly targets: ReadonlyArray<Value>
  readonly index: number
  readonly token: Value | undefined
}

const positionOf = ({ created, index, polled, targets, token }: DownloadPosition): PlainDict => ({
  created,
  polled,
  targets: [...targets],
  index,
  ...(token === undefined ? {} : { token })
})

const dictIn = (position: PlainDict, name: string): PlainDict => {
  const value = position[name]
  if (value === undefined || value === null || !isPlainDict(value)) return {}
  const headers = value["headers"]
  // Headers that were kept as JSON are found in any case again.
  return headers === undefined || headers === null || !isPlainDict(headers)
    ? value
    : { ...value, headers: headersOf(Object.entries(headers).map(([key, text]) => [key, str(text)])) }
}

const downloadOf = (position: PlainDict): DownloadPosition => {
  const { index, targets, token } = position
  return {
    created: dictIn(position, "created"),
    polled: dictIn(position, "polled"),
    targets: Array.isArray(targets) ? targets : [],
    index: typeof index === "number" ? index : 0,
    token
  }
}

const contextOf = (response: Response): PlainDict => {
  const dict = dictOf(response.json)
  const body: PlainDict =
    dict === undefined ? {} : Object.fromEntries(dictEntries(dict).map(([key, value]) => [str(key), value]))
  return { headers: response.headers, request: response.request, ...body }
}

/** A file without its compression, which its first bytes tell. */
const unpacked = (body: Buffer): Buffer => {
  try {
    if (body[0] === 0x1f && body[1] === 0x8b) return gunzipSync(body)
    const isZlib = body[0] === 0x78 && body.length > 2 && (body[0] * 256 + (body[1] ?? 0)) % 31 === 0
    return isZlib ? inflateSync(body) : body
  } catch (error) {
    throw failure(`The downloaded file cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Rows of a CSV file, unpacked if need be: `ResponseToFileExtractor`. */
const fileExtractor = (component: Component): Extractor => {
  const keepsNa = component.isSet("preserve_na_values")
  const missing = new Set(["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]) // prettier-ignore
  return function* (response) {
    const { body } = response
    const bytes = unpacked(body)
    const [names, ...rows] = csvRows(bytes.toString("utf8").replaceAll("\0", ""))
    for (const row of rows) {
      if (row.length === 0) continue
      const record: PlainDict = {}
      names?.forEach((name, index) => {
        const value = row[index]
        record[name] = value === undefined || value === "" || (!keepsNa && missing.has(value)) ? null : value
      })
      yield record
    }
  }
}

const downloadExtractor = (run: Run, component: Component | undefined, decoder: Component | undefined): Extractor => {
  const decode = decoderOf(decoder, run.expressions)
  if (component === undefined) return (response) => decode.decode(response)
  if (component.type === "ResponseToFileExtractor") return fileExtractor(component)
  return extractorOf(component, run.expressions, decode)
}

/** Which status of the API is which of ours. */
const statusesOf = (component: Component): ReadonlyMap<string, Status> => {
  const mapping = component.needed("status_mapping")
  const known = new Map<string, Status>()
  for (const status of statuses) {
    for (const name of mapping.texts(status)) {
      if (known.has(name)) mapping.fail(status, `the API status ${name} is given twice.`)
      known.set(name, status)
    }
  }
  return known
}

/** The component `AsyncRetriever`. Makes no request. Jobs are run one after the other. */
export const makeAsyncRetriever = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  options: RetrieverOptions
): Effect.fn.Return<Retriever, RunError> {
  const { expressions } = run
  const requester = (name: string) => {
    const found = component.child(name)
    return found === undefined ? Effect.void : makeRequester(run, found)
  }
  const creation = yield* makeRequester(run, component.needed("creation_requester"))
  const polling = yield* makeRequester(run, component.needed("polling_requester"))
  const download = yield* makeRequester(run, component.needed("download_requester"))
  const target = yield* requester("download_target_requester")
  const abort = yield* requester("abort_requester")
  const remove = yield* requester("delete_requester")
  const parts = yield* pure(() => {
    const decoder = component.child("decoder")
    const downloadDecoder = component.child("download_decoder")
    const targetComponent = component.child("download_target_extractor")
    if (target !== undefined && targetComponent === undefined) {
      component.fail("download_target_extractor", "it is needed with a download_target_requester.")
    }
    const timeout = component.get("polling_job_timeout")
    const minutes = timeout === undefined ? undefined : Number(expressions.value(str(timeout), component.parameters))
    return {
      status: extractorOf(component.needed("status_extractor"), expressions, decoderOf(decoder, expressions)),
      targets:
        targetComponent === undefined
          ? undefined
          : extractorOf(targetComponent, expressions, decoderOf(decoder, expressions)),
      records: downloadExtractor(run, component.child("download_extractor"), downloadDecoder),
      paginator: paginatorOf(
        component.child("download_paginator"),
        expressions,
        decoderOf(downloadDecoder, expressions),
        downloadDecoder
      ),
      statuses: statusesOf(component),
      timeout: minutes === undefined ? defaultTimeout : minutes * 60_000,
      selector: selectorOf({
        component: component.needed("record_selector"),
        expressions,
        extractor: () => [],
        transformations: options.transformations,
        wanted: undefined,
        isTransformedFirst: false
      })
    }
  })
  const retryWait = yield* pure(() => {
    const given = component.get("failed_retry_wait_time_in_seconds")
    return given === undefined || !truthy(given) ? undefined : Number(expressions.value(str(given), {}))
  })

  const success = (sender: Requester, slice: Slice, what: string) =>
    Effect.gen(function* () {
      const sent = yield* sender.send(slice, undefined)
      if (isRefusal(sent) || !sent.ok) return yield* failure(`The ${what} of an async job got no usable answer.`)
      return sent
    })

  const attempt = Effect.fnUntraced(function* (slice: Slice): Effect.fn.Return<readonly [Status, Job], RunError> {
    const created = contextOf(yield* success(creation, slice, "creation request"))
    const asked = slice.withExtra({ creation_response: created })
    const began = yield* Clock.currentTimeMillis
    for (;;) {
      const polled = yield* success(polling, asked, "polling request")
      const status = yield* pure(() => {
        let found: Value | undefined
        for (const value of parts.status(polled)) {
          found = value
          break
        }
        const known = parts.statuses.get(str(found ?? null))
        if (known === undefined) {
          throw failure(
            `API status \`${str(found ?? null)}\` is unknown. Add it to the status_mapping.`,
            "config_error"
          )
        }
        return known
      })
      const job = { created, polled }
      if (status !== "running") return [status, job] as const
      if ((yield* Clock.currentTimeMillis) - began > parts.timeout) return ["timeout", job] as const
      yield* Effect.sleep(pollSeconds * 1000)
    }
  })

  /** Starts a job for a slice and waits for it; undefined when the API says there is nothing. */
  const complete = Effect.fnUntraced(function* (slice: Slice): Effect.fn.Return<Job | undefined, RunError> {
    for (let count = 1; ; count++) {
      const result = yield* Effect.result(attempt(slice))
      if (result._tag === "Failure") {
        if (result.failure.failureType === "config_error" || count >= mostAttempts) return yield* result.failure
        continue
      }
      const [status, job] = result.success
      if (status === "completed") return job
      if (status === "skipped") return undefined
      if (status === "timeout" && abort !== undefined) {
        yield* abort.send(slice.withExtra({ creation_response: job.created }), undefined)
      }
      if (count >= mostAttempts) {
        return yield* failure("One or more async jobs failed after exhausting all retry attempts.", "config_error")
      }
      if (status === "failed" && retryWait !== undefined) yield* Effect.sleep(retryWait * 1000)
      yield* Effect.sleep(pollSeconds * 1000)
    }
  })

  /** Where a finished job's results are. */
  const targetsOf = Effect.fnUntraced(function* (slice: Slice, job: Job) {
    const { targets } = parts
    if (targets === undefined) return [""]
    const answer =
      target === undefined
        ? job.polled
        : yield* success(
            target,
            slice.withExtra({ polling_response: contextOf(job.polled) }),
            "request for download targets"
          )
    return yield* pure(() => [...targets(answer)])
  })

  /** Orders the report and waits for it: a page without records, so that the job is remembered when it is there. */
  const ordered = Effect.fnUntraced(function* (slice: Slice): Effect.fn.Return<RetrievedPage, RunError> {
    const job = yield* complete(slice)
    if (job === undefined) return { records: [], next: undefined }
    const targets = yield* targetsOf(slice, job)
    return {
      records: [],
      next: positionOf({
        created: job.created,
        polled: contextOf(job.polled),
        targets,
        index: 0,
        token: parts.paginator.initialToken
      })
    }
  })

  const downloaded = Effect.fnUntraced(function* (
    slice: Slice,
    at: DownloadPosition
  ): Effect.fn.Return<RetrievedPage, RunError> {
    const { created, index, polled, targets, token } = at
    const address = targets[index]
    if (address === undefined) {
      if (remove !== undefined) yield* remove.send(slice.withExtra({ creation_response: created }), undefined)
      return { records: [], next: undefined }
    }
    const schema = yield* options.schema
    const asked = slice.withExtra({ download_target: address, creation_response: created, polling_response: polled })
    const part = (into: "request_parameter" | "header" | "body_data" | "body_json") =>
      parts.paginator.options(into, token)
    const answer = yield* download.send(
      asked,
      token === undefined ? undefined : { next_page_token: token },
      yield* pure(() => ({
        request_parameter: part("request_parameter"),
        header: part("header"),
        body_data: part("body_data"),
        body_json: part("body_json")
      })),
      parts.paginator.path(token)
    )
    const following: DownloadPosition = { ...at, index: index + 1, token: parts.paginator.initialToken }
    if (isRefusal(answer) || !answer.ok) return { records: [], next: positionOf(following) }
    const extracted = yield* pure(() => [...parts.records(answer)])
    const records = yield* pure(() =>
      Array.from(parts.selector.transform(extracted, slice, undefined, schema), (data) => ({ data, slice }))
    )
    const next = yield* pure(() =>
      parts.paginator.next({
        response: answer,
        size: extracted.length,
        lastRecord: records.at(-1)?.data,
        token,
        slice: asked
      })
    )
    const isOver = next === undefined || !truthy(next)
    return { records, next: positionOf(isOver ? following : { ...at, token: next }) }
  })

  const page: Retriever["page"] = Effect.fn("airbyte.job")(function* (slice, position) {
    return yield* position === undefined ? ordered(slice) : downloaded(slice, downloadOf(position))
  })
  return { page, read: readPages(page, options.name) }
})
