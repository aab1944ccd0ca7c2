import { assert, it } from "@effect/vitest"
import { join } from "node:path"
import { configProblems, type PlainDict, parseJson, writeJson } from "../src/index.ts"
import { readMapping } from "../src/manifest/yaml.ts"
import { dict, filesOf, manifestIn } from "./differential/cases.ts"
import { compare } from "./differential/compare.ts"
import { mentionsIn } from "./differential/synthetic/mentions.ts"
import { textFitting } from "./differential/synthetic/pattern.ts"
import { type Synthetic, synthesise } from "./differential/synthetic/synthetic.ts"
import { reshaped, variantOf } from "./differential/synthetic/variant.ts"

const ask = (api: Synthetic, href: string, headers: Readonly<Record<string, string>> = {}, body = "", method = "GET") =>
  api.answer({ method, url: new URL(href), headers, body })

const json = (api: Synthetic, href: string) => parseJson(ask(api, href).body.toString("utf8"))

const manifest = (retriever: string, rest = ""): PlainDict =>
  readMapping(`
version: 6.0.0
check: { stream_names: [items] }
streams:
  - name: items
    primary_key: key
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: { key: { type: string }, at: { type: string } } } }
    retriever:
      requester: { url_base: "https://{{ config.host }}.example.com", path: /items }
      record_selector: { extractor: { field_path: [data, items] } }
${retriever}
${rest}
spec: { type: Spec, connection_specification: { type: object, required: [host], properties: { host: { type: string, pattern: "^[a-z]{3}-[0-9]+$" } } } }
`)

it("texts are made that a pattern accepts", () => {
  for (const pattern of [
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "^([1-9][0-9]{3})\\-(0?[1-9]|1[012])\\-(0?[1-9]|[12][0-9]|3[01])$",
    "^$|^[0-9]{4}$",
    "^(?:https://)[\\w.]+/x{2,3}(?!y)$",
    "^urn:[a-z]+:(a|b)+$",
    "^sk_(test|live)_\\w{8}$"
  ]) {
    const text = textFitting(pattern)
    assert.isDefined(text, pattern)
    assert.match(text ?? "", new RegExp(pattern))
  }
  assert.isUndefined(textFitting("("))
})

it("what an expression looks at is found", () => {
  const found = mentionsIn(
    "{{ record['a'].get('b', {})['c'][0] and record.d.split(',') or 'record.x' and other.record.y }}",
    new Set(["record"])
  )
  assert.deepStrictEqual(
    found.map(({ method, path }) => [path, method]),
    [
      [["a", "b", "c", 0], undefined],
      [["d"], "split"]
    ]
  )
})

it("a config fits the specification, and an API answers with records and pages", () => {
  const api = synthesise(
    manifest(`      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }
        pagination_strategy: { type: CursorPagination, cursor_value: "{{ response.page.next }}", stop_condition: "{{ not response.page.more }}" }`)
  )
  assert.match(String(api.config["host"]), /^[a-z]{3}-[0-9]+$/)
  const page = (after: string) => dict(json(api, `https://${String(api.config["host"])}.example.com/items${after}`))
  const first = page("")
  const token = String(dict(first["page"])["next"])
  const second = page(`?after=${token}`)
  const third = page(`?after=${String(dict(second["page"])["next"])}`)
  const keys = [first, second, third].map((body) => {
    const items = dict(body["data"])["items"]
    return Array.isArray(items) ? items.map((item) => dict(item)["key"]) : []
  })
  assert.isAbove(keys[0]?.length ?? 0, 0)
  assert.strictEqual(new Set(keys.flat()).size, keys.flat().length)
  assert.notOk(dict(third["page"])["more"])
  assert.deepStrictEqual(first, page(""), "the same request has the same answer")
})

it("every manifest of the cases gets a config that its specification accepts", () => {
  for (const file of filesOf(join(import.meta.dirname, "differential", "cases"))) {
    const data = manifestIn(file).manifest
    const specification = dict(dict(data["spec"])["connection_specification"])
    if (Object.keys(specification).length === 0) continue
    assert.deepStrictEqual(configProblems(specification, synthesise(data).config), [], file)
  }
})

it("a comparison says which field, request or state differs first", () => {
  const run = { outcome: { records: { a: [{ id: 1 }] }, states: { a: { at: 1 } } }, requests: ["GET a"] }
  assert.deepStrictEqual(compare("read", run, run), [])
  const [found] = compare("read", run, { ...run, requests: ["GET b"] })
  assert.include(found ?? "", "GET a")
})

it("pages whose number an expression cuts out of an address come to an end", () => {
  const cut = `      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy: { type: CursorPagination, cursor_value: "{{ response.next | regex_search('page=([0-9]+)') }}", stop_condition: "{{ response.next is none }}" }`
  const api = synthesise(manifest(cut))
  const at = `https://${String(api.config["host"])}.example.com/items`
  const first = dict(json(api, at))
  const number = /page=(\d+)/u.exec(String(first["next"]))?.[1]
  assert.isDefined(number)
  assert.notDeepEqual(dict(json(api, `${at}?page=${number}`))["data"], first["data"])
  assert.isNull(dict(json(api, `${at}?page=${Number(number) + 1}`))["next"])
})

it("of two streams at one address, one that reads its page elsewhere does not keep the other going for ever", () => {
  const pages = (place: string, size: number) => `
    retriever:
      requester: { url_base: "https://api.example.com", path: /items }
      record_selector: { extractor: { field_path: [data] } }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: ${place}, field_name: page }
        pagination_strategy: { type: PageIncrement, start_from_page: 1, page_size: ${size} }`
  const text = `
version: 6.0.0
check: { stream_names: [items] }
streams:
  - name: items
    schema_loader: { type: InlineSchemaLoader, schema: { type: object } }${pages("request_parameter", 50)}
  - name: others
    schema_loader: { type: InlineSchemaLoader, schema: { type: object } }${pages("body_json", 100)}
`
  const api = synthesise(readMapping(text))
  assert.deepStrictEqual(dict(json(api, "https://api.example.com/items?page=9"))["data"], [])
})

it("streams that multiply their parents with each other get single records of them, and others pages", () => {
  const routers = (count: number, inner: string) =>
    Array.from(
      { length: count },
      (_, index) => `
          - type: SubstreamPartitionRouter
            parent_stream_configs: [{ parent_key: id, partition_field: p${index}, stream: ${inner} }]`
    ).join("")
  const stream = (name: string, parents = "") => `
  - &${name}
    name: ${name}
    schema_loader: { type: InlineSchemaLoader, schema: { type: object } }
    retriever:
      requester: { url_base: "https://api.example.com", path: /${name} }
      record_selector: { extractor: { field_path: [] } }
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page }
        pagination_strategy: { type: PageIncrement, start_from_page: 1, page_size: 2 }
      ${parents === "" ? "" : `partition_router:${parents}`}`
  const records = (count: number): ReadonlyArray<number> => {
    const text = `
version: 6.0.0
check: { stream_names: [groups] }
streams:${stream("groups")}${stream("threads", routers(1, "*groups"))}${stream("posts", routers(count, "*threads"))}
`
    const api = synthesise(readMapping(text))
    return ["", "?page=2"].map((page) => {
      const list = json(api, `https://api.example.com/groups${page}`)
      return Array.isArray(list) ? list.length : -1
    })
  }
  assert.deepStrictEqual(records(1), [2, 1])
  assert.deepStrictEqual(records(3), [1, 0])
})

it("answers with wrong fields keep the end of their pages", () => {
  const meta = { next: null, more: false, after: "" }
  const changed = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const reply = reshaped(variantOf(`sparse,seed=${seed}`), "GET /items", { meta, data: [meta] })
    const document = "document" in reply ? dict(reply.document) : {}
    assert.deepStrictEqual(document["meta"], meta)
    changed.add(writeJson(document["data"] ?? null))
  }
  assert.isAbove(changed.size, 3, "records are changed all the same")
})

it("a cursor at the end of the list is the last record's", () => {
  const cursor = `      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }
        pagination_strategy: { type: CursorPagination, cursor_value: "{{ response['data']['items'][-1]['key'] }}", stop_condition: "{{ not response.get('more', False) }}" }`
  const api = synthesise(manifest(cursor))
  const items = dict(dict(json(api, `https://${String(api.config["host"])}.example.com/items`))["data"])["items"]
  assert.match(String(dict(Array.isArray(items) ? items.at(-1) : undefined)["key"]), /^pgtok2$/u)
})

it("dates of a pattern's are near the day of the runs", () => {
  const data = manifest("")
  const specification = dict(dict(data["spec"])["connection_specification"])
  Object.assign(dict(specification["properties"]), {
    start_date: { type: "string", pattern: "^[0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}$" }
  })
  specification["required"] = ["host", "start_date"]
  assert.strictEqual(synthesise(data).config["start_date"], "19/02/2024 00:00")
})

it("pages come to an end where an answer is one record, and where expressions look at a list and into it", () => {
  const walk = (cursor: string, path: string): string => {
    const paging = `      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: after }
        pagination_strategy: { type: CursorPagination, page_size: 10, cursor_value: "${cursor}", stop_condition: "{{ not response.get('more', {}) }}" }`
    const data = readMapping(
      writeJson(manifest(paging)).replace('"field_path":["data","items"]', `"field_path":${path}`)
    )
    const api = synthesise(data)
    const last = ask(api, `https://${String(api.config["host"])}.example.com/items?after=pgtok3`)
    assert.notOk(dict(parseJson(last.body.toString("utf8")))["more"])
    return ask(api, `https://${String(api.config["host"])}.example.com/items`).body.toString("utf8")
  }
  assert.include(walk("{{ last_record.key }}", "[]"), '"key":"pgtok2"')
  assert.include(
    walk("{{ response.get('data', [])[-1].get('key') if response.get('data') else None }}", '["data"]'),
    '"key":"pgtok2"'
  )
})
