import { Predicate, Schema, type SchemaAST } from "effect"
import { Connector } from "./ConnectorFile.ts"
import { expectedOf, type Setting, shapeOf, takesNames } from "./Setting.ts"

/** A JSON Schema, as it is written to a file. */
export interface EditorSchema {
  readonly [keyword: string]: unknown
}

const leafSchema = (ast: SchemaAST.AST): EditorSchema => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(Schema.make<Schema.Top>(ast))
  const target = typeof schema.$ref === "string" ? definitions[schema.$ref.slice("#/$defs/".length)] : schema
  return withoutTitles(target ?? schema)
}

/** Names of types are for the reference page; in an editor they would stand in the way of the description. */
const withoutTitles = (schema: object): EditorSchema =>
  Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => !["title", "description", "default", "examples"].includes(keyword))
      .map(([keyword, value]) => [
        keyword,
        keyword === "allOf" && Array.isArray(value)
          ? value.map((part) => (Predicate.isObject(part) ? withoutTitles(part) : part))
          : value
      ])
  )

const checksOfList = (ast: SchemaAST.Arrays): EditorSchema => {
  const { minItems, uniqueItems } = leafSchema(ast)
  return { ...(minItems === undefined ? {} : { minItems }), ...(uniqueItems === undefined ? {} : { uniqueItems }) }
}

const valueSchema = (ast: SchemaAST.AST): EditorSchema => {
  const shape = shapeOf(ast)
  switch (shape._tag) {
    case "Struct": {
      const required = shape.settings.filter(({ isRequired }) => isRequired).map(({ name }) => name)
      return {
        type: "object",
        properties: Object.fromEntries(shape.settings.map((setting) => [setting.name, settingSchema(setting)])),
        ...(required.length === 0 ? {} : { required }),
        additionalProperties: false
      }
    }
    case "Map": {
      const names = leafSchema(shape.key)
      const members = {
        type: "object",
        ...(names["pattern"] === undefined ? {} : { propertyNames: { pattern: names["pattern"] } }),
        additionalProperties: valueSchema(shape.value)
      }
      return takesNames(shape.ast) ? { anyOf: [members, { type: "array", items: names, uniqueItems: true }] } : members
    }
    case "List":
      return { type: "array", items: valueSchema(shape.item), ...checksOfList(shape.ast) }
    case "Choice":
      return { enum: shape.values }
    case "OneOf":
      return { anyOf: shape.members.map(valueSchema) }
    case "Leaf":
      return leafSchema(shape.ast)
    case "Anything":
      return { type: "object" }
  }
}

const settingSchema = (setting: Setting): EditorSchema => ({
  description: setting.description,
  ...(["Struct", "OneOf"].includes(shapeOf(setting.ast)._tag)
    ? {}
    : { markdownDescription: `${setting.description}\n\nExpected: ${expectedOf(setting.ast)}.` }),
  ...valueSchema(setting.ast),
  ...(setting.fallback === undefined ? {} : { default: setting.fallback }),
  ...(setting.example === undefined ? {} : { examples: [setting.example] })
})

/** The JSON Schema of connector files, draft 7: the draft that editors' YAML servers know best. */
export const connectorEditorSchema = (): EditorSchema => ({
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "Tributary connector",
  description: "One registered API: its authorization, its streams, and where their records are loaded.",
  ...valueSchema(Connector.ast)
})
