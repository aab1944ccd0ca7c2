import { assert, it } from "@effect/vitest"
import {
  configErrors,
  coverageOf,
  isCovered,
  loadManifest,
  ManifestError,
  requireStream,
  requireSupported,
  specMessage
} from "../src/index.ts"
import { readMapping } from "../src/manifest/yaml.ts"
import { writtenStreams } from "../src/run/manifestStreams.ts"

const manifest = (stream: string, rest = "") => `
version: 6.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
${rest}
streams:
  - type: DeclarativeStream
    name: items
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "https://api.example.com", http_method: GET }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [data] } }
${stream}`

const problems = (text: string): ReadonlyArray<string> => {
  try {
    const read = loadManifest(text)
    requireSupported(read)
    for (const stream of writtenStreams(read, () => true)) requireStream(stream)
    return []
  } catch (error) {
    assert.instanceOf(error, ManifestError)
    return error instanceof ManifestError ? error.problems.map(({ path, problem }) => `${path}: ${problem}`) : []
  }
}

it("a wrong component is named with its path and the nearest name", () => {
  const text = manifest("").replace("type: DpathExtractor", "type: DpathExtrctor")
  assert.deepStrictEqual(problems(text), [
    "streams[0].retriever.record_selector.extractor.type: found DpathExtrctor, which is no component; expected DpathExtractor, CustomRecordExtractor, CombinedExtractor. Did you mean DpathExtractor?"
  ])
})

it("a missing or wrong setting is named with its path", () => {
  assert.deepStrictEqual(problems(manifest("").replace("http_method: GET", "http_method: FETCH")), [
    'streams[0].retriever.requester.http_method: found "FETCH", expected one of GET, POST.'
  ])
  assert.deepStrictEqual(problems(manifest("").replace(", field_path: [data]", "")), [
    "streams[0].retriever.record_selector.extractor: field_path is missing; it is required."
  ])
})

it("references are followed, and those that lead nowhere or in a circle are named", () => {
  const text = (reference: string) =>
    manifest("    schema_loader: { $ref: '#/definitions/schema' }", `definitions:\n  schema: ${reference}`)
  assert.deepStrictEqual(problems(text("{ type: InlineSchemaLoader, schema: {} }")), [])
  assert.deepStrictEqual(problems(text("{ $ref: '#/definitions/none' }")), [
    "definitions.schema: the reference #/definitions/none leads nowhere: there is no none. Correct it, or define what it names."
  ])
  assert.match(problems(text("{ $ref: '#/definitions/schema' }"))[0] ?? "", /leads back to itself/)
})

it("what is not there is refused by name, with everything at once", () => {
  const text = manifest("    transformations: [{ type: CustomTransformation, class_name: source.Thing }]")
  const more = text.replace(
    "type: SimpleRetriever\n",
    "type: SimpleRetriever\n      partition_router: [{ type: CustomPartitionRouter, class_name: source.Parts }]\n"
  )
  assert.deepStrictEqual(
    problems(more).map((problem) => problem.split(":")[0]),
    ["streams[0].retriever.partition_router[0]", "streams[0].transformations[0]"]
  )
  const coverage = coverageOf(text)
  assert.isFalse(isCovered(coverage))
  assert.deepStrictEqual(coverage.hooks, ["CustomTransformation"])
})

it("coverage names expressions that cannot be read, and files that are no manifests", () => {
  const broken = manifest("").replace("https://api.example.com", "https://{{ config.host }")
  assert.lengthOf(coverageOf(broken).expressions, 1)
  const none = coverageOf("a: [")
  assert.isFalse(none.loads)
  assert.isFalse(coverageOf("a: 1").validates)
})

it("parameters are handed down to fields that are empty, and the nearest wins", () => {
  const text = manifest("    $parameters: { path: /a, primary_key: id }")
  const data = loadManifest(text).used.find(({ type }) => type === "HttpRequester")?.data
  assert.strictEqual(data?.["path"], "/a")
  assert.deepStrictEqual(data?.["$parameters"], { path: "/a", primary_key: "id" })
})

it("YAML is read as PyYAML reads it", () => {
  const data = readMapping(
    "a: yes\nb: y\nc: 0o7\nd: 1_000\ne: 1e3\nf: 2021-01-01\ng: 010\nh: ~\ni: 12:30\nj: &x {k: 1}\nl: {<<: *x}"
  )
  assert.deepStrictEqual(data, {
    a: true,
    b: "y",
    c: "0o7",
    d: 1000,
    e: "1e3",
    f: "2021-01-01",
    g: 8,
    h: null,
    i: 750,
    j: { k: 1 },
    l: { k: 1 }
  })
})

it("the spec is shown as it is", () => {
  const spec =
    "spec: { type: Spec, documentation_url: https://docs.example.com, connection_specification: { type: object } }"
  assert.deepStrictEqual(specMessage(loadManifest(manifest("", spec))), {
    type: "SPEC",
    spec: {
      connectionSpecification: { type: "object" },
      documentationUrl: "https://docs.example.com",
      supportsNormalization: false,
      supportsDBT: false
    }
  })
})

it("a config is held against each pattern of its spec", () => {
  const text = (pattern: string) => ({ type: "string", pattern })
  const schema = { type: "object", properties: { day: text("^[0-9-]+$"), name: text("^[a-z]+$") } }
  assert.deepStrictEqual(configErrors(schema, { day: "2026-01-01", name: "shop" }), [])
  assert.deepStrictEqual(
    configErrors(schema, { day: "2026-01-01", name: "7" }).map(({ instancePath }) => instancePath),
    ["/name"]
  )
})
