import { assert, it } from "@effect/vitest"
import { coverageOf, isCovered, loadManifest, ManifestError, requireSupported, specMessage } from "../src/index.ts"
import { readMapping } from "../src/manifest/yaml.ts"

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
    requireSupported(loadManifest(text))
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
  const text = manifest("    transformations: [{ type: CustomTransformation, class_name: source.Thing }]").replace(
    "field_path: [data]",
    "field_path: [data], record_expander: { expand_records_from_field: [a] }"
  )
  assert.deepStrictEqual(
    problems(text).map((problem) => problem.split(":")[0]),
    [
      "streams[0].retriever.record_selector.extractor.record_expander",
      "streams[0].retriever.record_selector.extractor.record_expander",
      "streams[0].transformations[0]"
    ].toSorted((a, b) => (a < b ? -1 : 1))
  )
  const coverage = coverageOf(text)
  assert.isFalse(isCovered(coverage))
  assert.deepStrictEqual(coverage.hooks, ["CustomTransformation"])
  assert.isTrue(isCovered(coverageOf(manifest(""))))
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
    spec: { connectionSpecification: { type: "object" }, documentationUrl: "https://docs.example.com" }
  })
})
