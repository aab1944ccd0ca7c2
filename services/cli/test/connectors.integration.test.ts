import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import {
  type Api,
  endAll,
  type Folder,
  folder,
  json,
  lines,
  planted,
  removeFolders,
  startApi,
  stopApis
} from "./support.ts"

const parsed = (text: string) => lines(text).map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
const types = (text: string) => parsed(text).map(({ type }) => type)

let api: Api
let at: Folder
let authorization: string | undefined
const file = (name: string) => join(at.path, name)

beforeAll(async () => {
  api = await startApi({
    "/items": (request, response, url) => {
      authorization = request.headers.authorization
      json({ data: [{ id: 1, price: 1.5 }, { id: 2 }] })(request, response, url)
    }
  })
  at = folder()
  writeFileSync(
    file("manifest.yaml"),
    `version: 6.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [items] }
streams:
  - type: DeclarativeStream
    name: items
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: ${api.url}
        path: items
        authenticator: { type: BearerAuthenticator, api_token: "{{ config.key }}" }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [data] } }
  - type: DeclarativeStream
    name: missing
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: ${api.url}
        path: missing/{{ config.key }}
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [data] } }
spec:
  type: Spec
  connection_specification:
    type: object
    required: [key]
    properties: { key: { type: string, airbyte_secret: true } }
`
  )
  writeFileSync(file("config.json"), JSON.stringify({ key: "${env:SECRET}" }))
  writeFileSync(file("catalog.json"), JSON.stringify({ streams: [{ stream: { name: "items" } }] }))
})

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const run = (...args: ReadonlyArray<string>) =>
  at.run(["connectors", "run", ...args, "--airbyte", file("manifest.yaml")]).ended

it("spec, check and discover print their messages", async () => {
  const spec = await run("spec")
  assert.deepStrictEqual(types(spec.out), ["SPEC"])
  const check = await run("check", "--config", file("config.json"))
  assert.deepStrictEqual(parsed(check.out), [{ type: "CONNECTION_STATUS", connectionStatus: { status: "SUCCEEDED" } }])
  assert.strictEqual(check.code, 0)
  const discover = await run("discover", "--config", file("config.json"))
  assert.deepStrictEqual(types(discover.out), ["CATALOG"])
})

it("reads a stream of the catalog, with a secret by reference", async () => {
  const { code, err, out } = await run("--config", file("config.json"), "--catalog", file("catalog.json"))
  assert.strictEqual(code, 0, err)
  const records = parsed(out).filter(({ type }) => type === "RECORD")
  assert.lengthOf(records, 2)
  assert.include(types(out), "STATE")
  assert.strictEqual(authorization, `Bearer ${planted.secret}`)
  assert.notInclude(out, planted.secret)
})

it("a stream that fails ends the command with an error, and secrets stay out of its messages", async () => {
  const { code, err, out } = await run("--config", file("config.json"))
  assert.notStrictEqual(code, 0)
  assert.lengthOf(
    parsed(out).filter(({ type }) => type === "RECORD"),
    2
  )
  assert.notInclude(out + err, planted.secret)
})

it("files of records go to a folder, and no name leads out of it", async () => {
  const manifest = (name: string) => `version: 6.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [papers] }
streams:
  - type: DeclarativeStream
    name: papers
    file_uploader:
      type: FileUploader
      requester: { type: HttpRequester, url_base: "${api.url}", path: items }
      download_target_extractor: { type: DpathExtractor, field_path: [target] }
      filename_extractor: "${name}"
    transformations: [{ type: AddFields, fields: [{ path: [target], value: there }] }]
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "${api.url}", path: items }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [data] } }
`
  const files = join(at.path, "files")
  const read = (name: string) => {
    writeFileSync(file("papers.manifest"), manifest(name))
    return at.run(["connectors", "run", "--airbyte", file("papers.manifest"), "--files", files]).ended
  }
  const { code, err, out } = await read("/{{ record.id }}/paper.json")
  assert.strictEqual(code, 0, err)
  const record = parsed(out).find(({ type }) => type === "RECORD")
  const path = "papers/1/paper.json"
  const body = readFileSync(join(files, path))
  assert.deepInclude(record?.["record"], {
    file_reference: {
      staging_file_url: join(files, path),
      source_file_relative_path: path,
      file_size_bytes: body.length
    }
  })
  const refused = await read("../../outside")
  assert.notStrictEqual(refused.code, 0)
  assert.include(refused.out, "leads out of the folder of files")
  assert.isFalse(existsSync(join(at.path, "outside")))
})

it("a config that does not fit is refused before any request", async () => {
  writeFileSync(file("empty.json"), "{}")
  const before = api.requests.length
  const { code, err, out } = await run("--config", file("empty.json"))
  assert.notStrictEqual(code, 0)
  assert.include(err, "key")
  assert.deepStrictEqual(types(out), ["TRACE"])
  const check = await run("check", "--config", file("empty.json"))
  assert.notStrictEqual(check.code, 0)
  const [message] = parsed(check.out)
  assert.strictEqual(message?.["type"], "CONNECTION_STATUS")
  assert.deepInclude(message?.["connectionStatus"], { status: "FAILED" })
  assert.strictEqual(api.requests.length, before)
})

it("coverage shows what each manifest of a folder needs", async () => {
  const { code, out } = await at.run(["connectors", "coverage", at.path]).ended
  assert.strictEqual(code, 0)
  assert.include(out, "manifest.yaml | loads | valid | missing: - | expressions failing: - | hooks needed: -")
  assert.include(out, "1 of 1 manifests have all they need.")
})
