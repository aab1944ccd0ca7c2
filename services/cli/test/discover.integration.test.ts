import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { parsed } from "./prepared.ts"
import { endAll, folder, json, removeFolders, startApi, stopApis } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const crm = (url: string) => `connector: crm
http: { base_url: "${url}", retries: 0 }
streams: {}
streams_from:
  # One for each object.
  - list: { path: /objects, records: "$.objects[*]", filter: record.queryable }
    values: { object: api_name }
    name: "{object}"
    stream: { path: "/data/{object}", records: "$.rows[*]", primary_key: id, poll: every 1 hour }
sink:
  clickhouse: { table: "crm.{stream}" }
`

const objects = (...names: ReadonlyArray<string>) =>
  json({ objects: names.map((name) => ({ api_name: name, queryable: !name.startsWith("Internal") })) })

describe("discover", () => {
  it("makes streams of a list of objects, which appear, vanish and come back", async () => {
    const api = await startApi({
      "/objects": objects("Account", "Lead__c", "InternalLog"),
      "/data/Account": json({ rows: [{ id: 1, name: "a" }] }),
      "/data/Lead__c": json({ rows: [{ id: 7, score: 1.5 }] }),
      "/data/Deal": json({ rows: [] })
    })
    const at = folder({ "crm.yaml": crm(api.url) })
    const file = join(at.connectors, "crm.yaml")
    const none = await at.run(["validate"]).ended
    assert.match(none.out, /warning: streams: found no streams/u)

    const dry = await at.run(["discover", "--pages", "0"]).ended
    assert.strictEqual(dry.code, 0, dry.out + dry.err)
    assert.match(dry.out, /^streams_from\.0: 2 stream\(s\)\n {2}\+ account\n {2}\+ lead__c\nThe file was not changed/u)
    assert.strictEqual(readFileSync(file, "utf8"), crm(api.url))

    const first = await at.run(["discover", "--write"]).ended
    assert.strictEqual(first.code, 0, first.out + first.err)
    assert.match(first.out, /\naccount: 1 record\(s\) on 1 page\(s\), 0 field\(s\) declared, 2 inferred\n/u)
    assert.include(readFileSync(file, "utf8"), "# One for each object.")
    assert.include(readFileSync(file, "utf8"), "    found:\n      - { object: Account }\n      - { object: Lead__c }\n")
    const ran = await at.run(["run", "--once"]).ended
    assert.strictEqual(ran.code, 0, ran.out + ran.err)
    assert.match(ran.out, /^crm\/account +1 /mu)
    assert.match(ran.out, /^crm\/lead__c +1 /mu)

    // One is not listed any more, another is new, and one is told apart from a stream only by its capitals.
    api.on("/objects", objects("Account", "Deal", "ACCOUNT", "${env:HOME}"))
    const second = await at.run(["discover", "--write", "--pages", "0", "--json"]).ended
    assert.deepStrictEqual(parsed(second.out)[0], {
      streamsFrom: 0,
      appeared: ["deal"],
      returned: [],
      vanished: ["lead__c"],
      skipped: [
        '{"object":"ACCOUNT"}: its stream would be a second account',
        '{"object":"${env:HOME}"}: its object is "${env:HOME}", and must be a text without braces and control characters'
      ]
    })
    assert.match(
      readFileSync(file, "utf8"),
      /- \{ gone: 20\d\d-\d\d-\d\d, object: Lead__c \}\n {6}- \{ object: Deal \}/u
    )
    const shown = await at.run(["validate"]).ended
    assert.match(shown.out, /connector crm, 2 stream\(s\)/u)

    api.on("/objects", objects("Account", "Deal", "Lead__c"))
    const third = await at.run(["discover", "--write", "--pages", "0"]).ended
    assert.match(third.out, /\+ lead__c \(is there again, and goes on where it was\)/u)
    assert.notInclude(readFileSync(file, "utf8"), "gone")

    // A list that is empty, or fails, ends no stream.
    const before = readFileSync(file, "utf8")
    api.on("/objects", objects())
    const empty = await at.run(["discover", "--write", "--pages", "0"]).ended
    assert.strictEqual(empty.code, 1)
    assert.match(
      empty.out,
      /^streams_from\.0: the list is empty, though streams were made of it before\. Nothing was changed/u
    )
    api.on("/objects", json({ error: "no" }, 500))
    assert.strictEqual((await at.run(["discover", "--write", "--pages", "0"]).ended).code, 1)
    assert.strictEqual(readFileSync(file, "utf8"), before)
  })

  it("shows the schema of a stream as the file's, as JSON Schema and as a table", async () => {
    const page = (rows: ReadonlyArray<unknown>, next: string | null) => json({ rows, next })
    const api = await startApi({
      "/orders": (request, response, url) =>
        (url.searchParams.get("c") === null
          ? page([{ id: 1, total: "1.50", size: 1, at: "2026-03-01T08:00:00Z" }], "b")
          : page([{ id: 2, total: "2.50", size: 1.5, extra: { a: 1 } }], null))(request, response, url)
    })
    const at = folder({
      "shop.yaml": `connector: shop
http: { base_url: "${api.url}" }
streams:
  orders:
    path: /orders
    records: $.rows[*]
    primary_key: id
    pagination: { cursor: $.next, param: c }
    schema: { total: "decimal(18, 2)" }
sink: { clickhouse: { table: "shop.{stream}" } }
`
    })
    const yaml = await at.run(["discover"]).ended
    assert.strictEqual(yaml.code, 0, yaml.out + yaml.err)
    assert.match(yaml.out, /orders: 2 record\(s\) on 2 page\(s\), 1 field\(s\) declared, 4 inferred/u)
    assert.include(
      yaml.out,
      'schema: { total: "decimal(18, 2)", id: int64, size: float64, at: timestamp?, extra: json? }'
    )
    const table = await at.run(["discover", "--as", "clickhouse"]).ended
    assert.match(table.out, /`total` Decimal\(18, 2\),\n {4}`id` Int64,\n {4}`size` Nullable\(Float64\)/u)
    const narrow = await at.run(["discover", "--pages", "1", "--json"]).ended
    const [first] = parsed(narrow.out)
    assert.deepInclude(first, { stream: "orders", pages: 1, records: 1 })
    assert.deepStrictEqual(first?.["fields"], { total: "decimal(18, 2)", id: "int64", size: "int64", at: "timestamp" })
    const unknown = await at.run(["discover", "--stream", "order"]).ended
    assert.match(unknown.err, /has no stream order; it has orders\. Did you mean orders\?/u)
  })
})
