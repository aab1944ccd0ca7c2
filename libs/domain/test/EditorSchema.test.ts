import { assert, describe, it } from "@effect/vitest"
import { Effect, Predicate } from "effect"
import { parse } from "yaml"
import { Connector, connectorEditorSchema, connectorReference } from "../src/index.ts"
import { settingsOf, shapeOf } from "../src/Setting.ts"
import { designFile, wholeFile } from "./files.ts"
import { wireForm } from "./WireForm.ts"

type Json = { readonly [key: string]: unknown }
const isJson = (value: unknown): value is Json => Predicate.isObject(value) && !Array.isArray(value)
const objectAt = (value: unknown): Json => (isJson(value) ? value : {})
const listAt = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isJson,
  array: Array.isArray,
  string: Predicate.isString,
  number: Predicate.isNumber,
  integer: Number.isInteger,
  boolean: Predicate.isBoolean
}

/** As much of JSON Schema draft 7 as the schema uses; a keyword that is not known here is a failure. */
const rules: Readonly<Record<string, (rule: unknown, value: unknown, schema: Json) => boolean>> = {
  $schema: () => true,
  title: () => true,
  description: () => true,
  markdownDescription: () => true,
  default: () => true,
  examples: () => true,
  type: (rule, value) => types[String(rule)]?.(value) ?? false,
  enum: (rule, value) => listAt(rule).includes(value),
  anyOf: (rule, value) => listAt(rule).some((schema) => fits(schema, value)),
  allOf: (rule, value) => listAt(rule).every((schema) => fits(schema, value)),
  properties: (rule, value) =>
    Object.entries(objectAt(value)).every(([key, entry]) => fits(objectAt(rule)[key] ?? {}, entry)),
  required: (rule, value) => listAt(rule).every((key) => Object.hasOwn(objectAt(value), String(key))),
  additionalProperties: (rule, value, schema) =>
    Object.entries(objectAt(value)).every(
      ([key, entry]) => Object.hasOwn(objectAt(schema["properties"]), key) || (rule !== false && fits(rule, entry))
    ),
  propertyNames: (rule, value) => Object.keys(objectAt(value)).every((key) => fits(rule, key)),
  items: (rule, value) => listAt(value).every((item) => fits(rule, item)),
  minItems: (rule, value) => listAt(value).length >= Number(rule),
  uniqueItems: (_, value) => new Set(listAt(value)).size === listAt(value).length,
  pattern: (rule, value) => new RegExp(String(rule), "u").test(String(value)),
  minLength: (rule, value) => String(value).length >= Number(rule),
  minimum: (rule, value) => Number(value) >= Number(rule),
  maximum: (rule, value) => Number(value) <= Number(rule),
  exclusiveMinimum: (rule, value) => Number(value) > Number(rule)
}

const fits = (schema: unknown, value: unknown): boolean =>
  Object.entries(objectAt(schema)).every(([keyword, rule]) => {
    const check = rules[keyword]
    if (check === undefined) throw new Error(`unknown keyword ${keyword}`)
    return check(rule, value, objectAt(schema))
  })

const schema = connectorEditorSchema()

describe("the schema for editors", () => {
  it("accepts the example of the design and a file with every kind of setting", () => {
    assert.isTrue(fits(schema, parse(designFile("${env:SHOP_SECRET}", "\n    salt: ${env:MASK_SALT}"))))
    assert.isTrue(fits(schema, parse(wholeFile)))
  })

  it("refuses what the decoder refuses, as far as a schema can tell", () => {
    for (const [from, to] of [
      ["records: $.data[*]", "recods: $.data[*]"],
      ["records: $.data[*]", "records: data[*]"],
      ["client_secret: ${env:SHOP_SECRET}", "client_secret: hunter2"],
      ["per: 1 minute", "per: 60s"],
      ["mode: upsert", "mode: upset"],
      ["batch_rows: 10000", "batch_rows: 0"],
      ["drop: [internal_note]", "drop: []"],
      ["param: cursor }", "parm: cursor }"],
      ["    path: /items\n", "    path: items\n"],
      ["  orders:", "  Orders:"]
    ] as const) {
      assert.include(wholeFile, from)
      assert.isFalse(fits(schema, parse(wholeFile.replace(from, () => to))), to)
    }
  })

  it.effect.prop(
    "accepts whatever a user could write",
    [wireForm(Connector.ast)],
    ([file]) => Effect.sync(() => assert.isTrue(fits(schema, file))),
    { arbitrary: { runs: 60 } }
  )

  it("describes every setting, with defaults and examples that fit it", () => {
    let settings = 0
    const walk = (node: unknown): void => {
      for (const [name, property] of Object.entries(objectAt(objectAt(node)["properties"]))) {
        settings += 1
        const setting = objectAt(property)
        const description = String(setting["description"] ?? "")
        assert.match(description, /^[A-Za-z].*\.$/u, name)
        if ("default" in setting) assert.isTrue(fits(setting, setting["default"]), `default of ${name}`)
        for (const example of listAt(setting["examples"])) assert.isTrue(fits(setting, example), `example of ${name}`)
      }
      for (const [keyword, part] of Object.entries(objectAt(node))) {
        if (keyword === "properties") Object.values(objectAt(part)).forEach(walk)
        if (keyword === "items" || keyword === "additionalProperties") walk(part)
        if (keyword === "anyOf") listAt(part).forEach(walk)
      }
    }
    walk(schema)
    assert.isAbove(settings, 90)
  })
})

describe("the reference page", () => {
  it("has every setting, and links that lead somewhere", () => {
    const page = connectorReference()
    const shape = shapeOf(Connector.ast)
    if (shape._tag === "Struct") for (const { name } of settingsOf(shape.ast)) assert.include(page, `| \`${name}\` |`)
    const anchors = [...page.matchAll(/^## (.*)$/gmu)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/gu, "")
        .replaceAll(" ", "-")
    )
    const links = [...page.matchAll(/\]\(#([^)]*)\)/gu)].map(([, anchor]) => anchor)
    assert.isAbove(links.length, 20)
    for (const link of links) assert.include(anchors, link)
  })

  it("is the same on every run", () => {
    assert.strictEqual(connectorReference(), connectorReference())
    assert.strictEqual(JSON.stringify(connectorEditorSchema()), JSON.stringify(schema))
  })
})
