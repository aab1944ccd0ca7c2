// Pages whose JSON is right, and cannot be taken as it is.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { answering, connector, failure, keysOf, read, services, source } from "./harness.ts"

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`

describe("a page", () => {
  it.live("with a record that is nested too deeply has that one rejected as it is, and the others published", () =>
    Effect.gen(function* () {
      const deep = `{"id":2,"x":${nested(5000)}}`
      const url = yield* answering(`{"data":[{"id":1},${deep},{"id":3}]}`)
      const pages = yield* read(yield* source(connector(url, { primary_key: "id" })))
      assert.deepStrictEqual(keysOf(pages), ["1", "3"])
      assert.deepStrictEqual(
        pages[0]?.rejected.map(({ code, index, reason, value }) => ({ code, index, reason, value: String(value) })),
        [
          {
            code: "too_deep",
            index: 1,
            reason: "Expected at most 512 objects and arrays inside one another, found more.",
            value: deep
          }
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("whose records stand under a key twice fails: which are meant cannot be told", () =>
    Effect.gen(function* () {
      const url = yield* answering('{"data":[{"id":1}],"data":[{"id":2}]}')
      const error = yield* failure(connector(url))
      assert.strictEqual(error.reason._tag, "NoRecords")
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, 'the key "data", which leads to it, stands more than once in its object')
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
