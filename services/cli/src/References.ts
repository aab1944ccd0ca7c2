import type { Connector } from "@tributary/domain"

/** The references that a connector's settings hold, each with the settings that it stands in. */
export const referencesOf = (connector: Connector): ReadonlyMap<string, ReadonlyArray<string>> => {
  const references = new Map<string, ReadonlyArray<string>>()
  const collect = (value: unknown, path: string): void => {
    if (typeof value === "string") {
      for (const [reference] of value.matchAll(/\$\{[^}]*\}/gu)) {
        references.set(reference, [...(references.get(reference) ?? []), path])
      }
    } else if (typeof value === "object" && value !== null) {
      for (const [key, inner] of Object.entries(value)) collect(inner, path === "" ? key : `${path}.${key}`)
    }
  }
  collect(connector, "")
  return references
}
