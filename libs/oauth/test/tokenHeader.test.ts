import { assert, describe, it } from "@effect/vitest"
import { makeRequestAuthorizer } from "@tributary/oauth"
import { Effect, Redacted } from "effect"
import { authorization, authServer, live, secrets } from "./support.ts"

const url = new URL("https://api.shop.example/orders")

describe("the header of an access token", () => {
  const cases: ReadonlyArray<readonly [Record<string, unknown>, string, (token: string) => string]> = [
    [{}, "authorization", (token) => `Bearer ${token}`],
    [{ prefix: "Zoho-oauthtoken" }, "authorization", (token) => `Zoho-oauthtoken ${token}`],
    [{ prefix: "" }, "authorization", (token) => token],
    [{ header: "X-Amz-Access-Token" }, "x-amz-access-token", (token) => token],
    [{ header: "x-token", prefix: "Bearer" }, "x-token", (token) => `Bearer ${token}`]
  ]
  for (const [settings, name, value] of cases) {
    it.live(`${JSON.stringify(settings)}, also of the token that replaces it after a 401`, () =>
      Effect.gen(function* () {
        const server = yield* authServer()
        const { authorize } = yield* makeRequestAuthorizer(authorization({ issuer: server.issuer, ...settings }))
        const first = yield* authorize("GET", url)
        yield* first.rejected
        const second = yield* authorize("GET", url)
        const tokens = [first, second].map((request) => {
          const [token = ""] = Redacted.value(request.secrets)
          assert.deepStrictEqual(Redacted.value(request.headers), { [name]: value(token) })
          assert.notInclude(JSON.stringify(request), token)
          return token
        })
        assert.strictEqual(new Set(tokens).size, 2)
      }).pipe(Effect.scoped, Effect.provide([live(), secrets()], { local: true }))
    )
  }
})
