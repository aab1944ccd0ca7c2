import { assert, it } from "@effect/vitest"
import { Connector } from "@tributary/domain"
import { Result, Schema } from "effect"
import { tmpdir } from "node:os"
import { expandConnector, writeJson } from "../src/index.ts"
import { readMapping } from "../src/manifest/yaml.ts"
import { startApi } from "./differential/api.ts"
import { runOurs } from "./differential/ours.ts"

const retriever = (path: string, extractor: string) => `
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: { id: { type: integer } } } }
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "https://api.example.com", path: /${path} }
      record_selector: { type: RecordSelector, extractor: ${extractor} }`
const plain = "{ type: DpathExtractor, field_path: [] }"
const odd = "{ type: CustomRecordExtractor, class_name: source_shop.components.Odd }"

/** One stream as it should be, one with a class in Python, and a child of that one. */
const manifest = (checked = "orders") => `
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [${checked}] }
streams:
  - type: DeclarativeStream
    name: orders${retriever("orders", plain)}
  - &invoices
    type: DeclarativeStream
    name: invoices${retriever("invoices", odd)}
  - type: DeclarativeStream
    name: payments${retriever("payments", plain)}
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs: [{ type: ParentStreamConfig, parent_key: id, partition_field: invoice, stream: *invoices }]
`

const hook = /source_shop\.components\.Odd is a Python class.*recordExtractors: \{ "source_shop\.components\.Odd"/su

it("a stream that needs Python is refused alone: check, discovery and the other streams work", async () => {
  const api = await startApi()
  const run = (verb: "check" | "discover" | "read", text: string) => {
    api.use([{ path: "/orders", json: [{ id: 1 }] }])
    return runOurs({ verb, manifest: readMapping(text), config: {}, state: [], folder: tmpdir() }, api.base)
  }
  try {
    assert.strictEqual((await run("check", manifest())).check, "SUCCEEDED")
    const refused = await run("check", manifest("payments"))
    assert.strictEqual(refused.check, "FAILED")
    assert.match(refused.error ?? "", /stream payments cannot be read: /u)
    assert.match(refused.error ?? "", hook)
    const found = await run("discover", manifest())
    assert.isFalse(found.failed)
    assert.include(writeJson(found.streams), '"name":"orders"')
    assert.lengthOf(Array.isArray(found.streams) ? found.streams : [], 1)
    const read = await run("read", manifest())
    assert.deepStrictEqual(read.records, { orders: [{ id: 1 }] })
    assert.isFalse(read.failed)
    // With nothing that can be read, a discovery says why.
    const only = manifest().replace(/ {2}- type: DeclarativeStream\n {4}name: orders.*?(?= {2}- &invoices)/su, "")
    const none = await run("discover", only)
    assert.isTrue(none.failed)
    assert.match(none.error ?? "", /stream invoices cannot be read/u)
  } finally {
    api.close()
  }
})

it("a connector file takes the streams of a manifest that need no Python", () => {
  const expand = (streams: { readonly [name: string]: object } = {}) =>
    expandConnector(Schema.decodeSync(Connector)({ connector: "shop", manifest: "m.yaml", streams }), manifest())
  const some = expand({ orders: {} })
  assert.isTrue(Result.isSuccess(some))
  const all = expand()
  const problems = Result.isFailure(all) ? all.failure : []
  assert.deepStrictEqual(
    problems.map(({ path }) => path.join(".")),
    ["streams.invoices", "streams.payments"]
  )
  assert.match(problems[0]?.found ?? "", hook)
  assert.include(problems[0]?.advice ?? "", "without it")
})
