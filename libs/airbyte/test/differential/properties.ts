/**
 * Which settings of the components' schema the cases use: a table of setting × case, and the settings that none uses.
 *
 *     node libs/airbyte/test/differential/properties.ts [--all]
 */
import { join, basename } from "node:path"
import process from "node:process"
import { isPlainDict, type Value } from "../../src/index.ts"
import {
  componentSchema,
  componentTypes,
  type ComponentSchema,
  dereference
} from "../../src/manifest/componentSchema.ts"
import { manifestOf } from "../../src/manifest/Manifest.ts"
import { filesOf, manifestIn } from "./cases.ts"

/** The ways in which a setting can be given: its enum values, the components that can stand there, or just that it is. */
const waysOf = (schema: ComponentSchema): ReadonlyArray<string> => {
  const real = dereference(schema)
  const inner = real.anyOf ?? real.oneOf
  if (inner !== undefined) return [...new Set(inner.flatMap(waysOf))]
  if (real.enum !== undefined) return real.enum.map(String)
  const type = real.properties?.["type"]?.enum
  if (type !== undefined) return type.map(String)
  if (real.items !== undefined) return waysOf(real.items).map((way) => (way === "" ? "[]" : `[${way}]`))
  return [typeof real.type === "string" ? real.type : ""]
}

const wayOf = (value: Value): ReadonlyArray<string> => {
  if (Array.isArray(value)) return value.length === 0 ? ["[]"] : value.flatMap(wayOf).map((way) => `[${way}]`)
  if (value !== null && isPlainDict(value)) {
    const { type } = value
    return typeof type === "string" ? [type, "object"] : ["object"]
  }
  switch (typeof value) {
    case "string":
      return [value, "string"]
    case "boolean":
      return [String(value), "boolean"]
    case "number":
    case "bigint":
      return [String(value), "integer", "number"]
    default:
      return ["number"]
  }
}

/** Settings of components, `Component.setting=way`, each with the cases that use it. */
export const settingsUsed = (folder: string): ReadonlyMap<string, ReadonlySet<string>> => {
  const table = new Map<string, Set<string>>()
  for (const type of componentTypes) {
    const properties = componentSchema(type)?.properties ?? {}
    for (const [name, schema] of Object.entries(properties)) {
      if (name === "type" || name === "$parameters") continue
      for (const way of waysOf(schema)) table.set(`${type}.${name}=${way}`, new Set())
    }
  }
  for (const file of filesOf(folder)) {
    const used = (() => {
      try {
        return manifestOf(manifestIn(file).manifest).used
      } catch {
        return []
      }
    })()
    for (const { data, type } of used) {
      for (const [name, value] of Object.entries(data)) {
        for (const way of wayOf(value)) table.get(`${type}.${name}=${way}`)?.add(basename(file).replace(/\.ya?ml$/, ""))
      }
    }
  }
  return table
}

if (process.argv[1] === import.meta.filename) {
  const table = settingsUsed(join(import.meta.dirname, "cases"))
  let unused = 0
  for (const [setting, cases] of table) {
    if (cases.size === 0) unused++
    if (cases.size === 0 || process.argv.includes("--all")) {
      process.stdout.write(`${setting}\t${[...cases].map((name) => name.slice(0, 2)).join(" ")}\n`)
    }
  }
  process.stdout.write(`${table.size - unused} of ${table.size} settings are used by a case\n`)
}
