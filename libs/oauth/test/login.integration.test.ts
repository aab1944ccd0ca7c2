import { assert, describe, it } from "@effect/vitest"
import { Tokens } from "@tributary/oauth"
import { Effect, Redacted } from "effect"
import { live } from "./consentSupport.ts"
import { serve } from "./grantSupport.ts"
import { authorization } from "./support.ts"

const password = "planted-password-9d1"

/** An API with a login as JSON, and an endpoint that exchanges its session tokens. */
const api = (seen: Array<string>) =>
  serve((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString()
      seen.push(`${request.url} ${request.headers["content-type"]}`)
      const answer = (status: number, json: unknown) =>
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json))
      if (request.url === "/login") {
        const given: unknown = JSON.parse(body)
        const isRight = JSON.stringify(given) === JSON.stringify({ user: "ada", password })
        return isRight
          ? answer(200, { session: { token: `session-${seen.length}` } })
          : answer(403, { error: `wrong password ${password}` })
      }
      const form = new URLSearchParams(body)
      const isRight = form.get("grant_type") === "session" && form.get("ticket")?.startsWith("session-") === true
      return isRight
        ? answer(200, { access_token: "exchanged", token_type: "bearer", expires_in: 60 })
        : answer(400, { error: "invalid_grant" })
    })
  })

const login = (url: string, more: Readonly<Record<string, unknown>> = {}) => ({
  oauth2: "login",
  client_auth: "none",
  login: {
    url: `${url}/login`,
    body: { user: "ada", password: "${env:PASSWORD}" },
    token: "session.token",
    lifetime: "30 minutes",
    ...more
  }
})

const tokens = (settings: Readonly<Record<string, unknown>>, given = password) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { get, rejected } = yield* (yield* Tokens).manager(authorization(settings))
      const first = yield* get
      assert.strictEqual(Redacted.value((yield* get).value), Redacted.value(first.value), "kept while it is good")
      yield* rejected(first)
      return [first, yield* get] as const
    })
  ).pipe(Effect.provide(live({ PASSWORD: given }), { local: true }))

describe("a login in two steps", () => {
  it.live("uses the session token, and logs in again when it is refused", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const [first, second] = yield* tokens(login(yield* api(seen)))
      assert.strictEqual(Redacted.value(first.value), "session-1")
      assert.strictEqual(Redacted.value(second.value), "session-2")
      assert.isDefined(first.expiresAt)
      assert.deepStrictEqual(seen, ["/login application/json", "/login application/json"])
    })
  )

  it.live("exchanges the session token at the token endpoint", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const url = yield* api(seen)
      const exchange = { grant_type: "session", parameter: "ticket" }
      const [first] = yield* tokens({ ...login(url, { exchange }), client_id: "app", token_url: `${url}/token` })
      assert.strictEqual(Redacted.value(first.value), "exchanged")
      assert.deepStrictEqual(
        seen.map((line) => line.split(" ")[0]),
        ["/login", "/token", "/login", "/token"]
      )
    })
  )

  it.live("says what is wrong, and shows no secret", () =>
    Effect.gen(function* () {
      const url = yield* api([])
      const wrong = yield* Effect.flip(tokens(login(url, { body: { user: "eve", password: "${env:PASSWORD}" } })))
      assert.strictEqual(wrong._tag === "TokenError" ? wrong.failureClass : wrong._tag, "misconfigured")
      assert.match(
        wrong.message,
        /the login was answered with 403 "wrong password .*a session token at session\.token was expected/
      )
      assert.notInclude(wrong.message, password)
      const elsewhere = yield* Effect.flip(tokens(login(url, { token: "elsewhere" })))
      assert.match(elsewhere.message, /answered with 200; a session token at elsewhere was expected/)
    })
  )
})
