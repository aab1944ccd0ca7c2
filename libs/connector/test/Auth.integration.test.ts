import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connector, read, services, serve, source, valuesOf } from "./harness.ts"

const decodeProof = Schema.decodeUnknownSync(
  Schema.Struct({ htu: Schema.String, nonce: Schema.optionalKey(Schema.String) })
)

/** What an API got from a walk over one page whose next link repeats the address. */
const seenWith = (auth: Record<string, unknown>) =>
  Effect.gen(function* () {
    const seen: Array<{ readonly url: string; readonly headers: Record<string, unknown> }> = []
    const url = yield* serve((request, response) => {
      seen.push({ url: request.url ?? "", headers: request.headers })
      response.writeHead(200, { "content-type": "application/json" })
      const next = seen.length === 1 ? `${request.url}${request.url?.includes("?") === true ? "&" : "?"}page=2` : null
      response.end(JSON.stringify({ data: [{ id: seen.length }], next }))
    })
    const settings = connector(url, { pagination: { next_url: "$.next" } }, {}, auth)
    const pages = yield* Effect.flatMap(source(settings), (ready) => read(ready))
    assert.deepStrictEqual(valuesOf(pages), ['{"id":1}', '{"id":2}'])
    assert.notInclude(JSON.stringify(pages.map(({ checkpoint }) => checkpoint)), "key-of-the-shop-42")
    return seen
  }).pipe(Effect.provide(services))

describe("credentials as they are", () => {
  const kinds: ReadonlyArray<readonly [Record<string, unknown>, string, string]> = [
    [{ api_key: "${env:SHOP_KEY}" }, "x-api-key", "key-of-the-shop-42"],
    [{ api_key: "${env:SHOP_KEY}", header: "X-Shop", prefix: "SSWS" }, "x-shop", "SSWS key-of-the-shop-42"],
    [{ bearer: "${env:SHOP_KEY}" }, "authorization", "Bearer key-of-the-shop-42"],
    [
      { basic: "ada", password: "${env:SHOP_KEY}" },
      "authorization",
      `Basic ${Buffer.from("ada:key-of-the-shop-42").toString("base64")}`
    ],
    [{ headers: { "x-token": "${env:SHOP_KEY}" } }, "x-token", "key-of-the-shop-42"]
  ]
  for (const [auth, name, value] of kinds) {
    it.live(`${JSON.stringify(auth)} go with every request`, () =>
      Effect.gen(function* () {
        const seen = yield* seenWith(auth)
        assert.deepStrictEqual(
          seen.map(({ headers }) => headers[name]),
          [value, value]
        )
      })
    )
  }

  it.live("a key in the address goes with every request, and into no checkpoint", () =>
    Effect.gen(function* () {
      const seen = yield* seenWith({ api_key: "${env:SHOP_KEY}", query: "key" })
      for (const { url } of seen) assert.include(url, "key=key-of-the-shop-42")
    })
  )
})

describe("tokens bound to a key (DPoP)", () => {
  it.live("go with a proof for each request, and once more when the API wants a nonce", () =>
    Effect.gen(function* () {
      const proofs: Array<{ readonly htu: string; readonly nonce: string | undefined }> = []
      const url = yield* serve((request, response) => {
        const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
          response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))
        if (request.method === "POST") return json(200, { access_token: "bound", token_type: "DPoP", expires_in: 60 })
        if (request.headers.authorization !== "DPoP bound") return json(401, {})
        const [, payload = ""] = String(request.headers["dpop"]).split(".")
        const { htu, nonce = undefined } = decodeProof(JSON.parse(Buffer.from(payload, "base64url").toString()))
        proofs.push({ htu, nonce })
        if (nonce === "n-1")
          return json(200, { data: [{ id: proofs.length }], next: proofs.length < 3 ? "/records?page=2" : null })
        return json(401, {}, { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n-1" })
      })
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
      const directory = mkdtempSync(join(tmpdir(), "tributary-dpop-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const file = join(directory, "key.pem")
      writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }))
      const auth = {
        oauth2: "client_credentials",
        token_url: `${url}/token`,
        client_id: "client",
        client_secret: "${env:SHOP_SECRET}",
        dpop: { key: `\${file:${file}}` }
      }
      const settings = connector(url, { pagination: { next_url: "$.next" } }, {}, auth)
      const pages = yield* Effect.flatMap(source(settings), (ready) => read(ready))
      assert.deepStrictEqual(valuesOf(pages), ['{"id":2}', '{"id":3}'])
      assert.deepStrictEqual(
        proofs.map(({ nonce }) => nonce),
        [undefined, "n-1", "n-1"]
      )
      assert.strictEqual(proofs[2]?.htu, `${url}/records`)
    }).pipe(Effect.provide(services))
  )
})
