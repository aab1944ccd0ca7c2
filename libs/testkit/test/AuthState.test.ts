import { assert, describe, it } from "@effect/vitest"
import { type AuthClient, AuthState, type AuthStateOptions, startAuthServer } from "@tributary/testkit"
import { request } from "node:http"

const form = "application/x-www-form-urlencoded"
const basic = (id: string, secret: string) =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`
const client = basic("client", "client-secret")

const make = (graceMs = 0, more: ReadonlyArray<AuthClient> = [], limits: Partial<AuthStateOptions> = {}) => {
  const time = { now: 1_000_000 }
  const state = new AuthState({
    clients: [{ id: "client", secret: "client-secret" }, ...more],
    tokenLife: 60,
    refreshTokenLife: 3600,
    rotate: true,
    graceMs,
    now: () => time.now,
    ...limits
  })
  const refresh = (token: unknown) =>
    state.token(client, form, `grant_type=refresh_token&refresh_token=${String(token)}`)
  return { state, time, refresh }
}

describe("AuthState", () => {
  it("refuses refreshes that come too early, and more tokens than its quota, without spending anything", () => {
    const early = make(0, [], { refreshWindow: 10 })
    const one = early.refresh(early.state.issueRefreshToken("client")).body["refresh_token"]
    early.time.now += 49_999
    assert.include(early.refresh(one), { status: 400 })
    early.time.now += 1
    assert.strictEqual(early.refresh(one).status, 200)

    const limited = make(0, [], { quota: { tokens: 2, perMs: 60_000 }, rotate: false })
    const token = limited.state.issueRefreshToken("client")
    assert.deepStrictEqual([limited.refresh(token).status, limited.refresh(token).status], [200, 200])
    limited.time.now += 20_000
    assert.deepInclude(limited.refresh(token), { status: 429 })
    assert.strictEqual(limited.refresh(token).headers["retry-after"], "40")
    limited.time.now += 40_000
    assert.strictEqual(limited.refresh(token).status, 200)
  })

  it("is strict about the request", () => {
    const { state } = make(0, [
      { id: "posting", secret: "s", auth: "post", grants: ["refresh_token"] },
      { id: "a:b c", secret: "ü+%", auth: "basic", scopes: ["x"] }
    ])
    const grant = "grant_type=client_credentials"
    const table: ReadonlyArray<readonly [string | undefined, string, string, number, string | undefined]> = [
      [client, form, grant, 200, undefined],
      [client, "application/json", "{}", 400, "invalid_request"],
      [client, form, `${grant}&scope=a&scope=b`, 400, "invalid_request"],
      [client, form, `${grant}&client_secret=client-secret`, 400, "invalid_request"],
      [undefined, form, `${grant}&client_id=client&client_secret=client-secret`, 200, undefined],
      [undefined, form, `${grant}&client_id=client&client_secret=wrong`, 401, "invalid_client"],
      [basic("client", "wrong"), form, grant, 401, "invalid_client"],
      [basic("posting", "s"), form, grant, 401, "invalid_client"],
      [undefined, form, `${grant}&client_id=posting&client_secret=s`, 400, "unauthorized_client"],
      [client, form, "grant_type=password", 400, "unsupported_grant_type"],
      [basic("a:b c", "ü+%"), form, `${grant}&scope=x`, 200, undefined],
      [basic("a:b c", "ü+%"), form, `${grant}&scope=y`, 400, "invalid_scope"]
    ]
    for (const [authorization, type, body, status, error] of table) {
      const reply = state.token(authorization, type, body)
      assert.deepStrictEqual([reply.status, reply.body["error"]], [status, error], body)
    }
  })

  it("ends tokens in time", () => {
    const { state, time } = make()
    const token = String(state.token(client, form, "grant_type=client_credentials").body["access_token"])
    time.now += 59_999
    assert.isTrue(state.validate(token).active)
    time.now += 1
    assert.isFalse(state.validate(token).active)
    assert.isFalse(state.validate("never issued").active)
  })

  it("revokes the family when a spent refresh token is used", () => {
    const { refresh, state } = make()
    const first = state.issueRefreshToken("client")
    const one = refresh(first)
    const two = refresh(one.body["refresh_token"])
    assert.deepStrictEqual([one.status, two.status], [200, 200])
    assert.strictEqual(refresh(first).body["error"], "invalid_grant")
    assert.strictEqual(refresh(two.body["refresh_token"]).body["error"], "invalid_grant")
    assert.isFalse(state.validate(String(two.body["access_token"])).active)
    assert.deepInclude(state.stats, { reuses: 1, replays: 0 })
  })

  it("allows a replay inside the grace window, until the successor was used", () => {
    const { refresh, state, time } = make(5000)
    const first = state.issueRefreshToken("client")
    refresh(first)
    time.now += 5000
    const replayed = refresh(first)
    assert.strictEqual(replayed.status, 200)
    assert.strictEqual(refresh(replayed.body["refresh_token"]).status, 200)
    assert.strictEqual(refresh(first).body["error"], "invalid_grant")
    const late = state.issueRefreshToken("client")
    refresh(late)
    time.now += 5001
    assert.strictEqual(refresh(late).status, 400)
    assert.deepInclude(state.stats, { reuses: 2, replays: 1 })
  })

  it("knows whose a refresh token is, and when it dies", () => {
    const { refresh, state, time } = make(0, [{ id: "other", secret: "s" }])
    assert.strictEqual(refresh(state.issueRefreshToken("other")).status, 400)
    const token = state.issueRefreshToken("client")
    time.now += 3_600_000
    assert.strictEqual(refresh(token).status, 400)
    const revoked = state.issueRefreshToken("client")
    state.revokeFamilies()
    assert.strictEqual(refresh(revoked).status, 400)
  })
})

describe("startAuthServer", () => {
  const call = (url: string, method = "GET", body = "") =>
    new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const sent = request(url, { method, headers: { authorization: client, "content-type": form } }, (answer) => {
        let text = ""
        answer.on("data", (chunk: Buffer) => {
          text += chunk.toString()
        })
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }))
        answer.on("error", reject)
      })
      sent.on("error", reject)
      sent.end(body)
    })

  it("serves metadata, tokens, introspection and faults, and stops", async () => {
    const server = await startAuthServer({ discovery: "oauth2" })
    const metadata = await call(`${server.issuer}/.well-known/oauth-authorization-server`)
    assert.deepInclude(JSON.parse(metadata.text), { issuer: server.issuer, token_endpoint: server.tokenUrl })
    assert.strictEqual((await call(`${server.issuer}/.well-known/openid-configuration`)).status, 404)
    assert.strictEqual((await call(server.tokenUrl)).status, 405)

    const grant = "grant_type=client_credentials"
    const token = String(JSON.parse((await call(server.tokenUrl, "POST", grant)).text).access_token)
    assert.isTrue(server.validate(token).active)
    const introspect = () => call(`${server.url}/introspect`, "POST", `token=${token}`)
    assert.deepInclude(JSON.parse((await introspect()).text), { active: true, client_id: "client" })
    server.control.revokeAccessTokens()
    assert.deepStrictEqual(JSON.parse((await introspect()).text), { active: false })

    server.control.next(
      "internal-error",
      "none",
      "throttled",
      "drop",
      "reset",
      "error-200",
      "html",
      "empty",
      "truncated",
      "bad-gateway"
    )
    const statuses: Array<number | string> = []
    for (let turn = 0; turn < 10; turn++) {
      statuses.push(
        await call(server.tokenUrl, "POST", grant).then(
          ({ status }) => status,
          () => "closed"
        )
      )
    }
    assert.deepStrictEqual(statuses, [500, 200, 429, "closed", "closed", 200, 200, 200, 200, 502])
    assert.deepInclude(server.stats, { tokenRequests: 11, faults: 9, inFlight: 0, maxInFlight: 1 })
    await server.stop()
    assert.strictEqual(await call(server.tokenUrl, "POST", grant).catch(() => "closed"), "closed")
  })
})
