import { isList, isObject, type Json, places, valueAt, withValue } from "./Json.ts"

/** Smaller values that may stand for one. */
const smaller = (value: Json): ReadonlyArray<Json | undefined> => {
  if (isList(value) || isObject(value)) return [undefined]
  if (typeof value === "string") {
    const half = Math.floor(value.length / 2)
    return value.length === 0
      ? [undefined]
      : value.length < 3
        ? [undefined, ""]
        : [undefined, value.slice(0, half), value.slice(half), value.slice(0, -1)]
  }
  return typeof value === "number" && value !== 0 ? [undefined, 0] : [undefined]
}

/** Members that a case has to have. */
const kept = new Set([
  "kind",
  "config",
  "repairs",
  "routes",
  "name",
  "manifest",
  "state",
  "template",
  "context",
  "path",
  "answers",
  "status",
  "headers",
  "body",
  "wrap",
  "garbled",
  "framing",
  "breaks",
  "wait",
  "trickle"
])

/**
 * A smaller case that goes wrong in the same way: what can be left out or shortened is, the largest parts first, until nothing more
 * can or the time (milliseconds) is over.
 */
export const shrunk = async (
  given: Json,
  isWrong: (smaller: Json) => Promise<boolean>,
  time: number
): Promise<Json> => {
  const until = performance.now() + time
  let best = given
  for (let isSmaller = true; isSmaller && performance.now() < until;) {
    isSmaller = false
    const candidates = places(best).toSorted((a, b) => a.length - b.length)
    for (const path of candidates) {
      const name = path.at(-1)
      if (path.length === 0 || performance.now() > until) continue
      const tree = best
      const value = valueAt(tree, path)
      if (value === undefined) continue
      for (const other of smaller(value)) {
        const isMember = typeof name === "string" && kept.has(name) && (path.length === 1 || path[0] === "routes")
        if (other === undefined && isMember) continue
        const changed = withValue(tree, path, other)
        if (JSON.stringify(changed).length >= JSON.stringify(tree).length) continue
        if (!(await isWrong(changed))) continue
        best = changed
        isSmaller = true
        break
      }
    }
  }
  return best
}
