import { assert, describe, it } from "@effect/vitest"
import { normalise, type Normalised, type ResponseQuirks, retryAfter } from "../src/TokenResponse.ts"

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
    [
      "an answer with an ID token, which is kept as it came",
      { ...good, id_token: "a.b.c", extra: { deep: 1 } },
      { ...hour, id_token: "a.b.c" }
    ],
    ["a form", "access_token=abc&token_type=bearer&expires_in=3600&scope=a%2Cb", { ...hour, scope: "a b" }],
    ["an answer beside an empty error", { ...good, error: "" }, hour],
    ["expires_in as text with its unit", { ...good, expires_in: "3600s" }, hour],
    ["expires_in so large that it is for ever", { ...good, expires_in: 1e308 }, bearer],
    ["expires_in so large that it is for ever, as text", { ...good, expires_in: "99999999999999999999" }, bearer],
    ["expires_in as a date", { ...good, expires_in: "2027-01-15T09:00:00.000Z" }, hour],
    ["expires_at in milliseconds", { ...bearer, expires_at: now + 3_600_000 }, hour],
    ["expires_at as a date with another zone", { ...bearer, expires_at: "2027-01-15T11:00:00+02:00" }, hour],
    ["expires_at as a date without zone, in UTC", { ...bearer, expires_at: "2027-01-15 09:00:00" }, hour],
    [".expires as in HTTP headers", { ...bearer, ".expires": "Fri, 15 Jan 2027 09:00:00 GMT" }, hour],
    ["expires as a lifetime", { ...bearer, expires: 3600 }, hour],
    ["expires_in, which goes before expires_at", { ...good, expires_at: now / 1000 + 99 }, hour],
    ["expires_at beside an expires_in of no use", { ...bearer, expires_in: 0, expires_at: now / 1000 + 3600 }, hour],
    ["expires_at that is no date", { ...bearer, expires_at: "tomorrow 2027" }, bearer],
    [
      "other names",
      { accessToken: "abc", refreshToken: "r1", expiresIn: 3600, tokenType: "Bearer", scopes: ["a"] },
      { ...hour, refresh_token: "r1", scope: "a" }
    ],
    ["a token named token", { token: "abc", expires_in: 3600 }, hour],
    [
      "a wrapper named data",
      { code: 0, message: "OK", data: { ...good, refresh_token: "r1" } },
      { ...hour, refresh_token: "r1" }
    ],
    ["a wrapper named body", { status: 0, body: { access_token: "abc", expires_in: 3600 } }, hour],
    ["a wrapper named token", { token: { access_token: "abc" }, expires_in: 3600 }, hour],
    [
      "a person's token of Slack",
      { ok: true, authed_user: { id: "U1", access_token: "abc", token_type: "user", scope: "chat:write,users:read" } },
      { ...bearer, scope: "chat:write users:read" }
    ],
    [
      "a bot's token of Slack beside a person's",
      { ok: true, ...good, token_type: "bot", authed_user: { access_token: "other", refresh_token: "r9" } },
      hour
    ],
    ["token_type with spaces", { ...good, token_type: " bearer " }, hour],
    ["token_type user", { ...good, token_type: "user" }, hour],
    [
      "a token with white space around it",
      { ...good, access_token: " abc\n", refresh_token: "r1\n" },
      { ...hour, refresh_token: "r1" }
    ],
    ["a token with its type before it", { ...good, access_token: "Bearer abc" }, hour],
    [
      "the life of the refresh token",
      { ...good, refresh_token_expires_in: 86_400 },
      { ...hour, refresh_token_expires_in: 86_400 }
    ],
    [
      "its life in Intuit's words",
      { ...good, x_refresh_token_expires_in: "8640000" },
      { ...hour, refresh_token_expires_in: 8_640_000 }
    ],
    ["its life in Keycloak's words, where zero is for ever", { ...good, refresh_expires_in: 0 }, hour],
    [
      "its end as a date",
      { ...good, refresh_token_expires_at: "2027-01-15T09:00:00Z" },
      { ...hour, refresh_token_expires_in: 3600 }
    ],
    ["scopes as a list with empty ones", { ...good, scope: ["a", " ", 5, "b "] }, { ...hour, scope: "a b" }],
    [
      "a name given twice, of which the last counts",
      '{"access_token":"old","access_token":"abc","expires_in":3600}',
      hour
    ],
    ["a byte order mark", `\u{feff}${JSON.stringify(good)}`, hour],
    ["a guard against inclusion", `)]}',\n${JSON.stringify(good)}`, hour],
    ["a list of one", [good], hour],
    ["a form with a name given twice", "access_token=old&access_token=abc&expires_in=3600", hour],
    ["a form that ends with &", "access_token=abc&expires_in=3600&", hour],
    [
      "an object without a prototype's names",
      '{"__proto__":{"access_token":"evil"},"access_token":"abc","constructor":1}',
      bearer
    ]
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

describe("normalise is told by quirks", () => {
  const table: ReadonlyArray<readonly [string, unknown, ResponseQuirks, unknown]> = [
    [
      "where the token stands",
      { ok: true, access_token: "bot", authed_user: { access_token: "abc", refresh_token: "r1", expires_in: 60 } },
      { access_token: ["authed_user.access_token"] },
      { access_token: "abc", token_type: "bearer", expires_in: 60, refresh_token: "r1" }
    ],
    [
      "a second place where the first holds nothing",
      { access_token: "abc", authed_user: { id: "U1" } },
      { access_token: ["authed_user.access_token", "access_token"] },
      { access_token: "abc", token_type: "bearer" }
    ],
    [
      "to take the ID token",
      { id_token: "a.b.c", access_token: "abc" },
      { access_token: ["id_token"] },
      { access_token: "a.b.c", token_type: "bearer" }
    ],
    [
      "milliseconds",
      { access_token: "abc", expires_in: 3_600_000 },
      { expires_unit: "milliseconds" },
      { access_token: "abc", token_type: "bearer", expires_in: 3600 }
    ],
    [
      "milliseconds of sixty days",
      { access_token: "abc", expires_in: 5_184_000_000 },
      { expires_unit: "milliseconds" },
      { access_token: "abc", token_type: "bearer", expires_in: 5_184_000 }
    ],
    [
      "minutes",
      { access_token: "abc", expires_in: "60" },
      { expires_unit: "minutes" },
      { access_token: "abc", token_type: "bearer", expires_in: 3600 }
    ],
    [
      "a life that no answer tells",
      { access_token: "abc" },
      { default_expires_in: 1800 },
      { access_token: "abc", token_type: "bearer", expires_in: 1800 }
    ],
    [
      "where everything else stands",
      { access_token: "abc", session: { ends: now / 1000 + 60, renew: "r1", renewUntil: 90, may: "a,b c" } },
      {
        refresh_token: ["session.renew"],
        expires: ["session.ends"],
        refresh_token_expires: ["session.renewUntil"],
        scope: ["session.may"],
        scope_separator: ","
      },
      {
        access_token: "abc",
        token_type: "bearer",
        expires_in: 60,
        refresh_token: "r1",
        refresh_token_expires_in: 90,
        scope: "a b c"
      }
    ],
    [
      "that a token is a bearer token all the same",
      { access_token: "abc", token_type: "mac" },
      { is_bearer: true },
      { access_token: "abc", token_type: "bearer" }
    ]
  ]
  for (const [name, given, quirks, expected] of table) {
    it(name, () =>
      assert.deepStrictEqual(bodyOf(normalise(answer(200, given), "refresh_token", now, quirks)), expected)
    )
  }
  it("what the server's words mean", () => {
    const quirks: ResponseQuirks = { errors: [{ says: "invalid token!", means: "needs-consent" }] }
    const given = answer(400, { reason: "Invalid Token!", error: "invalid_request" })
    assert.deepInclude(normalise(given, "refresh_token", now, quirks), { failureClass: "needs-consent" })
    assert.deepInclude(normalise(given, "client_credentials", now, quirks), { failureClass: "misconfigured" })
    assert.deepInclude(
      normalise(answer(500, { error: "x", message: "an invalid token! it is" }), "refresh_token", now, quirks),
      {
        failureClass: "needs-consent"
      }
    )
    assert.deepInclude(normalise(answer(400, { error: "invalid_request" }), "refresh_token", now, quirks), {
      failureClass: "misconfigured"
    })
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
    ["a code that every object has", answer(400, { error: "__proto__" }), "misconfigured", /__proto__/],
    ["another code that every object has", answer(400, { error: "constructor" }), "misconfigured", /constructor/],
    ["an unknown code", answer(400, { error: "quantum_flux" }), "misconfigured", /quantum_flux/],
    ["a page that is not there", answer(404, "<html>Not found</html>"), "misconfigured", /404 with an HTML page/],
    ["a wrong method", answer(405, {}), "misconfigured", /405/],
    ["a redirect", answer(302, "", { location: "https://elsewhere" }), "misconfigured", /redirects/],
    [
      "a login page",
      answer(200, "<!doctype html><title>Sign in", { "content-type": "text/html" }),
      "misconfigured",
      /200 with an HTML page/,
      { isUncertain: true }
    ],
    [
      "something else",
      answer(200, "hello", { "content-type": "text/plain" }),
      "misconfigured",
      /text\/plain/,
      { isUncertain: true }
    ],
    ["an array", answer(200, "[]"), "misconfigured", /not a JSON object/, { isUncertain: true }],
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
    ["a 503 that says nothing", answer(503, ""), "transient", /503/, { isUncertain: true }],
    ["a 503 of a gateway", answer(503, "<html>"), "transient", /503 with an HTML page/, { isUncertain: true }],
    ["a 503 with a broken server", answer(503, { error: "server_error" }), "transient", /503/, { isUncertain: true }],
    [
      "a 503 of a service",
      answer(503, { error: "service_unavailable" }),
      "transient",
      /503 service_unavailable/,
      { isUncertain: true }
    ],
    [
      "a 503 that is to pass",
      answer(503, { error: "temporarily_unavailable" }),
      "transient",
      /503/,
      { isUncertain: false }
    ],
    ["a 503 that throttles", answer(503, { error: "slow_down" }), "transient", /503/, { isUncertain: false }],
    ["a broken server with 200", answer(200, { error: "server_error" }), "transient", /200/, { isUncertain: true }],
    ["a broken server with 400", answer(400, { error: "internal_error" }), "transient", /400/, { isUncertain: true }],
    [
      "a broken server in other words",
      answer(400, { error: "Internal Server Error" }),
      "misconfigured",
      /internal_server_error/,
      { isUncertain: true }
    ],
    [
      "a broken server with a number",
      answer(200, { success: false, code: 500 }),
      "misconfigured",
      /200 500/,
      { isUncertain: true }
    ],
    ["a broken server", answer(500, { error: "invalid_grant" }), "transient", /500/, { isUncertain: true }],
    ["a broken gateway", answer(502, "<html>"), "transient", /502 with an HTML page/, { isUncertain: true }],
    ["a timeout", answer(408, ""), "transient", /408/],
    [
      "a passing error with 200",
      answer(200, { error: "temporarily_unavailable" }),
      "transient",
      /temporarily_unavailable/,
      { isUncertain: false }
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
    ],
    [
      "a refresh that comes too early for Exact Online",
      answer(400, { error: "access_denied", error_description: "Rate limit exceeded: access_token not expired" }),
      "throttled",
      /access_token not expired/
    ],
    [
      "throttling in Zoho's words",
      answer(400, { error: "Access Denied", error_description: "You have made too many requests continuously." }),
      "throttled",
      /access_denied/
    ],
    ["throttling in words alone", answer(403, { message: "Too many requests" }), "throttled", /Too many requests/],
    [
      "Slack's way",
      answer(200, { ok: false, error: "invalid_refresh_token" }),
      "needs-consent",
      /200 invalid_refresh_token/,
      { code: "invalid_refresh_token" }
    ],
    [
      "HubSpot's way",
      answer(400, { status: "BAD_REFRESH_TOKEN", message: "missing or unknown refresh token", correlationId: "c" }),
      "needs-consent",
      /bad_refresh_token "missing/
    ],
    [
      "Fitbit's way",
      answer(400, { errors: [{ errorType: "invalid_grant", message: "Refresh token invalid" }], success: false }),
      "needs-consent",
      /invalid_grant/
    ],
    [
      "Facebook's way",
      answer(400, { error: { message: "Error validating client secret.", type: "OAuthException", code: 1 } }),
      "misconfigured",
      /oauthexception "Error validating/
    ],
    [
      "TikTok's way, with 200",
      answer(200, { error: "invalid_grant", error_description: "Refresh token is invalid", log_id: "1" }),
      "needs-consent",
      /200 invalid_grant/
    ],
    ["WeChat's way", answer(200, { errcode: 40_029, errmsg: "invalid code" }), "misconfigured", /40029 "invalid code"/],
    [
      "an old Salesforce's way",
      answer(400, [{ errorCode: "INVALID_GRANT", message: "expired" }]),
      "needs-consent",
      /invalid_grant/
    ],
    [
      "Apigee's way",
      answer(401, { fault: { faultstring: "no key", detail: { errorcode: "x.y" } } }),
      "misconfigured",
      /x\.y "no key"/
    ],
    ["a flag alone", answer(200, { success: false }), "misconfigured", /answered 200\./],
    ["a form with an error", answer(200, "error=bad_refresh_token&error_description=gone"), "needs-consent", /"gone"/],
    [
      "an error beside something named token",
      answer(200, { ok: false, error: "no", token: "abc" }),
      "misconfigured",
      /200 no/
    ],
    ["XML", answer(200, "<?xml version='1.0'?><a/>"), "misconfigured", /XML/, { isUncertain: true }],
    [
      "a content type that is a lie",
      answer(200, "x y", { "content-type": "a/b\u0000token" }),
      "misconfigured",
      /not JSON/
    ],
    [
      "an answer that could have replaced the refresh token",
      answer(200, { tokens_v2: [1, 2] }),
      "misconfigured",
      /only tokens_v2/,
      { isUncertain: true }
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
