import { assert, describe, it } from "@effect/vitest"
import { normalise, type Normalised, retryAfter } from "../src/TokenResponse.ts"

const now = 1_800_000_000_000

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

const good = { access_token: "abc", token_type: "Bearer", expires_in: 3600 }

const bodyOf = (normalised: Normalised) => {
  assert.strictEqual(normalised._tag, "Tokens", JSON.stringify(normalised))
  return normalised._tag === "Tokens" ? normalised.body : assert.fail()
}

describe("normalise takes tokens from", () => {
  const bearer = { access_token: "abc", token_type: "bearer" }
  const hour = { ...bearer, expires_in: 3600 }
  const table: ReadonlyArray<readonly [string, unknown, unknown]> = [
    ["an answer by the book", good, hour],
    ["expires_in as text", { ...good, expires_in: "3600" }, hour],
    ["expires_in as text with a fraction", { ...good, expires_in: "3600.0" }, hour],
    ["expires_in missing", { ...good, expires_in: undefined }, bearer],
    ["expires_in null", { ...good, expires_in: null }, bearer],
    ["expires_in zero", { ...good, expires_in: 0 }, bearer],
    ["expires_in negative", { ...good, expires_in: -1 }, bearer],
    ["expires_in that is no number", { ...good, expires_in: "soon" }, bearer],
    ["expires_in as a point in time in seconds", { ...good, expires_in: now / 1000 + 3600 }, hour],
    ["expires_in as a point in time in milliseconds", { ...good, expires_in: String(now + 3_600_000) }, hour],
    [
      "expires_in in milliseconds, taken as seconds",
      { ...good, expires_in: 3_600_000 },
      { ...bearer, expires_in: 3_600_000 }
    ],
    ["expires_at in seconds", { ...bearer, expires_at: now / 1000 + 3600 }, hour],
    ["expires_at as a date", { ...bearer, expires_at: "2027-01-15T09:00:00Z" }, hour],
    ["expires_on as text", { ...bearer, expires_on: String(now / 1000 + 3600) }, hour],
    ["expires_at in the past", { ...bearer, expires_at: now / 1000 - 1 }, bearer],
    ["token_type missing", { ...good, token_type: undefined }, hour],
    ["token_type null", { ...good, token_type: null }, hour],
    ["token_type odd", { ...good, token_type: "BearerToken" }, hour],
    ["scope as a list", { ...good, scope: ["a", "b"] }, { ...hour, scope: "a b" }],
    ["scope with commas", { ...good, scope: "a,b, c" }, { ...hour, scope: "a b c" }],
    ["scope null or empty", { ...good, scope: null }, hour],
    ["refresh_token empty", { ...good, refresh_token: "" }, hour],
    ["refresh_token null", { ...good, refresh_token: null }, hour],
    ["a refresh_token", { ...good, refresh_token: "r1" }, { ...hour, refresh_token: "r1" }],
    ["an answer with an ID token, which is dropped", { ...good, id_token: "a.b.c", extra: { deep: 1 } }, hour],
    ["a form", "access_token=abc&token_type=bearer&expires_in=3600&scope=a%2Cb", { ...hour, scope: "a b" }],
    ["an answer beside an empty error", { ...good, error: "" }, hour]
  ]
  for (const [name, given, expected] of table) {
    it(name, () => assert.deepStrictEqual(bodyOf(normalise(answer(200, given), "refresh_token", now)), expected))
  }
  it("a wrong content type, or none", () => {
    for (const headers of [{ "content-type": "text/html" }, { "content-type": "" }, {}]) {
      bodyOf(normalise({ status: 200, headers, body: JSON.stringify(good) }, "refresh_token", now))
    }
    bodyOf(normalise(answer(201, good), "refresh_token", now))
  })
})

describe("normalise says what is wrong with", () => {
  type Row = readonly [
    string,
    Parameters<typeof normalise>[0],
    string,
    RegExp,
    { code?: string; retryAfter?: number; isUncertain?: boolean }?
  ]
  const refresh: ReadonlyArray<Row> = [
    [
      "a dead refresh token",
      answer(400, { error: "invalid_grant", error_description: "expired" }),
      "needs-consent",
      /400 invalid_grant "expired"/,
      { code: "invalid_grant" }
    ],
    [
      "a dead refresh token with 200",
      answer(200, { error: "bad_refresh_token" }),
      "needs-consent",
      /200 bad_refresh_token/
    ],
    [
      "a dead refresh token, other words",
      answer(200, { ok: false, error: "token_revoked" }),
      "needs-consent",
      /token_revoked/
    ],
    ["consent withdrawn", answer(400, { error: "consent_required" }), "needs-consent", /consent_required/],
    ["a wrong secret", answer(401, { error: "invalid_client" }), "misconfigured", /401 invalid_client/],
    ["a wrong secret without words", answer(401, ""), "misconfigured", /401 with no content/],
    [
      "a wrong secret in the words of others",
      answer(401, { error: { code: 401, message: "Bad credentials" } }),
      "misconfigured",
      /"Bad credentials"/
    ],
    [
      "a grant that is not allowed",
      answer(400, { error: "unauthorized_client" }),
      "misconfigured",
      /unauthorized_client/
    ],
    ["a wrong scope", answer(400, { error: "INVALID_SCOPE" }), "misconfigured", /invalid_scope/],
    ["a wrong resource", answer(400, { error: "invalid_target" }), "misconfigured", /invalid_target/],
    ["an unknown code", answer(400, { error: "quantum_flux" }), "misconfigured", /quantum_flux/],
    ["a page that is not there", answer(404, "<html>Not found</html>"), "misconfigured", /404 with an HTML page/],
    ["a wrong method", answer(405, {}), "misconfigured", /405/],
    ["a redirect", answer(302, "", { location: "https://elsewhere" }), "misconfigured", /redirects/],
    [
      "a login page",
      answer(200, "<!doctype html><title>Sign in", { "content-type": "text/html" }),
      "misconfigured",
      /200 with an HTML page/
    ],
    ["something else", answer(200, "hello", { "content-type": "text/plain" }), "misconfigured", /text\/plain/],
    ["an array", answer(200, "[]"), "misconfigured", /not a JSON object/],
    [
      "a success without token",
      answer(200, { status: "ok", data: {} }),
      "misconfigured",
      /only status, data; access_token was expected/
    ],
    ["an empty object", answer(200, {}), "misconfigured", /an empty object/],
    ["a token that is no text", answer(200, { ...good, access_token: 5 }), "misconfigured", /no text/],
    ["a token that is null", answer(200, { ...good, access_token: null }), "misconfigured", /no text/],
    [
      "a token that breaks headers",
      answer(200, { ...good, access_token: "a\r\nx: y" }),
      "misconfigured",
      /characters that no header/
    ],
    ["a token of another type", answer(200, { ...good, token_type: "DPoP" }), "misconfigured", /type dpop/],
    ["a blocked caller", answer(403, "<html>"), "misconfigured", /403/],
    [
      "an overloaded server",
      answer(503, "", { "retry-after": "7" }),
      "transient",
      /503/,
      { retryAfter: 7000, isUncertain: false }
    ],
    ["a broken server", answer(500, { error: "invalid_grant" }), "transient", /500/, { isUncertain: true }],
    ["a broken gateway", answer(502, "<html>"), "transient", /502 with an HTML page/, { isUncertain: true }],
    ["a timeout", answer(408, ""), "transient", /408/],
    [
      "a passing error with 200",
      answer(200, { error: "temporarily_unavailable" }),
      "transient",
      /temporarily_unavailable/
    ],
    ["a cut answer", answer(200, '{"access_token":"abc","tok'), "transient", /cut off/, { isUncertain: true }],
    ["an empty answer", answer(200, ""), "transient", /no content/, { isUncertain: true }],
    [
      "throttling",
      answer(429, { error: "too_many_requests" }, { "retry-after": "30" }),
      "throttled",
      /429/,
      { retryAfter: 30_000 }
    ],
    ["throttling without words", answer(429, ""), "throttled", /429/],
    [
      "throttling with another status",
      answer(400, { error: "rate_limit_exceeded" }, { "retry-after": "5" }),
      "throttled",
      /rate_limit/,
      { retryAfter: 5000 }
    ]
  ]
  const check = (grantType: string, [name, given, failureClass, problem, rest]: Row) =>
    it(name, () => {
      const found = normalise(given, grantType, now)
      assert.strictEqual(found._tag, "Refusal")
      if (found._tag !== "Refusal") return
      assert.strictEqual(found.failureClass, failureClass)
      assert.match(found.problem, problem)
      assert.isNotEmpty(found.advice)
      if (rest !== undefined) assert.deepInclude(found, rest)
    })
  for (const row of refresh) check("refresh_token", row)
  check("client_credentials", [
    "invalid_grant where no person can consent",
    answer(400, { error: "invalid_grant" }),
    "misconfigured",
    /invalid_grant/
  ])
})

it("retryAfter reads seconds and dates", () => {
  const table: ReadonlyArray<readonly [string | undefined, number | undefined]> = [
    [undefined, undefined],
    ["", undefined],
    ["soon", undefined],
    ["0", 0],
    ["1.5", 1500],
    ["Fri, 15 Jan 2027 08:00:10 GMT", 10_000],
    ["Fri, 15 Jan 2027 07:00:00 GMT", 0]
  ]
  for (const [value, expected] of table) assert.strictEqual(retryAfter(value, now), expected, value)
})
