import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { authFor, connector, failure, keysOf, read, serve, services, source, synthetic } from "./harness.ts"

/** An API that answers with these, one after the other, and then with a page. */
const script = (answers: ReadonlyArray<readonly [status: number, body: string, headers?: Record<string, string>]>) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const url = yield* serve((_request, response) => {
      times.push(performance.now())
      const [status, body, headers] = answers[times.length - 1] ?? [200, '{"data":[{"id":1}]}', {}]
      response.writeHead(status, { "content-type": "application/json", ...headers })
      response.end(body)
    })
    return { times, url }
  })

const run = (url: string, errors: ReadonlyArray<Record<string, unknown>>, retries = 2) =>
  Effect.flatMap(source(connector(url, { primary_key: "id", errors }, { retries })), (ready) => read(ready))

describe("errors", () => {
  it.live("are told apart by status, header, body and value", () =>
    Effect.gen(function* () {
      const cases = [
        [{ action: "ignore", status: [404] }, [404, "gone"], []],
        [{ action: "ignore", status: ["4xx"], body: "no access" }, [403, "You have no access."], []],
        [{ action: "ignore", value: "$.error.code", equals: "EMPTY" }, [200, '{"error":{"code":"EMPTY"}}'], []],
        [{ action: "success", status: [404] }, [404, '{"data":[{"id":7}]}'], ["7"]],
        [{ action: "retry", header: { "X-Error": "^quota" } }, [400, "", { "x-error": "quota exceeded" }], ["1"]],
        [{ action: "retry", body: "try again", wait: { constant: "1 millis" } }, [200, "try again"], ["1"]],
        [{ action: "throttle", status: [418], wait: { pattern: "in (\\d+\\.\\d+) s" } }, [418, "in 0.1 s"], ["1"]]
      ] as const
      for (const [rule, answer, keys] of cases) {
        const { url } = yield* script([answer])
        assert.deepStrictEqual(keysOf(yield* run(url, [rule])), [...keys], JSON.stringify(rule))
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("the first rule that fits counts, and what none fits means what HTTP says", () =>
    Effect.gen(function* () {
      const rules = [
        { action: "fail", status: [404], body: "closed", message: "The shop is closed." },
        { action: "ignore", status: [404] }
      ]
      const { url } = yield* script([[404, "closed"]])
      const error = yield* failure(connector(url, { errors: rules }))
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, "/records answered 404: The shop is closed.")
      const other = yield* script([[410, "closed"]])
      assert.strictEqual((yield* failure(connector(other.url, { errors: rules }))).reason._tag, "Refused")
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a retry counts, and waits as long as it was told", () =>
    Effect.gen(function* () {
      const busy = [400, "busy"] as const
      const rule = { action: "retry", body: "busy", wait: { exponential: "40 millis" } }
      const { times, url } = yield* script([busy, busy])
      assert.deepStrictEqual(keysOf(yield* run(url, [rule])), ["1"])
      assert.isAtLeast(times[1]! - times[0]!, 39)
      assert.isAtLeast(times[2]! - times[1]!, 79)
      const always = yield* script([busy, busy, busy, busy])
      const error = yield* Effect.flip(run(always.url, [rule]))
      assert.deepStrictEqual([error.reason._tag, error.failureClass, always.times.length], ["Decided", "transient", 3])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
  it.live("a new token is got where an API refuses one with its own words", () =>
    Effect.gen(function* () {
      const api = yield* synthetic({ auth: true, records: 10 })
      let refusals = 0
      const url = yield* serve((request, response) => {
        if (refusals++ === 0) return response.writeHead(400).end('{"code":"TOKEN_EXPIRED"}')
        response.end(JSON.stringify({ data: [{ id: request.headers.authorization }] }))
      })
      const errors = [{ action: "refresh-token", status: [400], value: "$.code", equals: "TOKEN_EXPIRED" }]
      const settings = connector(url, { primary_key: "id", errors }, { retries: 0 }, authFor(api))
      assert.strictEqual(keysOf(yield* read(yield* source(settings))).length, 1)
      assert.deepStrictEqual([refusals, api.stats.tokenRequests], [2, 2])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
