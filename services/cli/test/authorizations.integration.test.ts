import { afterEach, assert, describe, it } from "vitest"
import { endAll, folder, removeFolders } from "./support.ts"

afterEach(async () => {
  await endAll()
  removeFolders()
})

/** A stream of which nothing but its authorization matters here. */
const stream = (name: string, scope: string) => `
  - name: ${name}
    retriever:
      requester:
        url_base: http://127.0.0.1:9
        authenticator:
          type: OAuthAuthenticator
          token_refresh_endpoint: http://127.0.0.1:9/token
          grant_type: client_credentials
          client_id: client
          client_secret: "{{ config.client_secret }}"
          scopes: [${scope}]
      record_selector: { extractor: { field_path: [] } }`

/** A connector whose manifest has an authorization for each of two streams. */
const files = {
  "manifest.yaml": `version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [orders] }
streams:${stream("orders", "orders.read")}${stream("users", "users.read")}
`,
  "shop.yaml": `connector: shop
manifest: ./manifest.yaml
config: { client_secret: "\${env:SHOP_SECRET}" }
`
}

describe("a connector with several authorizations", () => {
  it(
    "is told with all of them by status, and loses the tokens of all, or of the one that is named",
    { timeout: 240_000 },
    async () => {
      const place = folder(files)
      const env = { SHOP_SECRET: "client-secret", TRIBUTARY_VAULT_KEY: Buffer.alloc(32, 3).toString("base64") }
      const run = (...args: ReadonlyArray<string>) => place.run(args, env).ended
      const status = await run("status")
      assert.include(status.out, "shop has several authorizations: shop, shop--users.")
      const all = await run("revoke", "shop", "--forget")
      assert.strictEqual(all.code, 0, all.err)
      assert.deepStrictEqual(
        all.out
          .trim()
          .split("\n")
          .map((line) => line.slice(0, line.indexOf(" "))),
        ["shop:", "shop--users:"]
      )
      const one = await run("revoke", "shop--users", "--forget")
      assert.match(one.out, /^shop--users: [^\n]*\n$/u)
      const consent = await run("consent", "shop--users")
      assert.include(
        consent.err,
        "Connector shop--users uses the grant client_credentials, which needs nobody's consent."
      )
      const other = await run("revoke", "shop--user")
      assert.include(other.err, "There is no connector shop--user.")
    }
  )
})
