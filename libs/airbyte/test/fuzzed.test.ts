// What random manifests have found: each is told as a mistake of the manifest.
import { assert, it } from "@effect/vitest"
import { Connector } from "@tributary/domain"
import { Result, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { once } from "node:events"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { configProblems, expandConnector, type PlainDict } from "../src/index.ts"
import { interpolate, repr } from "../src/expression.ts"
import { runEngine } from "./differential/engine.ts"

const connector = Schema.decodeSync(Connector)({ connector: "shop", manifest: "./manifest.yaml" })

const manifestWith = (more: object, retriever: object = {}, requester: object = {}, stream: object = {}): string =>
  JSON.stringify({
    version: "6.0.0",
    type: "DeclarativeSource",
    check: { type: "CheckStream", stream_names: ["items"] },
    streams: [
      {
        type: "DeclarativeStream",
        name: "items",
        retriever: {
          type: "SimpleRetriever",
          requester: { type: "HttpRequester", url_base: "http://127.0.0.1:1", path: "/items", ...requester },
          record_selector: { type: "RecordSelector", extractor: { type: "DpathExtractor", field_path: [] } },
          ...retriever
        },
        ...stream
      }
    ],
    ...more
  })

const conflictsOf = (text: string) => {
  const expanded = expandConnector(connector, text)
  return Result.isFailure(expanded) ? expanded.failure : []
}

it.each([
  ["a name that is no text", { properties: {}, required: [0] }, "required/0"],
  ["a type that there is not", { properties: { region: { type: "sting" } } }, "properties/region/type"],
  ["a reference to nowhere", { properties: { region: { $ref: "#/definitions/none" } } }, "#/definitions/none"]
])("a config's schema with %s is a problem of the manifest", (_, schema, place) => {
  const conflicts = conflictsOf(manifestWith({ spec: { type: "Spec", connection_specification: schema } }))
  assert.lengthOf(conflicts, 1)
  assert.deepStrictEqual(conflicts[0]?.path, ["manifest"])
  assert.include(conflicts[0]?.found, "spec.connection_specification")
  assert.include(conflicts[0]?.found, place)
})

it("a schema that is none is an error of the run", () => {
  const schema: PlainDict = { required: [0] }
  assert.throws(() => configProblems(schema, {}), /not a JSON schema \(draft 7\): .*required\/0/u)
})

it("control characters of a manifest are not shown", () => {
  const [conflict] = conflictsOf(manifestWith({}, { type: "Simple\u001b[31mRetriever" }))
  assert.include(conflict?.found, "Simple\ufffd[31mRetriever")
})

it("an authenticator in another one that lacks a part is an error of the stream", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fuzzed-"))
  const login = { type: "HttpRequester", url_base: "http://127.0.0.1:1", path: "/login" }
  const session = { type: "SessionTokenAuthenticator", login_requester: login, session_token_path: ["token"] }
  const authenticator = {
    ...session,
    login_requester: { ...login, authenticator: { ...session, request_authentication: [] } },
    request_authentication: { type: "Bearer" }
  }
  try {
    const manifest = manifestWith({}, {}, { authenticator })
    const [run] = await runEngine({ api: "http://127.0.0.1:1", folder, name: "manifest.yaml", manifest, config: {} }, 1)
    assert.include(run?.failed["items"], "request_authentication: a component is missing.")
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it("what a reference stands for is not shown, whether or not the manifest marks it as a secret", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fuzzed-"))
  const schema = { properties: { key: { type: "string", pattern: "^sk_[a-z]+$" } } }
  try {
    const manifest = manifestWith({ spec: { type: "Spec", connection_specification: schema } })
    const [run] = await runEngine(
      { api: "http://127.0.0.1:1", folder, name: "manifest.yaml", manifest, config: { key: "canary-71" } },
      1
    )
    assert.include(run?.failed["items"], "config.key: found")
    assert.notInclude(run?.failed["items"], "canary-71")
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it("a cursor's value that cannot be compared with those before it moves no cursor", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fuzzed-"))
  const server = createServer((_request, response) => response.end('[{"id":1,"n":3},{"id":2,"n":[1]},{"id":3,"n":5}]'))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const api = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const incremental_sync = { type: "IncrementingCountCursor", cursor_field: "n", start_value: 0 }
  try {
    const manifest = manifestWith({}, {}, { url_base: api }, { incremental_sync })
    const [run] = await runEngine({ api, folder, name: "manifest.yaml", manifest, config: {} }, 1)
    assert.deepStrictEqual(run?.failed, {})
    assert.lengthOf(run?.records["items"] ?? [], 3)
  } finally {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  }
})

it("what is done outside of evaluations does not add up until a limit of theirs is met", () => {
  const list = Array.from({ length: 100_000 }, (_, index) => index)
  const length = repr(list).length
  for (let turn = 0; turn < 40; turn++) assert.lengthOf(repr(list), length)
  const ports = { nowMicros: () => 0, uuid: () => "", random: () => 0 }
  assert.throws(
    () => interpolate("{{ 'a' * 1000 }}", {}, { ports, limits: { steps: 30, size: 100 } }),
    /more than 100 characters/u
  )
})
