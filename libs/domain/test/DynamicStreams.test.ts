import { Result } from "effect"
import { assert, describe, it } from "vitest"
import { parseConnector, withFoundObjects } from "@tributary/domain"

const file = (found: string, name = "{object}") => `connector: crm
http: { base_url: https://crm.example }
streams:
  users: { path: /users }
streams_from:
  # one for each object of the CRM
  - list: { path: /objects, records: "$.objects[*]" }
    values: { object: api_name, key: key_field }
    name: "${name}"
    stream:
      path: /objects/{object}/records
      query: { of: "{object}", since: "{since}" }
      body: { json: { object: "{object}", nested: [{ key: "{key}" }] } }
      add: { object: "{object}" }
      primary_key: "{key}"
    found:
${found}
`
const parsed = (text: string) => {
  const found = parseConnector(text, "crm.yaml")
  if (Result.isFailure(found))
    throw new Error(found.failure.map((one) => `${one.path}: ${one.found}, ${one.expected}`).join("\n"))
  return found.success
}
const problems = (text: string) => {
  const found = parseConnector(text, "crm.yaml")
  return Result.isFailure(found) ? found.failure : []
}

describe("streams from a list of objects", () => {
  it("are one for each, with its values in their settings", () => {
    const { connector } = parsed(
      file('      - { object: "Sales Orders", key: id }\n      - { object: Lead__c, key: Id }')
    )
    assert.deepStrictEqual(Object.keys(connector.streams), ["users", "sales_orders", "lead__c"])
    const stream = Object.entries(connector.streams).find(([name]) => name === "sales_orders")?.[1]
    assert.strictEqual(stream?.path, "/objects/Sales%20Orders/records")
    assert.deepStrictEqual(stream?.query, { of: "Sales Orders", since: "{since}" })
    assert.deepStrictEqual(stream?.body, { json: { object: "Sales Orders", nested: [{ key: "id" }] } })
    assert.deepStrictEqual(stream?.add, { object: "Sales Orders" })
    assert.strictEqual(stream?.primary_key, "id")
  })

  it("are not read any more when they are gone", () => {
    const { connector } = parsed(
      file("      - { gone: 2026-11-21, object: deals, key: id }\n      - { object: leads, key: id }")
    )
    assert.deepStrictEqual(Object.keys(connector.streams), ["users", "leads"])
  })

  it("may not have the name of another, none, or values that would mean something else", () => {
    for (const [found, what] of [
      ["      - { object: users, key: id }", /second stream users/u],
      ['      - { object: "A b", key: id }\n      - { object: "a_b", key: id }', /second stream a_b/u],
      ['      - { object: "日本", key: id }', /without a name/u],
      ['      - { object: "${env:SECRET}", key: id }', /env:SECRET/u],
      ['      - { object: "{since}", key: id }', /cannot be used/u],
      ["      - { object: leads }", /without `key`/u]
    ] as const) {
      const [first] = problems(file(found))
      assert.match(first?.found ?? "none", what)
      assert.strictEqual(first?.path.startsWith("streams_from[0].found"), true, first?.path)
    }
  })

  it("are checked where their template stands", () => {
    const text = file("      - { object: leads, key: id }").replace(
      'primary_key: "{key}"',
      'primary_key: "{key}"\n      partitions: { parent: nowhere, values: { a: id } }'
    )
    const [first] = problems(text)
    assert.match(first?.path ?? "", /^streams_from\[0\]\.stream\.partitions/u)
    assert.strictEqual(text.split("\n")[(first?.line ?? 1) - 1]?.includes("partitions"), true)
  })

  it("are written into the file, which is otherwise as it was", () => {
    const before = file("      - { object: leads, key: id }")
    const after = withFoundObjects(before, 0, [
      { gone: "2026-11-21", object: "leads", key: "id" },
      { object: "new: one", key: "id" }
    ])
    assert.strictEqual(
      after,
      file('      - { gone: 2026-11-21, object: leads, key: id }\n      - { object: "new: one", key: id }')
    )
    // Nothing found before, in a file with more behind it; and in a style that has no lines of its own.
    const without = `${before.slice(0, before.indexOf("    found:"))}sink: { clickhouse: { table: "a.b" } } # kept\n`
    assert.strictEqual(
      withFoundObjects(without, 0, [{ object: "leads", key: "id" }]),
      without.replace("sink:", "    found:\n      - { object: leads, key: id }\nsink:")
    )
    const flow = 'streams_from: [{ name: "{a}" }] # here\n'
    assert.strictEqual(
      withFoundObjects(flow, 0, [{ a: "b" }]),
      'streams_from: [ { name: "{a}", found: [ { a: b } ] } ] # here\n'
    )
    assert.include(withFoundObjects(before, 0, []) ?? "", "    found: []\n")
    assert.isUndefined(withFoundObjects(before, 1, []))
    assert.isUndefined(withFoundObjects("streams: {}", 0, []))
  })

  it("need not be known yet", () => {
    const none = file("")
      .replace("    found:\n\n", "")
      .replace("  users: { path: /users }", "")
      .replace("streams:\n", "streams: {}\n")
    const { connector, warnings } = parsed(none)
    assert.deepStrictEqual(Object.keys(connector.streams), [])
    assert.match(warnings[0]?.advice ?? "", /tributary discover --write/u)
  })
})
