import type { Checkpoint } from "@tributary/connector"
import { assert, it } from "@effect/vitest"
import { serve, startAuthServer } from "@tributary/testkit"
import { SqliteTokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type OpenedFile, readStream, recordsOf } from "./opened.ts"

const manifest = (base: string, tokenUrl: string) => `
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [orders] }
streams:
  - type: DeclarativeStream
    name: orders
    primary_key: [id]
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "${base}"
        path: /orders
        http_method: GET
        authenticator:
          type: OAuthAuthenticator
          token_refresh_endpoint: "${tokenUrl}"
          client_id: client
          client_secret: "{{ config.credentials.client_secret }}"
          refresh_token: "{{ config.credentials.refresh_token }}"
          refresh_token_updater: { refresh_token_config_path: [credentials, refresh_token] }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [items] } }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy: { type: PageIncrement, page_size: 2, start_from_page: 1, inject_on_first_request: true }
spec:
  type: Spec
  connection_specification:
    type: object
    properties:
      credentials:
        type: object
        properties:
          client_secret: { type: string, airbyte_secret: true }
          refresh_token: { type: string, airbyte_secret: true }
`

const pages = 12

// Airbyte writes a rotated refresh token into the config, at the end of what it does then. Here the vault has it before it is used.
it.live(
  "a manifest's refresh token that is good for one use is never lost, nor used twice, however often the program ends",
  () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => startAuthServer({ rotate: true, graceMs: 0, discovery: "none" })),
        (running) => Effect.promise(() => running.stop())
      )
      let breaks = false
      const base = yield* serve((request, response) => {
        const token = /^Bearer (.+)$/u.exec(request.headers.authorization ?? "")?.[1] ?? ""
        if (!server.validate(token).active) {
          response.statusCode = 401
          response.end("{}")
          return
        }
        if (breaks) {
          response.statusCode = 400
          response.end('{"error":"not today"}')
          return
        }
        const page = Number(new URL(request.url ?? "", "http://shop").searchParams.get("page"))
        const items = page > pages ? [] : [{ id: page * 2 }, { id: page * 2 + 1 }]
        response.end(JSON.stringify({ items }))
      })
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-rotation-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      writeFileSync(join(folder, "manifest.yaml"), manifest(base, server.tokenUrl))
      const key = randomBytes(32).toString("base64")
      const opened: OpenedFile = {
        folder,
        variables: { SECRET: "client-secret", FIRST: server.control.issueRefreshToken("client") },
        file: {
          connector: "shop",
          manifest: "manifest.yaml",
          config: { credentials: { client_secret: "${env:SECRET}", refresh_token: "${env:FIRST}" } }
        },
        store: SqliteTokenStore.layer({ directory: folder }).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: key }))),
          Layer.orDie
        )
      }
      const records: Array<string> = []
      let checkpoint: Checkpoint | undefined
      for (let programs = 1; programs <= pages + 1; programs++) {
        // The token that the last program left does not serve this one, which has to refresh and then fails, and so has the next.
        server.control.revokeAccessTokens()
        breaks = true
        yield* Effect.flip(readStream(opened, "orders", checkpoint, 1))
        breaks = false
        server.control.revokeAccessTokens()
        const [page] = yield* readStream(opened, "orders", checkpoint, 1)
        assert.isDefined(page)
        records.push(...recordsOf([page]))
        checkpoint = page.checkpoint
        if (page.last) break
      }
      assert.deepStrictEqual(
        records,
        Array.from({ length: pages * 2 }, (_, n) => `{"id":${n + 2}}`)
      )
      assert.strictEqual(server.stats.reuses, 0, "no refresh token was used twice")
      assert.isAtLeast(server.stats.issued, pages * 2)
    }).pipe(Effect.scoped)
)
