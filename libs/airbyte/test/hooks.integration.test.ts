import { assert, it } from "@effect/vitest"
import { serve } from "@tributary/testkit"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hookSlots } from "../src/component/Hooks.ts"
import { type OpenedFile, readStream, recordsOf } from "./opened.ts"

const manifest = (base: string) => `
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [orders] }
definitions:
  requester: { type: HttpRequester, url_base: "${base}", http_method: GET }
  schema: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
streams:
  - type: DeclarativeStream
    name: orders
    primary_key: [id]
    schema_loader: { type: CustomSchemaLoader, class_name: shop.Schema }
    transformations:
      - { type: CustomTransformation, class_name: shop.AddTotal, tax: 2 }
    retriever:
      type: SimpleRetriever
      requester:
        type: CustomRequester
        class_name: shop.Requester
        url_base: "${base}"
        path: "/orders/{{ stream_partition.region }}"
        http_method: GET
        authenticator: { type: CustomAuthenticator, class_name: shop.Login }
        error_handler: { type: CustomErrorHandler, class_name: shop.Errors }
      record_selector:
        type: RecordSelector
        extractor: { type: CustomRecordExtractor, class_name: shop.Extractor }
        record_filter: { type: CustomRecordFilter, class_name: shop.Filter }
        schema_normalization: { type: CustomSchemaNormalization, class_name: shop.Normal }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }
        pagination_strategy: { type: CustomPaginationStrategy, class_name: shop.Pages }
      partition_router: { type: CustomPartitionRouter, class_name: shop.Regions }
  - type: DeclarativeStream
    name: lines
    schema_loader: { $ref: "#/definitions/schema" }
    retriever:
      type: SimpleRetriever
      requester:
        $ref: "#/definitions/requester"
        path: "/lines/{{ config.kind }}"
        error_handler:
          type: DefaultErrorHandler
          backoff_strategies: [{ type: CustomBackoffStrategy, class_name: shop.Waits }]
      decoder: { type: CustomDecoder, class_name: shop.Decoder }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }
  - type: DeclarativeStream
    name: own
    schema_loader: { $ref: "#/definitions/schema" }
    retriever: { type: CustomRetriever, class_name: shop.Own }
spec:
  type: Spec
  connection_specification: { type: object, properties: { kind: { type: string } } }
  config_normalization_rules:
    type: ConfigNormalizationRules
    transformations: [{ type: CustomConfigTransformation, class_name: shop.Kind }]
`

/** One for every slot. */
const hooks = `
export const hooks = {
  configTransformations: { "shop.Kind": (config) => { config["kind"] = String(config["kind"]).toLowerCase() } },
  schemaLoaders: { "shop.Schema": async () => ({ type: "object", properties: { id: { type: "integer" } } }) },
  transformations: { "shop.AddTotal": (record, { settings }) => { record["total"] = record["net"] + settings["tax"] } },
  requesters: { "shop.Requester": (request) => ({ ...request, headers: { ...request.headers, "x-shop": "signed" } }) },
  authenticators: {
    "shop.Login": async ({ evaluate, send }) => {
      const answer = await send({ method: "POST", url: evaluate("{{ config.base }}") + "/login", body: "me" })
      return { headers: { "x-session": answer.header("x-session") } }
    }
  },
  errorHandlers: { "shop.Errors": (answer) => (answer?.status === 418 ? { action: "RETRY" } : undefined) },
  recordExtractors: { "shop.Extractor": (answer) => answer.json.found },
  recordFilters: { "shop.Filter": (record) => record["id"] % 2 === 1 },
  schemaNormalizations: { "shop.Normal": (record, schema) => { record["of"] = Object.keys(schema["properties"]).join() } },
  paginationStrategies: { "shop.Pages": ({ lastRecord, size }) => (size < 2 ? undefined : lastRecord["id"] + 1) },
  partitionRouters: {
    "shop.Regions": async () => [{ partition: { region: "north" } }, { partition: { region: "south" } }]
  },
  backoffStrategies: { "shop.Waits": () => 0.01 },
  decoders: { "shop.Decoder": (answer) => answer.text.split("\\n").map((line) => ({ line })) },
  retrievers: {
    "shop.Own": async ({ evaluate, position, send }) => {
      const at = position === undefined ? 0 : position["at"]
      const answer = await send({ url: evaluate("{{ config.base }}") + "/own/" + at })
      return { records: [answer.json], next: at < 2 ? { at: at + 1 } : undefined }
    }
  }
}
`

const shop = Effect.gen(function* () {
  const asked: Array<string> = []
  let teapots = 0
  let refusals = 0
  const base = yield* serve((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://shop")
    asked.push(request.url ?? "")
    const say = (status: number, body: unknown) => {
      response.statusCode = status
      response.end(typeof body === "string" ? body : JSON.stringify(body))
    }
    if (pathname === "/login") {
      response.setHeader("x-session", "s1")
      return say(200, {})
    }
    if (pathname === "/lines/small") return refusals++ === 0 ? say(503, {}) : say(200, "a\nb")
    if (pathname.startsWith("/own/")) return say(200, { n: Number(pathname.slice(5)) })
    if (request.headers["x-session"] !== "s1" || request.headers["x-shop"] !== "signed") return say(401, {})
    if (teapots++ === 1) return say(418, {})
    const first = Number(searchParams.get("after") ?? 0) + 1
    const count = first > 4 ? 2 : 4
    const region = pathname.slice(8)
    return say(200, { found: Array.from({ length: count }, (_, n) => ({ id: first + n, net: 10, region })) })
  })
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-hooks-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  writeFileSync(join(folder, "manifest.yaml"), manifest(base))
  writeFileSync(join(folder, "hooks.mjs"), hooks)
  const opened: OpenedFile = {
    folder,
    variables: {},
    file: { connector: "shop", manifest: "manifest.yaml", hooks: "hooks.mjs", config: { kind: "SMALL", base } }
  }
  return { asked, opened }
})

it("there is a hook here for every slot", () => {
  const slots = new Set(Object.values(hookSlots).map(([slot]) => slot))
  for (const slot of slots) assert.include(hooks, `  ${slot}: {`)
})

it.live("hooks take the place of each component that is written in Python", () =>
  Effect.gen(function* () {
    const { opened } = yield* shop
    const records = recordsOf(yield* readStream(opened, "orders")).map((text): unknown => JSON.parse(text))
    const expected = ["north", "south"].flatMap((region) =>
      [1, 3, 5].map((id) => ({ id, net: 10, region, total: 12, of: "id" }))
    )
    assert.sameDeepMembers(records, expected)
    const lines = recordsOf(yield* readStream(opened, "lines"))
    assert.deepStrictEqual(lines, ['{"line":"a"}', '{"line":"b"}'])
    assert.deepStrictEqual(recordsOf(yield* readStream(opened, "own")), ['{"n":0}', '{"n":1}', '{"n":2}'])
  }).pipe(Effect.scoped)
)

it.live("a stream of hooks goes on where a program was stopped, page by page", () =>
  Effect.gen(function* () {
    const { asked, opened } = yield* shop
    const whole = recordsOf(yield* readStream(opened, "orders"))
    for (const [stream, expected] of [
      ["orders", whole],
      ["own", ['{"n":0}', '{"n":1}', '{"n":2}']]
    ] as const) {
      const records: Array<string> = []
      asked.length = 0
      let [page] = yield* readStream(opened, stream, undefined, 1)
      for (let programs = 1; page !== undefined && programs < 20; programs++) {
        records.push(...recordsOf([page]))
        if (page.last) break
        ;[page] = yield* readStream(opened, stream, page.checkpoint, 1)
      }
      assert.sameMembers(records, [...expected])
      assert.lengthOf(records, expected.length)
    }
  }).pipe(Effect.scoped)
)

it.live("what a hook throws names the class, and a class without a hook is named", () =>
  Effect.gen(function* () {
    const { opened } = yield* shop
    writeFileSync(
      join(opened.folder, "broken.mjs"),
      hooks.replace('record["total"] = record["net"] + settings["tax"]', 'throw new Error("no net")')
    )
    writeFileSync(join(opened.folder, "missing.mjs"), hooks.replace("shop.Own", "shop.Other"))
    const said = (name: string, stream: string) =>
      Effect.map(Effect.flip(readStream({ ...opened, file: { ...opened.file, hooks: name } }, stream)), (error) =>
        error instanceof Error ? error.message : String(error)
      )
    assert.match(yield* said("broken.mjs", "orders"), /shop\.AddTotal.*no net/s)
    assert.match(yield* said("missing.mjs", "own"), /shop\.Own.*retrievers/s)
  }).pipe(Effect.scoped)
)
