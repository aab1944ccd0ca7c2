import { LogError, LogUnavailable } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { answered } from "../src/Answered.ts"
import { formatListenAddress, parseListenAddress } from "../src/Listen.ts"

describe("a call of the log", () => {
  it.effect("that does not come back is answered after 15 seconds", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.flip(answered("Send it again.")(Effect.never)))
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { code, message } = yield* Fiber.join(fiber)
      assert.strictEqual(code, "log_unavailable")
      assert.match(message, /15s\. Send it again\.$/)
    })
  )

  it.effect("that fails says why; other errors stay as they are", () =>
    Effect.gen(function* () {
      const away = new LogError({ reason: new LogUnavailable({ cause: new Error("no broker answers") }) })
      const error = yield* Effect.flip(answered("")(Effect.fail(away)))
      assert.strictEqual(error.code, "log_unavailable")
      assert.include(error.message, "no broker answers")
      assert.strictEqual(yield* Effect.flip(answered("")(Effect.fail("other" as const))), "other")
    })
  )
})

describe("an address to listen on", () => {
  it.each(["127.0.0.1:8080", "localhost:0", "[::1]:65535", "0.0.0.0:80", "control.example:443"])(
    "%s is read",
    (text) => {
      const parsed = parseListenAddress(text)
      if (parsed._tag === "Failure") assert.fail(parsed.failure.message)
      assert.strictEqual(formatListenAddress(parsed.success), text)
    }
  )

  it.each([
    "",
    "8080",
    ":8080",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "::1:80",
    "http://a:80",
    "a b:80",
    "a:-1"
  ])("%j is refused with what is expected", (text) => {
    const parsed = parseListenAddress(text)
    if (parsed._tag === "Success") assert.fail("it was taken")
    assert.match(parsed.failure.message, /expected host:port/)
    assert.strictEqual(parsed.failure.failureClass, "misconfigured")
  })
})
