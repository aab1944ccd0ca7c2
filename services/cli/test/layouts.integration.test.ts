// What a new user's folder may look like: manifests and modules beside connector files, streams that are sent, paging that is misspelt.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { endAll, folder, json, removeFolders, startApi, stopApis } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const manifest = (url: string) => `version: 6.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    primary_key: [id]
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "${url}", path: /items }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: { id: { type: integer } } } }
`

describe("a folder with a manifest beside its connector file", () => {
  it("is valid, and its streams are read", async () => {
    const api = await startApi({ "/items": json([{ id: 1 }, { id: 2 }]) })
    const at = folder({
      "manifest.yaml": manifest(api.url),
      "shop.yaml": "connector: shop\nmanifest: ./manifest.yaml\nstreams: [items]\n"
    })
    const valid = await at.run(["validate"]).ended
    assert.strictEqual(valid.code, 0, valid.err)
    assert.strictEqual(valid.out + valid.err, `${join(at.connectors, "shop.yaml")}: connector shop, 1 stream(s)\n`)
    const seen = await at.run(["preview"]).ended
    assert.strictEqual(seen.code, 0, seen.err)
    assert.include(seen.out, "one page of 2 records")
  })

  it("is told of a manifest that nothing names", async () => {
    const at = folder({ "manifest.yaml": manifest("https://api.example") })
    const alone = await at.run(["validate"]).ended
    assert.strictEqual(alone.code, 1)
    assert.match(alone.out + alone.err, /error: found an Airbyte manifest that no connector file names/u)
    at.write(
      "shop.yaml",
      'connector: shop\nhttp: { base_url: "https://a.example" }\nstreams: { items: { path: /a } }\n'
    )
    const beside = await at.run(["validate"]).ended
    assert.strictEqual(beside.code, 0, beside.err)
    assert.match(beside.out + beside.err, /warning: found an Airbyte manifest[^]*`manifest: \.\/manifest\.yaml`/u)
  })
})

describe("a module that is not in Tributary's own folder", () => {
  it("finds its packages, also those of the engine", async () => {
    const api = await startApi({ "/items": json([{ id: 1 }, { id: 2 }]) })
    const at = folder({
      "shop.ts": `import { Effect } from "effect"
import { defineConnector, defineStream, jsonExtractor, requesterOf, rewriting } from "@tributary/connector"
if (!Effect.isEffect(Effect.void)) throw new Error("another effect")
export const connector = defineConnector({
  streams: {
    items: defineStream({
      requester: requesterOf({ url: "${api.url}/items" }),
      extractor: jsonExtractor("$[*]"),
      transformation: rewriting((record) => [{ ...record, mark: "here" }])
    })
  }
})
`,
      "shop.yaml": "connector: shop\nmodule: ./shop.ts\nstreams: { items: { primary_key: id } }\n"
    })
    const { code, err, out } = await at.run(["preview"]).ended
    assert.strictEqual(code, 0, err)
    assert.include(out, '{"id":1,"mark":"here"}')
  })
})

describe("a stream that is sent", () => {
  const gate = `connector: gate
streams:
  events: { webhook: { signature: github, secret: "\${env:SECRET}" }, primary_key: id }
`
  it("is no failure of check and preview, unless its secret is not there", async () => {
    const at = folder({ "gate.yaml": gate })
    const good = await at.run(["check"]).ended
    assert.strictEqual(good.code, 0, good.err)
    assert.match(good.out, /ok {7}webhook {6}the secrets are there; .* take deliveries at \/webhooks\/gate\/events/u)
    const seen = await at.run(["preview"]).ended
    assert.strictEqual(seen.code, 0, seen.err)
    assert.include(seen.out, "events: deliveries are sent to /webhooks/gate/events (webhook)")
    const found = await at.run(["discover"]).ended
    assert.strictEqual(found.code, 0, found.err)
    at.write("gate.yaml", gate.replace("SECRET", "NOT_SET"))
    const bad = await at.run(["check"]).ended
    assert.strictEqual(bad.code, 1)
    assert.match(bad.out, /FAILED {3}webhook {6}.*NOT_SET is not set/u)
  })
})

describe("a file in another encoding", () => {
  it("is refused, with the line", async () => {
    const at = folder()
    const text = 'connector: shop\nhttp: { base_url: "https://a.example" }\nstreams: { items: { path: /ä } }\n'
    writeFileSync(join(at.connectors, "shop.yaml"), Buffer.from(text, "latin1"))
    const { code, err, out } = await at.run(["validate"]).ended
    assert.strictEqual(code, 1)
    assert.match(out + err, /error: found bytes that are no UTF-8, expected a file in UTF-8\n *--> \S+shop\.yaml:3:1/u)
  })
})

describe("pagination that names what is not there", () => {
  it("is warned of by check and preview", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }], next: null, more: false }) })
    const file = (pagination: string) =>
      `connector: shop\nhttp: { base_url: "${api.url}" }\nstreams: { items: { path: /items, records: "$.data[*]", pagination: ${pagination} } }\n`
    const at = folder({ "shop.yaml": file("{ cursor: $.nxt, param: c, more: $.mre }") })
    const checked = await at.run(["check"]).ended
    assert.strictEqual(checked.code, 0, checked.err)
    assert.match(
      checked.out,
      /warning {2}next page {4}the answer has nothing at \$\.nxt \(pagination\.cursor\)\. If these/u
    )
    assert.match(checked.out, /nothing at \$\.mre \(pagination\.more\)/u)
    const seen = await at.run(["preview"]).ended
    assert.match(seen.out, /warning: the answer has nothing at \$\.nxt \(pagination\.cursor\)/u)
    at.write("shop.yaml", file("{ cursor: $.next, param: c, more: $.more }"))
    const right = await at.run(["check"]).ended
    assert.notInclude(right.out, "next page")
  })
})
