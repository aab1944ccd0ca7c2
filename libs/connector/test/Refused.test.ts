import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import { setTimeout as delay } from "node:timers/promises"
import { answering, connector, read, services, source } from "./harness.ts"

/** What is logged until a first line is; gives up after ten seconds. The clock of the walk stands still, so nothing is tried again. */
const firstLines = (url: string) => {
  const said: Array<string> = []
  const log = Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
  return Effect.gen(function* () {
    const ready = yield* source(connector(url, {}, { retries: 8 }))
    const walk = yield* Effect.forkChild(Effect.exit(read(ready)))
    yield* Effect.promise(async () => {
      for (let k = 0; k < 1_000 && said.length === 0; k++) await delay(10)
    })
    yield* Fiber.interrupt(walk)
    return said
  }).pipe(Effect.provide(log), Effect.scoped, Effect.provide(services))
}

describe("a request that fails and is tried again", () => {
  it.effect("is told at the first try where nobody listens", () =>
    Effect.gen(function* () {
      // Closed again, so that nobody has its port.
      const url = yield* Effect.scoped(answering("{}"))
      const said = yield* firstLines(url)
      assert.strictEqual(said.length, 1)
      assert.match(said[0] ?? "", /nothing listens there \(connection refused\).*It is tried again\.$/u)
    })
  )
})
