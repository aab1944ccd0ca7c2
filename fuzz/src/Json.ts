/** Trees of JSON as cases hold them. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }

export type JsonObject = { readonly [name: string]: Json }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const isList = (value: unknown): value is ReadonlyArray<Json> => Array.isArray(value)

export const objectOr = (value: Json | undefined): JsonObject => (isObject(value) ? value : {})

export type Path = ReadonlyArray<string | number>

/** Every place of a tree, its root first. */
export const places = (root: Json): ReadonlyArray<Path> => {
  const found: Array<Path> = []
  const walk = (value: Json, path: Path): void => {
    found.push(path)
    if (isList(value)) value.forEach((item, index) => walk(item, [...path, index]))
    else if (isObject(value)) for (const [name, item] of Object.entries(value)) walk(item, [...path, name])
  }
  walk(root, [])
  return found
}

export const valueAt = (root: Json, path: Path): Json | undefined => {
  let value: Json | undefined = root
  for (const step of path) {
    if (isList(value) && typeof step === "number") value = value[step]
    else if (isObject(value) && Object.hasOwn(value, step)) value = value[step]
    else return undefined
  }
  return value
}

/** The tree with another value at a place; `undefined` takes the place out. */
export const withValue = (root: Json, path: Path, value: Json | undefined): Json => {
  const [step, ...rest] = path
  if (step === undefined) return value ?? null
  if (isList(root)) {
    return root.flatMap((item, index) => {
      if (index !== step) return [item]
      return rest.length === 0 && value === undefined ? [] : [withValue(item, rest, value)]
    })
  }
  if (!isObject(root)) return root
  const entries = Object.entries(root).flatMap(([name, item]): Array<readonly [string, Json]> => {
    if (name !== String(step)) return [[name, item]]
    return rest.length === 0 && value === undefined ? [] : [[name, withValue(item, rest, value)]]
  })
  if (!Object.hasOwn(root, step) && value !== undefined) entries.push([String(step), withValue({}, rest, value)])
  return Object.fromEntries(entries)
}
