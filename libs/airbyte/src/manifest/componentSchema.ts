import components from "./components.json" with { type: "json" }

/** The words of JSON Schema that the components' schema uses. */
export interface ComponentSchema {
  readonly type?: string | ReadonlyArray<string>
  readonly enum?: ReadonlyArray<unknown>
  readonly required?: ReadonlyArray<string>
  readonly properties?: { readonly [name: string]: ComponentSchema }
  readonly items?: ComponentSchema
  readonly anyOf?: ReadonlyArray<ComponentSchema>
  readonly oneOf?: ReadonlyArray<ComponentSchema>
  readonly $ref?: string
  readonly minItems?: number
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly additionalProperties?: boolean | ComponentSchema
}

const definitions: { readonly [name: string]: ComponentSchema } = components.definitions

/** The schema of a component type, or undefined when there is no such type. */
export const componentSchema = (type: string): ComponentSchema | undefined =>
  Object.hasOwn(definitions, type) ? definitions[type] : undefined

/** Every component type that the schema names. */
export const componentTypes: ReadonlyArray<string> = Object.keys(definitions)

const prefix = "#/definitions/"

/** What a schema that is only a reference refers to. */
export const dereference = (schema: ComponentSchema): ComponentSchema =>
  schema.$ref?.startsWith(prefix) === true ? (componentSchema(schema.$ref.slice(prefix.length)) ?? schema) : schema

/** The component types a schema accepts in its `type` field. */
export const typesOf = (schema: ComponentSchema): ReadonlyArray<string> =>
  (dereference(schema).properties?.["type"]?.enum ?? []).filter((name) => typeof name === "string")
