/** A config and an API for a manifest that comes alone: what its spec asks for, and answers that its selectors find records in. */
import { isPlainDict, type PlainDict, type Value } from "../../src/index.ts"
import { usedComponents } from "../../src/manifest/support.ts"
import { manifestOf } from "../../src/manifest/Manifest.ts"
import type { Route } from "./api.ts"

const own = (value: Value | undefined, name: string): Value | undefined =>
  value !== undefined && value !== null && isPlainDict(value) && Object.hasOwn(value, name) ? value[name] : undefined

const textFor = (schema: PlainDict, name: string): Value => {
  const examples = own(schema, "examples")
  if (Array.isArray(examples) && examples[0] !== undefined) return examples[0]
  const pattern = String(own(schema, "pattern") ?? "")
  const format = String(own(schema, "format") ?? "")
  if (format === "date" || pattern === "^[0-9]{4}-[0-9]{2}-[0-9]{2}$") return "2024-02-01"
  if (format === "date-time" || pattern.includes("T[0-9]") || pattern.includes("T\\d")) return "2024-02-01T00:00:00Z"
  if (/date/.test(name)) return "2024-02-01T00:00:00Z"
  return "text"
}

/** A value that fits a schema of the spec. */
const valueFor = (schema: PlainDict, name: string): Value => {
  for (const word of ["const", "default"]) {
    const given = own(schema, word)
    if (given !== undefined) return given
  }
  const values = own(schema, "enum")
  if (Array.isArray(values)) return values[0] ?? null
  const branches = own(schema, "oneOf") ?? own(schema, "anyOf")
  const [branch] = Array.isArray(branches) ? branches : []
  if (branch !== undefined && branch !== null && isPlainDict(branch))
    return valueFor({ ...branch, type: own(branch, "type") ?? "object" }, name)
  const given = own(schema, "type")
  const types = Array.isArray(given) ? given : [given]
  const type = types.find((one) => one !== "null")
  switch (type) {
    case "integer":
    case "number":
      return Number(own(schema, "minimum") ?? 1)
    case "boolean":
      return false
    case "array": {
      const items = own(schema, "items")
      return items !== undefined && items !== null && isPlainDict(items) ? [valueFor(items, name)] : ["text"]
    }
    case "object":
      return objectFor(schema)
    default:
      return textFor(schema, name)
  }
}

const objectFor = (schema: PlainDict): PlainDict => {
  const properties = own(schema, "properties")
  if (properties === undefined || properties === null || !isPlainDict(properties)) return {}
  const required = own(schema, "required")
  const needed = new Set(Array.isArray(required) ? required.map(String) : [])
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, inner]): ReadonlyArray<readonly [string, Value]> => {
      if (inner === null || !isPlainDict(inner)) return []
      const isNeeded = needed.has(name) || own(inner, "const") !== undefined || /start_?date/.test(name)
      return isNeeded ? [[name, valueFor(inner, name)]] : []
    })
  )
}

const put = (body: PlainDict, path: ReadonlyArray<string>, value: Value): void => {
  const [head, ...rest] = path
  if (head === undefined) return
  if (rest.length === 0) {
    body[head] ??= value
    return
  }
  const inner = body[head]
  if (inner !== undefined && inner !== null && isPlainDict(inner)) put(inner, rest, value)
  else if (inner === undefined) {
    const made: PlainDict = {}
    body[head] = made
    put(made, rest, value)
  }
}

/** Times that a cursor can read, in its format. */
const timesFor = (format: string): readonly [Value, Value] => {
  if (format === "%s") return [1_707_000_000, 1_708_000_000]
  if (format === "%ms") return [1_707_000_000_000, 1_708_000_000_000]
  const write = (day: string) =>
    format
      .replaceAll("%Y", "2024")
      .replaceAll("%m", "02")
      .replaceAll("%d", day)
      .replaceAll("%H", "10")
      .replaceAll("%M", "20")
      .replaceAll("%S", "30")
      .replaceAll("%f", "123000")
      .replaceAll("%_ms", "123")
      .replaceAll("%z", "+0000")
      .replaceAll("%Z", "UTC")
  return [write("10"), write("20")]
}

/** Two records that have every field the manifest names. */
const recordsFor = (manifest: PlainDict): ReadonlyArray<PlainDict> => {
  const records: ReadonlyArray<PlainDict> = [
    { id: 1, name: "first", amount: 1.5 },
    { id: 2, name: "second", amount: 2 }
  ]
  for (const { data, type } of usedComponents(manifest)) {
    if (type === "DatetimeBasedCursor") {
      const field = String(own(data, "cursor_field") ?? "")
      const formats = own(data, "cursor_datetime_formats")
      const format = Array.isArray(formats) ? String(formats[0]) : String(own(data, "datetime_format") ?? "")
      const times = timesFor(format)
      records.forEach((record, index) => put(record, [field], times[index] ?? null))
    }
    if (type === "ParentStreamConfig") {
      const key = String(own(data, "parent_key") ?? "id")
      records.forEach((record, index) => put(record, key.split("/"), `key-${index + 1}`))
    }
  }
  return records
}

/** Makes a config, and an API that answers everything with the same records at every place that is looked at. */
export const madeUp = (data: PlainDict): { readonly config: PlainDict; readonly routes: ReadonlyArray<Route> } => {
  const expanded = manifestOf(data).data
  const specification = own(own(expanded, "spec"), "connection_specification")
  const config =
    specification !== undefined && specification !== null && isPlainDict(specification) ? objectFor(specification) : {}
  const records = recordsFor(expanded)
  const body: PlainDict = {
    access_token: "made-up-token",
    expires_in: 3600
  }
  let isList = false
  for (const { data: component, type } of usedComponents(expanded)) {
    if (type !== "DpathExtractor") continue
    const path = own(component, "field_path")
    if (!Array.isArray(path)) continue
    const names = path.map(String).filter((name) => name !== "*")
    if (names.length === 0) isList = true
    else put(body, names, [...records])
  }
  const json: Value = isList && Object.keys(body).length <= 2 ? [...records] : body
  return {
    config,
    routes: [
      { path: "*", method: "POST", body: "grant_type", json: body },
      { path: "*", json }
    ]
  }
}
