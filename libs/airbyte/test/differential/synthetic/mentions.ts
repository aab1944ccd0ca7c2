/** What expressions look at: `record['a'].b`, `response.get('next')`, `headers['Link']`. */

/** A place that an expression looks at. */
export interface Mention {
  readonly root: string
  /** Names of mappings, and places of lists. */
  readonly path: ReadonlyArray<string | number>
  /** The method that is called on it, which says what it has to be: `split`, `items`. */
  readonly method: string | undefined
}

/** Past the bracket that closes the one before `at`. */
const closing = (text: string, at: number): number => {
  let depth = 1
  let quote = ""
  for (let index = at; index < text.length; index++) {
    const char = text[index] ?? ""
    if (quote !== "") {
      if (char === quote) quote = ""
    } else if (char === "'" || char === '"') quote = char
    else if ("([{".includes(char)) depth++
    else if (")]}".includes(char) && --depth === 0) return index + 1
  }
  return text.length
}

const accessor =
  /\s*(?:\.\s*get\(\s*(?:'([^']*)'|"([^"]*)")|\[\s*(?:'([^']*)'|"([^"]*)"|(-?\d+))\s*\]|\.\s*([A-Za-z_]\w*)(\s*\()?)/y

/** Every place under one of the roots that the template looks at. */
export const mentionsIn = (template: string, roots: ReadonlySet<string>): ReadonlyArray<Mention> => {
  const found: Array<Mention> = []
  for (const match of template.matchAll(/(?<![\w.'"])[a-z_]+(?![\w'"])/g)) {
    const [root] = match
    if (!roots.has(root)) continue
    const path: Array<string | number> = []
    let method: string | undefined
    let at = match.index + root.length
    for (;;) {
      accessor.lastIndex = at
      const next = accessor.exec(template)
      if (next === null) break
      const [whole, got, gotToo, key, keyToo, place, name, call] = next
      at += whole.length
      if (got !== undefined || gotToo !== undefined) {
        path.push(got ?? gotToo ?? "")
        at = closing(template, at)
      } else if (key !== undefined || keyToo !== undefined) path.push(key ?? keyToo ?? "")
      else if (place !== undefined) path.push(Number(place))
      else if (call !== undefined) {
        method = name
        break
      } else if (name !== undefined) path.push(name)
    }
    found.push({ root, path, method })
  }
  return found
}

/** Every text in a value, however deep. */
export const textsIn = function* (value: unknown): Generator<string> {
  if (typeof value === "string") yield value
  else if (Array.isArray(value)) for (const item of value) yield* textsIn(item)
  else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) yield* textsIn(item)
}
