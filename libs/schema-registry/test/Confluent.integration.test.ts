import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { createServer, type ServerResponse } from "node:http"
import { afterAll } from "vitest"
import { layerConfluent, SchemaRegistry } from "../src/index.ts"
import { suite } from "./RegistryConformance.ts"
import { findRegistry } from "./server/RegistryServer.ts"

const found = await findRegistry()
const server = "missing" in found ? undefined : found.server
afterAll(() => server?.stop())

const schema = '{"type":"record","name":"order","fields":[]}'
const use = <A, E>(url: string, body: (registry: SchemaRegistry["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(SchemaRegistry, body).pipe(
    Effect.provide(layerConfluent({ url, user: "tributary", password: Redacted.make("s3cret-of-registry") }))
  )

/** A server of a test's own. */
const serve = (answer: (path: string, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly stop: () => void }>((resume) => {
      const http = createServer((request, response) => {
        request.resume()
        answer(request.url ?? "", response)
      })
      http.listen(0, "127.0.0.1", () => {
        const address = http.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            stop: () => {
              http.close()
              http.closeAllConnections()
            }
          })
        )
      })
    }),
    ({ stop }) => Effect.sync(stop)
  )
const failing = (status: number, body: string) =>
  serve((_path, response) => {
    response.writeHead(status, { "content-type": "application/vnd.schemaregistry.v1+json" })
    response.end(body)
  })

if ("missing" in found) {
  describe.skip(`Confluent registry: ${found.missing}`, () => it("is not there", () => {}))
} else {
  suite("ConfluentRegistry", layerConfluent({ url: found.url }))

  if (server !== undefined) {
    describe("a registry that is killed", () => {
      it.live(
        "is said to be away, and has every schema when it is back",
        () =>
          use(found.url, (registry) =>
            Effect.gen(function* () {
              const subject = `killed-${performance.timeOrigin}`
              const id = yield* registry.register(subject, schema, { type: "avro" })
              yield* Effect.promise(() => server.kill())
              const error = yield* Effect.flip(registry.latest(subject))
              assert.strictEqual(error.failureClass, "transient")
              assert.include(error.message, "ECONNREFUSED")
              yield* Effect.promise(() => server.restart())
              // On a loaded machine its first answers may take longer than a call waits; callers try such a failure again.
              const again = yield* registry
                .register(subject, schema, { type: "avro" })
                .pipe(Effect.retry({ times: 5, while: ({ failureClass }) => failureClass === "transient" }))
              assert.strictEqual(again, id)
              assert.deepStrictEqual(JSON.parse((yield* registry.byId(id)).text), JSON.parse(schema))
            })
          ),
        180_000
      )
    })
  }
}

describe("an answer that is an error", () => {
  const problems = [
    [401, "misconfigured", "TRIBUTARY_REGISTRY_USER"],
    [403, "misconfigured", "may not"],
    [429, "transient", "cannot read"],
    [500, "transient", "Error in the backend"],
    [422, "misconfigured", "Error in the backend"],
    [400, "misconfigured", "Error in the backend"]
  ] as const
  for (const [status, failureClass, part] of problems) {
    it.live(`of status ${status} is ${failureClass}`, () =>
      Effect.gen(function* () {
        const { url } = yield* failing(status, '{"error_code":50001,"message":"Error in the backend data store"}')
        const error = yield* Effect.flip(use(url, (registry) => registry.latest("orders-value")))
        assert.strictEqual(error.failureClass, failureClass)
        assert.include(error.message, part)
        assert.notInclude(error.message, "s3cret-of-registry")
      })
    )
  }

  it.live("or no registry's is refused with the address that was asked", () =>
    Effect.gen(function* () {
      const { url } = yield* failing(404, "<html>not here</html>")
      const error = yield* Effect.flip(use(url, (registry) => registry.register("a", schema, { type: "avro" })))
      assert.include(error.message, url)
      const { url: other } = yield* failing(200, "<html>hello</html>")
      const wrong = yield* Effect.flip(use(other, (registry) => registry.latest("a")))
      assert.strictEqual(wrong.failureClass, "misconfigured")
      assert.include(wrong.message, "unexpected answer")
    })
  )

  it.live("is asked for again while it passes", () =>
    Effect.gen(function* () {
      let calls = 0
      const { url } = yield* serve((_path, response) => {
        calls++
        response.writeHead(calls < 3 ? 503 : 200, { "content-type": "application/json" })
        response.end(calls < 3 ? "{}" : JSON.stringify({ schema }))
      })
      assert.deepStrictEqual(yield* use(url, (registry) => registry.byId(7)), { type: "avro", text: schema })
      assert.strictEqual(calls, 3)
    })
  )
})
