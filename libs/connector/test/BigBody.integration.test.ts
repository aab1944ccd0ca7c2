import { once } from "node:events"
import { memoryUsage } from "node:process"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { connector, serve, services, source } from "./harness.ts"

const megabyte = 1_048_576

describe("a body larger than memory should hold", () => {
  it.live(
    "is read with flat memory",
    () =>
      Effect.gen(function* () {
        const block = Buffer.from(`{"id":1,"text":"${"x".repeat(200)}"}\n`.repeat(4096))
        const blocks = Math.ceil((400 * megabyte) / block.length)
        const url = yield* serve((_request, response) => {
          const gone = new AbortController()
          response.on("close", () => gone.abort())
          void (async () => {
            for (let n = 0; n < blocks && !response.destroyed; n++) {
              if (!response.write(block)) await once(response, "drain", { signal: gone.signal })
            }
            response.end()
          })()
        })
        const ready = yield* source(connector(url, { format: "ndjson", records: "$[*]" }))
        let records = 0
        let start = 0
        let most = 0
        yield* ready.pages("items", undefined).pipe(
          Stream.runForEach((page) =>
            Effect.sync(() => {
              records += page.records.length
              const { arrayBuffers, heapUsed } = memoryUsage()
              const used = arrayBuffers + heapUsed
              if (start === 0) start = used
              most = Math.max(most, used)
            })
          )
        )
        assert.strictEqual(records, blocks * 4096)
        assert.isBelow(most - start, 200 * megabyte)
      }).pipe(Effect.scoped, Effect.provide(services)),
    240_000
  )
})
