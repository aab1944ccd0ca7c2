import { assert, describe, it } from "@effect/vitest"
import { PlainAuth } from "@tributary/domain"
import { makePlainAuthorizer } from "@tributary/oauth"
import { Effect, Redacted, Schema } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { secrets } from "./support.ts"

const decode = Schema.decodeUnknownSync(PlainAuth)
const url = new URL("https://api.shop.example/orders")
const environment = { KEY: "k3y", USER: "ada", PASSWORD: "pass: wörd", BROKEN: "a\nb", COLON: "a:b" }

const authorized = (settings: Record<string, unknown>, base = "/") =>
  Effect.gen(function* () {
    const { authorize } = yield* makePlainAuthorizer({ id: "shop", plain: decode(settings), base })
    const request = yield* authorize("GET", url)
    return {
      headers: Redacted.value(request.headers),
      parameters: Redacted.value(request.parameters),
      secrets: Redacted.value(request.secrets),
      printed: JSON.stringify(request)
    }
  }).pipe(Effect.provide(secrets(environment), { local: true }))

const basic = Buffer.from("ada:pass: wörd").toString("base64")

describe("credentials as they are", () => {
  const kinds: ReadonlyArray<readonly [Record<string, unknown>, object, object, ReadonlyArray<string>]> = [
    [{ api_key: "${env:KEY}" }, { "x-api-key": "k3y" }, {}, ["k3y"]],
    [{ api_key: "${env:KEY}", header: "X-Shop", prefix: "SSWS" }, { "x-shop": "SSWS k3y" }, {}, ["k3y"]],
    [{ api_key: "${env:KEY}", query: "key" }, {}, { key: "k3y" }, ["k3y"]],
    [{ bearer: "${env:KEY}" }, { authorization: "Bearer k3y" }, {}, ["k3y"]],
    [{ bearer: "${env:KEY}", scheme: "Token" }, { authorization: "Token k3y" }, {}, ["k3y"]],
    [
      { basic: "${env:USER}", password: "${env:PASSWORD}" },
      { authorization: `Basic ${basic}` },
      {},
      [basic, "pass: wörd"]
    ],
    [{ headers: { "X-A": "1", "x-token": "${env:KEY}" } }, { "x-a": "1", "x-token": "k3y" }, {}, ["k3y"]]
  ]
  for (const [settings, headers, parameters, hidden] of kinds) {
    it.effect(`${JSON.stringify(settings)}`, () =>
      Effect.gen(function* () {
        const found = yield* authorized(settings)
        assert.deepStrictEqual(found.headers, headers)
        assert.deepStrictEqual(found.parameters, parameters)
        assert.deepStrictEqual(found.secrets, hidden)
        for (const secret of hidden) assert.notInclude(found.printed, secret)
      })
    )
  }

  it.effect("what cannot be sent is refused without being shown", () =>
    Effect.gen(function* () {
      const broken = yield* Effect.flip(authorized({ bearer: "${env:BROKEN}" }))
      assert.match(broken.message, /header authorization has characters that no header may hold/u)
      assert.notMatch(broken.message, /a\nb/u)
      const colon = yield* Effect.flip(authorized({ basic: "${env:COLON}" }))
      assert.match(colon.message, /has a colon/u)
      const missing = yield* Effect.flip(authorized({ api_key: "${env:NOT_SET}" }))
      assert.match(missing.message, /NOT_SET is not set/u)
      for (const error of [broken, colon, missing]) assert.strictEqual(error.failureClass, "misconfigured")
    })
  )

  it.live("a key that is replaced is used by the next request", () =>
    Effect.gen(function* () {
      const base = mkdtempSync(join(tmpdir(), "tributary-plain-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(base, { recursive: true })))
      writeFileSync(join(base, "key"), "first\n")
      const plain = decode({ bearer: "${file:./key}" })
      const headers = yield* Effect.gen(function* () {
        const { authorize } = yield* makePlainAuthorizer({ id: "shop", plain, base })
        const one = yield* authorize("GET", url)
        writeFileSync(join(base, "key"), "second one\n")
        yield* one.rejected
        return [one, yield* authorize("GET", url)].map((request) => Redacted.value(request.headers)["authorization"])
      }).pipe(Effect.provide(secrets({}), { local: true }))
      assert.deepStrictEqual(headers, ["Bearer first", "Bearer second one"])
    })
  )
})
