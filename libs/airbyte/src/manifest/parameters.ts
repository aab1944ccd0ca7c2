import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { truthy } from "../expression/Compare.ts"
import { customTypes, defaultTypes } from "./defaultTypes.ts"

const parametersKey = "$parameters"

const typeOf = (component: PlainDict, field: string): Value | undefined => {
  if (Object.hasOwn(component, "type")) return component["type"]
  return Object.hasOwn(component, "class_name") ? customTypes[field] : defaultTypes[field]
}

/** A JSON schema, whose own words must stay as they are. */
const isJsonSchema = (type: Value | undefined): boolean =>
  type === "object" || Array.isArray(type) || (type !== undefined && isPlainDict(type))

const own = (component: PlainDict, key: string): Value | undefined =>
  Object.hasOwn(component, key) ? component[key] : undefined

const parametersOf = (component: PlainDict): PlainDict => {
  const given = own(component, parametersKey)
  return given !== undefined && isPlainDict(given) ? given : {}
}

const without = (parameters: PlainDict, name: string): PlainDict => {
  if (!Object.hasOwn(parameters, name)) return parameters
  const { [name]: _, ...rest } = parameters
  return rest
}

/**
 * The component with `$parameters` handed down to every component in it, as values of fields that it leaves empty, and with
 * the type of components that do not say theirs. The CDK's `ManifestComponentTransformer`.
 *
 * `field` says where it stands (`DeclarativeSource.streams`). With `parentWins` the parameters from above go before its own.
 */
export const propagate = (
  field: string,
  component: PlainDict,
  parent: PlainDict = {},
  parentWins = false
): PlainDict => {
  const result: PlainDict = { ...component }
  const type = typeOf(result, field)
  if (type !== undefined) result["type"] = type
  const given = parametersOf(result)
  delete result[parametersKey]
  const parameters: PlainDict = parentWins ? { ...given, ...parent } : { ...parent, ...given }
  if (isJsonSchema(type)) return result
  if (type === undefined) {
    const entries = Object.entries(result)
    for (const [name, value] of entries) {
      if (isPlainDict(value) && truthy(own(value, "type") ?? null)) {
        result[name] = propagate(field, value, parameters, parentWins)
      }
    }
    return result
  }
  for (const [name, value] of Object.entries(parameters)) {
    const current = own(result, name)
    result[name] = current !== undefined && truthy(current) ? current : value
  }
  for (const [name, value] of Object.entries(result)) {
    const inner = `${String(type)}.${name}`
    // A field's own value is not a parameter of what stands in it.
    if (isPlainDict(value)) result[name] = propagate(inner, value, without(parameters, name), parentWins)
    else if (Array.isArray(value)) {
      result[name] = value.map((item) =>
        isPlainDict(item) ? propagate(inner, item, without(parameters, name), parentWins) : item
      )
    }
  }
  if (Object.keys(parameters).length > 0) result[parametersKey] = parameters
  return result
}
