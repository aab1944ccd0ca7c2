/** A regular expression as a tree. */
export type Node =
  | { readonly kind: "char"; readonly test: (code: number) => boolean }
  | { readonly kind: "seq"; readonly items: ReadonlyArray<Node> }
  | { readonly kind: "alt"; readonly options: ReadonlyArray<Node> }
  | { readonly kind: "group"; readonly index: number; readonly body: Node }
  | {
      readonly kind: "repeat"
      readonly body: Node
      readonly min: number
      readonly max: number
      readonly mode: "greedy" | "lazy" | "possessive"
    }
  | { readonly kind: "look"; readonly body: Node; readonly behind: number | undefined; readonly negative: boolean }
  | { readonly kind: "atomic"; readonly body: Node }
  | { readonly kind: "back"; readonly index: number; readonly ignoreCase: boolean }
  | { readonly kind: "if"; readonly index: number; readonly yes: Node; readonly no: Node }
  | { readonly kind: "at"; readonly test: (text: ReadonlyArray<number>, at: number) => boolean }

export const wordChar = (code: number): boolean =>
  code < 128
    ? (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122)
    : /[\p{L}\p{N}]/u.test(String.fromCodePoint(code))

export const asciiWord = (code: number): boolean => code < 128 && wordChar(code)

export const digitChar = (code: number): boolean =>
  code < 128 ? code >= 48 && code <= 57 : /\p{Nd}/u.test(String.fromCodePoint(code))

export const spaceChar = (code: number): boolean =>
  (code >= 9 && code <= 13) ||
  (code >= 28 && code <= 32) ||
  code === 0x85 ||
  code === 0xa0 ||
  code === 0x1680 ||
  (code >= 0x2000 && code <= 0x200a) ||
  code === 0x2028 ||
  code === 0x2029 ||
  code === 0x202f ||
  code === 0x205f ||
  code === 0x3000

/** The one-character lower case of a character, by which case is ignored. */
export const fold = (code: number): number => {
  if (code < 128) return code >= 65 && code <= 90 ? code + 32 : code
  const lower = String.fromCodePoint(code).toLowerCase()
  const first = lower.codePointAt(0) ?? code
  return lower.length === String.fromCodePoint(first).length ? first : code
}

/** How many characters a tree matches: needed of what is looked for behind. */
export const widthOf = (node: Node): readonly [min: number, max: number] => {
  switch (node.kind) {
    case "char":
      return [1, 1]
    case "seq":
      return node.items.map(widthOf).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0])
    case "alt": {
      const widths = node.options.map(widthOf)
      return [Math.min(...widths.map(([min]) => min)), Math.max(...widths.map(([, max]) => max))]
    }
    case "group":
    case "atomic":
      return widthOf(node.body)
    case "repeat": {
      const [min, max] = widthOf(node.body)
      return [min * node.min, max === 0 ? 0 : max * node.max]
    }
    case "back":
      return [0, Infinity]
    case "if": {
      const [a, b] = widthOf(node.yes)
      const [c, d] = widthOf(node.no)
      return [Math.min(a, c), Math.max(b, d)]
    }
    default:
      return [0, 0]
  }
}
