import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Component } from "../src/component/Component.ts"
import { isPlainDict, type PlainDict, type Value } from "../src/index.ts"
import { makePageSize } from "../src/run/PageSize.ts"
import { makeWindows } from "../src/run/Windows.ts"

interface Stream {
  readonly isLazy?: boolean
  readonly hasProperties?: boolean
  readonly hasFiles?: boolean
}

/** What is said of a retriever's remedies: warnings, and why it cannot work. */
const said = (retriever: PlainDict, stream: Stream = {}) => {
  const heard: Array<Value | undefined> = []
  const component = new Component(retriever, "retriever")
  const options = {
    name: "orders",
    emit: (message: PlainDict) =>
      Effect.sync(() => {
        const { log } = message
        heard.push(log !== undefined && log !== null && isPlainDict(log) ? log["message"] : undefined)
      }),
    configured: () => 10,
    sync: undefined,
    settings: undefined,
    isLazy: false,
    hasProperties: false,
    hasFiles: false,
    ...stream
  }
  const both = Effect.andThen(makePageSize(component, options), makeWindows(component, options))
  return Effect.map(Effect.result(both), (result) => ({
    heard,
    error: Result.isFailure(result) ? result.failure.message : undefined
  }))
}

const asking = (action: string): PlainDict => ({
  requester: {
    error_handler: { type: "DefaultErrorHandler", response_filters: [{ http_codes: [502], action }] }
  }
})

const paginator = {
  type: "DefaultPaginator",
  page_size_option: { type: "RequestOption" },
  pagination_strategy: { type: "OffsetIncrement", page_size: 10 }
}

const kinds = [
  ["page_size_reduction", "REDUCE_PAGE_SIZE"],
  ["request_window_splitting", "SPLIT_REQUEST_WINDOW"]
] as const

describe.each(kinds)("%s", (setting, action) => {
  it.effect("that is missing where an error handler asks for it is an error", () =>
    Effect.gen(function* () {
      const { error } = yield* said(asking(action))
      assert.include(error, `retriever.${setting}: it is missing: a response filter has the action ${action}.`)
    })
  )

  it.effect("is not needed where nothing asks for it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* said({ paginator }), { heard: [], error: undefined })
    })
  )

  it.effect("is refused for a stream whose pages it would tear apart", () =>
    Effect.gen(function* () {
      const retriever = { ...asking(action), paginator, [setting]: {} }
      const streams: ReadonlyArray<readonly [Stream, string]> = [
        [{ isLazy: true }, "a parent's lazy_read_pointer"],
        [{ hasProperties: true }, "query properties"],
        [{ hasFiles: true }, "a file_uploader"]
      ]
      for (const [stream, what] of streams) {
        const { error } = yield* said(retriever, stream)
        assert.include(error, `retriever.${setting}: it cannot be used with ${what}.`)
      }
    })
  )
})

describe("page_size_reduction", () => {
  it.effect("that no error handler asks for is a warning", () =>
    Effect.gen(function* () {
      const { error, heard } = yield* said({ paginator, page_size_reduction: {} })
      assert.isUndefined(error)
      assert.deepStrictEqual(heard, [
        "Stream orders has a page_size_reduction, and no response filter with the action REDUCE_PAGE_SIZE."
      ])
    })
  )

  it.effect("beside a stop condition of which nothing can be said is a warning", () =>
    Effect.gen(function* () {
      const pagination_strategy = {
        type: "CursorPagination",
        page_size: 10,
        stop_condition: "{{ not last_page_size }}"
      }
      const retriever = { ...asking("REDUCE_PAGE_SIZE"), paginator: { ...paginator, pagination_strategy } }
      const { error, heard } = yield* said({ ...retriever, page_size_reduction: {} })
      assert.isUndefined(error)
      assert.lengthOf(heard, 1)
      assert.include(String(heard[0]), "it cannot be said whether a full page of a reduced size would end it")
    })
  )
})
