import { type Connector, formatPath, type SettingPath } from "@tributary/domain"

/** The references that a connector's settings hold, each with the settings that it stands in. */
export const referencesOf = (connector: Connector): ReadonlyMap<string, ReadonlyArray<string>> => {
  const references = new Map<string, ReadonlyArray<string>>()
  const collect = (value: unknown, path: SettingPath): void => {
    if (typeof value === "string") {
      for (const [reference] of value.matchAll(/\$\{[^}]*\}/gu)) {
        references.set(reference, [...(references.get(reference) ?? []), formatPath(path)])
      }
    } else if (typeof value === "object" && value !== null) {
      const parts = Array.isArray(value) ? value.entries() : Object.entries(value)
      for (const [key, inner] of parts) collect(inner, [...path, key])
    }
  }
  collect(connector, [])
  return references
}
