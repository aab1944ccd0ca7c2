import { Clock, Effect } from "effect"
import type { Component } from "../component/Component.ts"
import { csvRows } from "../component/Csv.ts"
import { decoderOf } from "../component/Decoder.ts"
import type { Response } from "../component/Response.ts"
import { paginatorOf } from "../component/Paginator.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { dpathExtractor, type Extractor, selectorOf, type SourceRecord } from "../component/Selector.ts"
import type { Slice } from "../component/Slice.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { truthy } from "../expression/Compare.ts"
import { str } from "../expression/Repr.ts"
import { gunzipSync, inflateSync } from "node:zlib"
import type { PlainDict, Value } from "../expression/Value.ts"
import type { Requester, Retriever, Visit } from "./Parts.ts"
import { pure } from "./pure.ts"
import { makeRequester } from "./Requester.ts"
import type { RetrieverOptions } from "./SimpleRetriever.ts"
import type { Run } from "./Run.ts"

type Status = "running" | "completed" | "failed" | "timeout" | "skipped"
const statuses: ReadonlyArray<Status> = ["running", "completed", "failed", "timeout", "skipped"]

interface Job {
  readonly slice: Slice
  readonly created: PlainDict
  readonly polled: Response | undefined
}

/** How often a job is started in sum, and how long is waited between looks at it. */
const mostAttempts = 3
const pollSeconds = 5
const defaultTimeout = 3_600_000

const contextOf = (response: Response): PlainDict => {
  const dict = dictOf(response.json)
  const body: PlainDict =
    dict === undefined ? {} : Object.fromEntries(dictEntries(dict).map(([key, value]) => [str(key), value]))
  return { headers: response.headers, request: response.request, ...body }
}

/** Rows of a CSV file, unpacked if need be: `ResponseToFileExtractor`. */
const fileExtractor = (component: Component): Extractor => {
  const keepsNa = component.isSet("preserve_na_values")
  const missing = new Set(["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]) // prettier-ignore
  return function* (response) {
    const { body } = response
    const bytes =
      body[0] === 0x1f && body[1] === 0x8b
        ? gunzipSync(body)
        : body[0] === 0x78 && body.length > 2 && (body[0] * 256 + (body[1] ?? 0)) % 31 === 0
          ? inflateSync(body)
          : body
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

const extractorOf = (run: Run, component: Component | undefined, decoder: Component | undefined): Extractor => {
  const decode = decoderOf(decoder)
  if (component === undefined) return (response) => decode.decode(response)
  if (component.type === "ResponseToFileExtractor") return fileExtractor(component)
  return dpathExtractor(component, run.expressions, decode)
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
      status: dpathExtractor(component.needed("status_extractor"), expressions, decoderOf(decoder)),
      targets:
        targetComponent === undefined ? undefined : dpathExtractor(targetComponent, expressions, decoderOf(decoder)),
      records: extractorOf(run, component.child("download_extractor"), downloadDecoder),
      paginator: paginatorOf(
        component.child("download_paginator"),
        expressions,
        decoderOf(downloadDecoder),
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
      if (sent === "reset" || !sent.ok) return yield* failure(`The ${what} of an async job got no usable answer.`)
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
      const job = { slice, created, polled }
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

  const targetsOf = Effect.fnUntraced(function* (job: Job) {
    const { targets } = parts
    if (targets === undefined) return [""]
    const polled = job.polled === undefined ? {} : contextOf(job.polled)
    const answer =
      target === undefined
        ? job.polled
        : yield* success(target, job.slice.withExtra({ polling_response: polled }), "request for download targets")
    return yield* pure(() => (answer === undefined ? [] : [...targets(answer)]))
  })

  const downloadOne = Effect.fnUntraced(function* (
    job: Job,
    address: Value,
    visit: Visit<ReadonlyArray<SourceRecord>>
  ) {
    const schema = yield* options.schema
    const slice = job.slice.withExtra({
      download_target: address,
      creation_response: job.created,
      polling_response: job.polled === undefined ? {} : contextOf(job.polled)
    })
    let token = parts.paginator.initialToken
    for (;;) {
      const given = token
      const part = (into: "request_parameter" | "header" | "body_data" | "body_json") =>
        parts.paginator.options(into, given)
      const answer = yield* download.send(
        slice,
        given === undefined ? undefined : { next_page_token: given },
        yield* pure(() => ({
          request_parameter: part("request_parameter"),
          header: part("header"),
          body_data: part("body_data"),
          body_json: part("body_json")
        })),
        parts.paginator.path(given)
      )
      if (answer === "reset" || !answer.ok) return
      const extracted = yield* pure(() => [...parts.records(answer)])
      const records = yield* pure(() =>
        Array.from(parts.selector.transform(extracted, job.slice, undefined, schema), (data) => ({
          data,
          slice: job.slice
        }))
      )
      if (records.length > 0) yield* visit(records)
      const next = yield* pure(() =>
        parts.paginator.next({
          response: answer,
          size: extracted.length,
          lastRecord: records.at(-1)?.data,
          token: given,
          slice
        })
      )
      if (next === undefined || !truthy(next)) return
      token = next
    }
  })

  return {
    read: Effect.fn("airbyte.job")(function* (slice, visit) {
      const job = yield* complete(slice)
      if (job === undefined) return
      for (const address of yield* targetsOf(job)) yield* downloadOne(job, address, visit)
      if (remove !== undefined) {
        yield* remove.send(slice.withExtra({ creation_response: job.created }), undefined)
      }
    })
  }
})
