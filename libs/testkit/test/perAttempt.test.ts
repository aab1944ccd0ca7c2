import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layerPerAttempt } from "./perAttempt.ts"

/** A server of which it is known who wrote to it, and whether it has ended. */
class Server extends Context.Service<Server, { readonly written: Array<string>; isOpen: boolean }>()(
  "testkit/test/Server"
) {}

let started = 0
const layer = Layer.effect(
  Server,
  Effect.acquireRelease(
    Effect.sync((): Server["Service"] => {
      started++
      return { written: [], isOpen: true }
    }),
    (server) =>
      Effect.sync(() => {
        server.isOpen = false
      })
  )
)
const seen: Array<{ readonly written: ReadonlyArray<string>; readonly isOpen: boolean }> = []

layerPerAttempt(layer)("servers", (it) => {
  it.effect("are shared", () => Effect.flatMap(Server, ({ written }) => Effect.sync(() => written.push("first test"))))

  it.effect(
    "are others for each further attempt of a test, which ends them",
    () =>
      Effect.gen(function* () {
        const server = yield* Server
        seen.push(server)
        const attempt = seen.length
        assert.strictEqual(started, attempt)
        assert.deepStrictEqual(server.written, attempt === 1 ? ["first test"] : [])
        assert.deepStrictEqual(
          seen.map(({ isOpen }) => isOpen),
          [[true], [true, true], [true, false, true]][attempt - 1]
        )
        server.written.push("second test")
      }),
    { repeats: 2 }
  )

  it.effect("are still there for the tests behind it", () =>
    Effect.gen(function* () {
      const { isOpen, written } = yield* Server
      assert.isTrue(isOpen)
      assert.deepStrictEqual(written, ["first test", "second test"])
    })
  )
})
