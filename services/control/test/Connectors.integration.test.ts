import { Catalog } from "@tributary/catalog"
import { connectorsTopic } from "@tributary/domain"
import { ControlApi } from "@tributary/domain/control"
import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { file, get, isError, on, putJson, putText, startControl } from "./support.ts"

const utf8 = new TextEncoder()

describe("connectors", () => {
  it.live("are registered, shown, changed and deleted", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })

        const tried = yield* send(putText("shop", file("shop"), "?dry_run=true"))
        assert.strictEqual(tried.status, 200, tried.text)
        assert.deepInclude(tried.json, { outcome: "registered", dryRun: true })
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })

        const made = yield* send(putText("shop", file("shop")))
        assert.deepInclude(made.json, { connector: "shop", outcome: "registered", dryRun: false })
        assert.strictEqual(made.json.revision, tried.json.revision)
        const again = yield* send(putText("shop", file("shop")))
        assert.strictEqual(again.json.outcome, "unchanged")
        const changed = yield* send(putText("shop", file("shop", "/v2/orders")))
        assert.strictEqual(changed.json.outcome, "changed")
        assert.notStrictEqual(changed.json.revision, made.json.revision)

        const shown = yield* send(get("/v1/connectors/shop"))
        assert.deepInclude(shown.json, {
          connector: "shop",
          text: file("shop", "/v2/orders"),
          revision: changed.json.revision,
          file: "shop.yaml",
          problem: null,
          owner: null,
          redacted: false
        })
        const { connectors } = (yield* send(get("/v1/connectors"))).json
        assert.strictEqual(connectors.length, 1)
        assert.isAtMost(Math.abs((connectors[0]?.registeredAt ?? 0) - (yield* Clock.currentTimeMillis)), 60_000)

        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/shop?dry_run"))).json.dryRun, true)
        assert.strictEqual((yield* send(get("/v1/connectors/shop"))).status, 200)
        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/shop"))).json.outcome, "deleted")
        isError(yield* send(get("/v1/connectors/shop")), 404, "connector_not_found", /"shop"/)
        isError(yield* send(HttpClientRequest.delete("/v1/connectors/shop")), 404, "connector_not_found", /"shop"/)
      })
    )
  )

  it.live("take the modules that their transforms name, and no others", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const text = `${file("shop")}transform:\n  - typescript: ./orders.ts\n`
        const script = { path: "./orders.ts", text: "export default (record) => record\n" }

        const without = yield* send(putText("shop", text))
        isError(without, 422, "connector_invalid", /1 problem/)
        assert.deepInclude(without.json.problems[0], { line: 6, path: "transform" })
        assert.match(without.json.problems[0]?.found ?? "", /without its text/)
        const extra = yield* send(
          putJson("shop", { text, scripts: [script, { path: "./other.ts", text: "" }, script] })
        )
        assert.deepStrictEqual(
          extra.json.problems.map(({ found }) => found),
          ["the module ./orders.ts, more than once in scripts", "the module ./other.ts, which no transform names"]
        )
        const outside = yield* send(putJson("shop", { text: text.replace("./orders.ts", "../orders.ts"), scripts: [] }))
        assert.match(outside.json.problems[0]?.expected ?? "", /below the folder/)

        assert.strictEqual((yield* send(putJson("shop", { text, scripts: [script] }))).status, 200)
        assert.deepStrictEqual((yield* send(get("/v1/connectors/shop"))).json.scripts, [script])
      })
    )
  )

  it.live("come with the manifest that they name", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const text =
          "connector: shop\nmanifest: ./manifest.yaml\nconfig:\n  token: ${env:SHOP_TOKEN}\nstreams: [orders]\n"
        const manifest = JSON.stringify({
          version: "6.0.0",
          type: "DeclarativeSource",
          check: { type: "CheckStream", stream_names: ["orders"] },
          streams: [
            {
              type: "DeclarativeStream",
              name: "orders",
              primary_key: "id",
              schema_loader: { type: "InlineSchemaLoader", schema: { type: "object", properties: {} } },
              retriever: {
                type: "SimpleRetriever",
                requester: {
                  type: "HttpRequester",
                  url_base: "https://api.shop.example",
                  path: "/orders",
                  authenticator: { type: "BearerAuthenticator", api_token: "{{ config['token'] }}" }
                },
                record_selector: { type: "RecordSelector", extractor: { type: "DpathExtractor", field_path: [] } }
              }
            }
          ],
          spec: {
            type: "Spec",
            connection_specification: {
              type: "object",
              required: ["token"],
              properties: { token: { type: "string", airbyte_secret: true } }
            }
          }
        })
        const script = { path: "./manifest.yaml", text: manifest }

        const without = yield* send(putText("shop", text))
        isError(without, 422, "connector_invalid", /1 problem/)
        assert.deepInclude(without.json.problems[0], { line: 2, path: "manifest" })
        assert.match(without.json.problems[0]?.found ?? "", /the manifest \.\/manifest\.yaml, without its text/)
        assert.match(without.json.problems[0]?.advice ?? "", /scripts: \[\{path, text\}\]/)

        // What the manifest says is checked with the file, as `tributary apply` does.
        const wrong = yield* send(putJson("shop", { text: text.replace("orders]", "order]"), scripts: [script] }))
        assert.deepInclude(wrong.json.problems[0], { line: 5, advice: "Did you mean orders?" })
        const none = yield* send(putJson("shop", { text, scripts: [{ ...script, text: "version: 6.0.0" }] }))
        assert.match(none.json.problems[0]?.found ?? "", /manifest that is not valid/)

        assert.strictEqual((yield* send(putJson("shop", { text, scripts: [script] }))).status, 200)
        assert.deepStrictEqual((yield* send(get("/v1/connectors/shop"))).json.scripts, [script])
      })
    )
  )

  it.live("get every problem with its place, and nothing is registered", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const wrong = file("shop").replace("streams:", "stream:").replace("http:", "htpp:")
        const answer = yield* send(putText("shop", wrong))
        isError(answer, 422, "connector_invalid", /shop\.yaml has \d problems/)
        assert.deepInclude(answer.json.problems[0], { file: "shop.yaml", line: 2, path: "htpp" })
        assert.match(answer.json.problems[0]?.advice ?? "", /http/)
        const other = yield* send(putText("shop", file("other")))
        assert.deepInclude(other.json.problems[0], { line: 1, path: "connector", found: "other" })
        const secret = yield* send(putText("shop", `${file("shop")}auth: { bearer: hunter2-in-the-open }\n`))
        assert.strictEqual(secret.status, 422)
        assert.notInclude(secret.text, "hunter2")
        const consent =
          "auth: { oauth2: authorization_code, provider: spotifi, client_id: me, client_secret: '${env:IT}' }\n"
        const provider = yield* send(putText("shop", `${file("shop")}${consent}`))
        isError(provider, 422, "connector_invalid", /shop\.yaml has 1 problem/)
        assert.deepInclude(provider.json.problems[0], { path: "auth.provider", advice: "Did you mean spotify?" })
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })
        const believed = yield* send(putText("shop", `${file("shop")}${consent.replace("spotifi,", "spotify,")}`))
        assert.strictEqual(believed.status, 200, believed.text)
      })
    )
  )

  it.live("that cannot be read are listed with the reason and can be deleted", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const catalog = yield* Catalog
        const log = yield* Log
        yield* catalog.prepare
        const value = utf8.encode(JSON.stringify({ v: 9, connector: "odd", client_secret: "hunter2" }))
        yield* log.publish([{ topic: connectorsTopic, key: utf8.encode("odd"), value }])
        const { text } = yield* send(get("/v1/connectors"))
        assert.include(text, "cannot be read")
        assert.notInclude(text, "hunter2")
        const one = yield* send(get("/v1/connectors/odd"))
        assert.strictEqual(one.status, 200)
        assert.match(one.json.problem ?? "", /cannot be read/)
        assert.strictEqual((yield* send(HttpClientRequest.delete("/v1/connectors/odd"))).status, 200)
        assert.deepStrictEqual((yield* send(get("/v1/connectors"))).body, { connectors: [] })
      })
    )
  )

  it.live("are shown without the secrets that somebody wrote into the topic", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        const catalog = yield* Catalog
        const text = `${file("shop")}auth:\n  oauth2: client_credentials\n  client_id: \${env:ID}\n  client_secret: hunter2\n`
        const scripts = [{ path: "./a.ts", text: "// Authorization: Bearer abcdef123456" }]
        const connector = yield* Schema.decodeEffect(Schema.String.pipe(Schema.brand("ConnectorId")))("shop")
        yield* catalog.write([{ register: { connector, file: "shop.yaml", text, scripts, revision: "1" } }])
        const { json, text: whole } = yield* send(get("/v1/connectors/shop"))
        assert.notInclude(whole, "hunter2")
        assert.notInclude(whole, "abcdef123456")
        assert.include(json.text, "${env:ID}")
        assert.isTrue(json.redacted)
        assert.match(json.problem ?? "", /shop\.yaml:\d+: auth/)
      })
    )
  )

  it.live("of two writers at the same time are whole, and the last one stays", () =>
    on(
      Effect.gen(function* () {
        const first = yield* startControl()
        const second = yield* startControl()
        const texts = Array.from({ length: 20 }, (_, index) => file("shop", `/v${index}`))
        const answers = yield* Effect.forEach(
          texts,
          (text, index) => (index % 2 === 0 ? first : second).send(putText("shop", text)),
          { concurrency: 8 }
        )
        for (const { status } of answers) assert.strictEqual(status, 200)
        const seen = yield* Effect.forEach([first, second], ({ send }) => send(get("/v1/connectors/shop")))
        assert.strictEqual(seen[0]?.text, seen[1]?.text)
        assert.include(texts, seen[0]?.json.text)
        const written = answers.find(({ json }) => json.revision === seen[0]?.json.revision)
        assert.isDefined(written)
        const last = yield* second.send(putText("shop", file("shop", "/last")))
        assert.strictEqual((yield* first.send(get("/v1/connectors/shop"))).json.revision, last.json.revision)
      })
    )
  )
})

describe("the client that is derived from the definition", () => {
  it.live("registers, reads and gets typed errors", () =>
    on(
      Effect.gen(function* () {
        const { url } = yield* startControl({ TRIBUTARY_CONTROL_TOKEN: "t" })
        const client = yield* HttpApiClient.make(ControlApi, {
          baseUrl: url,
          transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken("t"))
        })
        const params = { id: "shop" }
        const made = yield* client.connectors.put({ params, query: {}, payload: { text: file("shop") } })
        assert.strictEqual(made.outcome, "registered")
        assert.strictEqual((yield* client.connectors.get({ params })).text, file("shop"))
        const wrong = yield* Effect.flip(
          client.connectors.put({ params, query: {}, payload: { text: "connector: 1" } })
        )
        assert.strictEqual("code" in wrong ? wrong.code : wrong._tag, "connector_invalid")
        const missing = yield* Effect.flip(client.connectors.get({ params: { id: "none" } }))
        assert.strictEqual("code" in missing ? missing.code : missing._tag, "connector_not_found")
      })
    )
  )
})
