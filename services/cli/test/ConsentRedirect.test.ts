import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { request } from "node:http"
import { awaitRedirect } from "../src/ConsentRedirect.ts"

/** What a browser, or somebody else on this machine, gets. */
const visit = (
  address: URL,
  options: { readonly host?: string; readonly method?: string; readonly path?: string } = {}
) =>
  Effect.callback<{ readonly status: number; readonly text: string }>((resume) => {
    const { host = address.host, method = "GET", path = `${address.pathname}${address.search}` } = options
    const asked = request(
      { host: address.hostname.replace(/^\[(.*)\]$/u, "$1"), port: address.port, method, path, headers: { host } },
      (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (part: string) => (text += part))
        response.once("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
      }
    )
    asked.once("error", (error) => resume(Effect.die(error)))
    asked.end()
  })

const at = (redirect: URL, change: (address: URL) => void = () => {}) => {
  const address = new URL(redirect)
  address.searchParams.set("code", "c0de")
  change(address)
  return address
}

describe("the address that a browser comes back to", () => {
  for (const written of ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/a/callback"]) {
    it.live(`takes what comes to exactly ${written}, and nothing else`, () =>
      Effect.gen(function* () {
        const { arrival, uri } = yield* awaitRedirect(new URL(written))
        assert.strictEqual(uri.hostname, new URL(written).hostname)
        assert.match(uri.port, /^\d+$/u)
        const strangers = [
          // A page whose own name was made to lead here.
          visit(at(uri), { host: `rebound.example:${uri.port}` }),
          visit(at(uri), { host: uri.hostname }),
          visit(at(uri), { method: "POST" }),
          visit(at(uri), { path: "/other?code=c0de" }),
          visit(at(uri), { path: `${uri.pathname}/?code=c0de` }),
          visit(at(uri), { path: "//evil.example/callback?code=c0de" })
        ]
        for (const stranger of strangers) assert.strictEqual((yield* stranger).status, 404)
        const coming = yield* Effect.forkChild(visit(at(uri, (address) => address.searchParams.set("state", "<b>"))))
        const { answer, parameters } = yield* arrival
        assert.strictEqual(parameters.get("code"), "c0de")
        yield* answer(false, `<script>alert("&")</script>`)
        const { status, text } = yield* Fiber.join(coming)
        assert.strictEqual(status, 400)
        assert.notInclude(text, "<script>")
        assert.notInclude(text, "c0de")
      }).pipe(Effect.scoped)
    )
  }

  it.live("has room for few, and answers the others", () =>
    Effect.gen(function* () {
      const { arrival, uri } = yield* awaitRedirect(new URL("http://127.0.0.1/callback"))
      const many = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 20 }, () => visit(at(uri))),
          { concurrency: "unbounded" }
        )
      )
      for (let taken = 0; taken < 8; taken++) yield* Effect.flatMap(arrival, ({ answer }) => answer(true, "Good."))
      yield* Effect.forkChild(Effect.forever(Effect.flatMap(arrival, ({ answer }) => answer(true, "Good."))))
      const statuses = new Set((yield* Fiber.join(many)).map(({ status }) => status))
      assert.isTrue([...statuses].every((status) => status === 200 || status === 503))
    }).pipe(Effect.scoped)
  )
})
