import { assert, describe, it } from "@effect/vitest"
import { Status } from "@tributary/telemetry"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { answer, connector, keys, run, serve, stage, until, withServices } from "./support.ts"

const noticesNow = Effect.flatMap(Status, ({ snapshot }) =>
  Effect.map(snapshot, (entries) => entries.flatMap(({ notices = [] }) => notices.map(({ message }) => message)))
)
/** What is said of a stream, as soon as it fits; time stands still meanwhile. */
const noticed = (pattern: RegExp) =>
  TestClock.withLive(until(noticesNow, (messages) => messages.some((message) => pattern.test(message))))

describe("long waits", () => {
  it.effect("that a success asks for are a notice until they are over", () =>
    withServices(
      Effect.gen(function* () {
        let asked = 0
        const url = yield* serve((_request, response) => {
          const isFirst = asked++ === 0
          response.setHeader("x-ratelimit-remaining", isFirst ? "0" : "9")
          response.setHeader("x-ratelimit-reset", isFirst ? "2400" : "3600")
          answer(response, isFirst ? '{"data":[{"id":1}],"next":"x"}' : '{"data":[{"id":2}],"next":null}')
        })
        const running = yield* Effect.forkChild(run(connector(url), true))
        const [message] = yield* noticed(/./u)
        assert.include(message, `${url}/records answered 200 and says that nothing is left of the API's limits.`)
        assert.include(message, "Nothing is asked until 1970-01-01T00:40:00Z")
        yield* TestClock.adjust("39 minutes")
        assert.deepStrictEqual([asked, yield* noticesNow], [1, [message]])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* TestClock.withLive(Fiber.join(running)), [])
        assert.deepStrictEqual([yield* keys(), yield* noticesNow], [["1", "2"], []])
      })
    )
  )
  it.effect("of a stream that is always throttled are a notice, and the end of a run that has to end", () =>
    withServices(
      Effect.gen(function* () {
        let asked = 0
        const url = yield* serve((_request, response) => {
          asked++
          response.setHeader("retry-after", "86400")
          answer(response, '{"error":"slow down"}', 429)
        })
        const running = yield* Effect.forkChild(run(connector(url), true))
        yield* noticed(/asks to wait 86400 s: .*slow down.*It is tried again after 900 s, the longest wait/u)
        for (let times = 2; times <= 4; times++) {
          yield* TestClock.adjust("902 seconds")
          yield* noticed(new RegExp(`${times} times in a row, for ${(times - 1) * 15} minutes now`, "u"))
          assert.strictEqual(asked, times)
        }
        yield* TestClock.adjust("902 seconds")
        const [gaveUp, ...others] = yield* TestClock.withLive(Fiber.join(running).pipe(Effect.timeout("20 seconds")))
        assert.deepStrictEqual([others, asked], [[], 5])
        assert.strictEqual(gaveUp?.failureClass, "throttled")
        assert.match(gaveUp?.problem ?? "", /^shop\/items: .*answered 429.* 5 times in a row, for 60 minutes/u)
        const found = yield* stage()
        assert.deepStrictEqual([found?.state, found?.problem?.message], ["paused", gaveUp?.problem])
        assert.deepStrictEqual(yield* noticesNow, [])
      })
    )
  )
  it.effect("of a service that stays go on, and the stream is tried again after each hour", () =>
    withServices(
      Effect.gen(function* () {
        let asked = 0
        const url = yield* serve((_request, response) => {
          if (++asked > 6) return answer(response, '{"data":[{"id":1}],"next":null}')
          response.setHeader("retry-after", "900")
          answer(response, "{}", 429)
        })
        const running = yield* Effect.forkChild(run(connector(url), false))
        for (let times = 1; times <= 4; times++) {
          yield* noticed(times === 1 ? /answered 429/u : new RegExp(`${times} times in a row`, "u"))
          yield* TestClock.adjust("902 seconds")
        }
        const failed = yield* TestClock.withLive(until(stage(), (status) => status?.state === "retrying"))
        assert.strictEqual(failed?.problem?.class, "throttled")
        assert.match(failed?.problem?.message ?? "", /5 times in a row, for 60 minutes\. The position is kept/u)
        // It begins again with the turn that the API has put off: that is a notice, too.
        yield* TestClock.adjust("1 second")
        yield* noticed(/answered 429 .*Nothing is asked until/u)
        yield* TestClock.adjust("15 minutes")
        yield* noticed(/It is tried again after 900 s/u)
        assert.strictEqual(asked, 6)
        yield* TestClock.adjust("902 seconds")
        yield* TestClock.withLive(until(keys(), (found) => found.length === 1))
        yield* TestClock.withLive(until(noticesNow, (messages) => messages.length === 0))
        yield* Fiber.interrupt(running)
      })
    )
  )
})
