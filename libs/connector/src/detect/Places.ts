import { LosslessJson } from "@tributary/codec"

export type Members = { readonly [name: string]: LosslessJson.Json }

export const isMembers = (value: LosslessJson.Json | undefined): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

export const isList = (value: LosslessJson.Json | undefined): value is ReadonlyArray<LosslessJson.Json> =>
  Array.isArray(value)

/** A value of an answer and the keys that lead to it. */
export interface Placed {
  readonly path: ReadonlyArray<string>
  readonly value: LosslessJson.Json
}

/** Keys as a selector, `$.meta['@next']`. */
export const selectorOf = (path: ReadonlyArray<string>): string =>
  `$${path.map((key) => (/^[A-Za-z_][\w-]*$/u.test(key) ? `.${key}` : `['${key}']`)).join("")}`

const deepest = 5
const most = 2_000

/**
 * The values of an answer's envelope, the outer ones first: of lists only that they are there, not what is in them, as those are
 * records rather than something about them.
 */
export const placesOf = (document: LosslessJson.Json): ReadonlyArray<Placed> => {
  const found: Array<Placed> = []
  let level: ReadonlyArray<Placed> = [{ path: [], value: document }]
  for (let depth = 0; depth <= deepest && level.length > 0; depth++) {
    const below: Array<Placed> = []
    for (const { path, value } of level) {
      if (!isMembers(value)) continue
      for (const [key, member] of Object.entries(value)) {
        // No selector leads through such a key.
        if (key === "" || key.includes("'")) continue
        if (found.length >= most) return found
        const placed = { path: [...path, key], value: member }
        found.push(placed)
        below.push(placed)
      }
    }
    level = below
  }
  return found
}

/** A name without what only styles it: `next_page-Token` is `nextpagetoken`. */
export const plain = (name: string): string => name.replaceAll(/[^a-z0-9]/giu, "").toLowerCase()
