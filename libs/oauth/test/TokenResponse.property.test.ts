import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { normalise, type TokenBody } from "../src/TokenResponse.ts"

const now = 1_800_000_000_000
const canary = "cnry-Zq7W1x9Kp4Rt6Yv2Bn8M"
const refreshCanary = "cnry-Rf5T8u1Wq3Ez7Xc9Vb2L"

const token = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9._~+/=-]{1,40}$/u))
const scopes = Schema.Array(Schema.Literals(["read", "write", "a.b:c", "https://x.example/auth/y"])).check(
  Schema.isMaxLength(3)
)
/** What a server means to say. */
const Meaning = Schema.Struct({
  access: token,
  refresh: Schema.optionalKey(token),
  life: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000_000 }))),
  refreshLife: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000_000 }))),
  scopes
})
/** How it says it. */
const Manner = Schema.Struct({
  wrapper: Schema.Literals(["", "", "data", "result", "body", "token", "authed_user"]),
  names: Schema.Literals(["snake", "camel"]),
  life: Schema.Literals(["number", "text", "fraction", "epoch", "epoch text", "epoch ms", "date", "header date"]),
  scopes: Schema.Literals(["spaces", "commas", "list"]),
  type: Schema.Literals(["Bearer", "bearer ", "BEARER", "bot", "user", "BearerToken", ""]),
  encoding: Schema.Literals(["json", "pretty", "bom", "form"]),
  contentType: Schema.Literals(["application/json", "text/html", "text/plain;charset=utf-8", ""])
})
type Meant = typeof Meaning.Type
type Said = typeof Manner.Type

const seconds = (life: number, manner: Said["life"]): readonly [suffix: "in" | "at", value: unknown] => {
  const end = now + life * 1000
  switch (manner) {
    case "number":
      return ["in", life]
    case "text":
      return ["in", String(life)]
    case "fraction":
      return ["in", `${life}.0`]
    case "epoch":
      return ["at", end / 1000]
    case "epoch text":
      return ["at", String(end / 1000)]
    case "epoch ms":
      return ["at", end]
    case "date":
      // oxlint-disable-next-line eslint/no-restricted-globals -- writes a date, reads no clock
      return ["at", new Date(end).toISOString()]
    case "header date":
      // oxlint-disable-next-line eslint/no-restricted-globals -- writes a date, reads no clock
      return ["at", new Date(end).toUTCString()]
  }
}

const say = (meant: Meant, manner: Said) => {
  const isForm = manner.encoding === "form"
  const name = (words: string) =>
    manner.names === "snake" ? words : words.replaceAll(/_(\w)/gu, (_, letter: string) => letter.toUpperCase())
  const life = meant.life === undefined ? undefined : seconds(meant.life, manner.life)
  const scope =
    manner.scopes === "list" && !isForm ? meant.scopes : meant.scopes.join(manner.scopes === "commas" ? "," : " ")
  const fields: Record<string, unknown> = {
    [name("access_token")]: meant.access,
    ...(meant.refresh === undefined ? {} : { [name("refresh_token")]: meant.refresh }),
    ...(life === undefined ? {} : { [name(`expires_${life[0]}`)]: life[1] }),
    ...(meant.refreshLife === undefined ? {} : { [name("refresh_token_expires_in")]: meant.refreshLife }),
    ...(manner.type === "" ? {} : { [name("token_type")]: manner.type }),
    ...(meant.scopes.length === 0 ? {} : { scope })
  }
  const headers = { "content-type": manner.contentType }
  if (isForm) {
    const form = new URLSearchParams(
      Object.entries(fields).map(([key, value]): [string, string] => [key, String(value)])
    )
    return { status: 200, headers, body: form.toString() }
  }
  const whole = manner.wrapper === "" ? fields : { ok: true, [manner.wrapper]: fields }
  const body = JSON.stringify(whole, undefined, manner.encoding === "pretty" ? 2 : undefined)
  return { status: 200, headers, body: manner.encoding === "bom" ? `\u{feff}${body}` : body }
}

const expected = ({ access, life, refresh, refreshLife, scopes }: Meant): TokenBody => ({
  access_token: access,
  token_type: "bearer",
  ...(life === undefined ? {} : { expires_in: life }),
  ...(refresh === undefined ? {} : { refresh_token: refresh }),
  ...(refreshLife === undefined ? {} : { refresh_token_expires_in: refreshLife }),
  ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") })
})

const Anything = Schema.Struct({
  status: Schema.Literals([200, 200, 201, 204, 302, 400, 401, 403, 429, 500, 503]),
  grant: Schema.Literals(["refresh_token", "client_credentials"]),
  json: Schema.Record(
    Schema.Literals([
      "access_token",
      "refresh_token",
      "token",
      "token_type",
      "expires_in",
      "expires_at",
      "scope",
      "error",
      "error_description",
      "errors",
      "message",
      "status",
      "ok",
      "data",
      "authed_user"
    ]),
    Schema.optionalKey(
      Schema.Union([
        Schema.String,
        Schema.Finite,
        Schema.Boolean,
        Schema.Null,
        Schema.Array(Schema.String),
        Schema.Record(
          Schema.Literals(["access_token", "code", "message", "type"]),
          Schema.Union([Schema.String, Schema.Finite])
        )
      ])
    )
  )
})

describe("normalise", () => {
  it.effect.prop(
    "understands every manner of saying the same",
    [Meaning, Manner],
    ([meant, manner]) =>
      Effect.sync(() => {
        const found = normalise(say(meant, manner), "refresh_token", now)
        assert.deepStrictEqual(found, { _tag: "Tokens", body: expected(meant) })
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "leaves an answer by the book as it is",
    [Meaning],
    ([meant]) =>
      Effect.sync(() => {
        const body = JSON.stringify(expected(meant))
        const found = normalise({ status: 200, headers: {}, body }, "refresh_token", now)
        assert.deepStrictEqual(found, { _tag: "Tokens", body: expected(meant) })
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "answers whatever comes with tokens that a header can hold, or with a refusal that says something",
    [Anything, Schema.String, Schema.Boolean],
    ([{ grant, json, status }, noise, isJson]) =>
      Effect.sync(() => {
        const body = isJson ? JSON.stringify(json) : noise
        const found = normalise({ status, headers: {}, body }, grant, now)
        if (found._tag === "Tokens") {
          assert.isTrue(status === 200 || status === 201 || status === 204)
          assert.match(found.body.access_token, /^[\x21-\x7e]+$/u)
          const { expires_in: life = 1 } = found.body
          assert.isTrue(Number.isFinite(life) && life > 0)
        } else {
          assert.isNotEmpty(found.problem)
          assert.isNotEmpty(found.advice)
        }
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "shows no secret of an answer in a refusal, wherever it stands and however often it is repeated",
    [Anything, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })), Schema.Boolean],
    ([{ grant, json, status }, place, isCut]) =>
      Effect.sync(() => {
        const secrets = { access_token: ` ${canary}\u0000`, refresh_token: refreshCanary }
        const echo = `the token ${canary} of ${refreshCanary} is no good`
        const places: ReadonlyArray<Record<string, unknown>> = [
          { ...json, ...secrets },
          { ...json, ...secrets, error_description: echo },
          { ...json, error: { message: echo, code: canary } },
          { error: canary, message: echo, [canary]: 1 },
          { ...json, token: canary, data: secrets, errors: [echo] }
        ]
        const whole = JSON.stringify(places[place] ?? {})
        const body = isCut ? whole.slice(0, -2) : whole
        const found = normalise({ status, headers: { "content-type": `text/${canary}` }, body }, grant, now)
        if (found._tag === "Tokens") return
        const shown = JSON.stringify(found)
        assert.notInclude(shown.toLowerCase(), canary.toLowerCase())
        assert.notInclude(shown.toLowerCase(), refreshCanary.toLowerCase())
      }),
    { arbitrary: { runs: 1000 } }
  )
})
