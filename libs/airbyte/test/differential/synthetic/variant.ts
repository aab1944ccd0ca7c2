/** Other configs and other answers for the same manifest. */
import { isPlainDict, type Value } from "../../../src/index.ts"
import { hashOf } from "./values.ts"

/** What of a made-up config and API is other than usual. */
export interface Variant {
  /** Gives all settings of the spec, the optional ones, too. */
  readonly isFull: boolean
  /** Which of several choices of the spec is taken: the first is 0. */
  readonly branch: number
  /** What is done to answers: fields that are missing, empty or of other types, or whole bodies that are none. */
  readonly shape: "usual" | "sparse" | "odd"
  /** Other values of what is left out and changed. */
  readonly seed: number
}

export const usual: Variant = { isFull: false, branch: 0, shape: "usual", seed: 0 }

/** A variant by its words, such as `full,branch=1,sparse,seed=2`. */
export const variantOf = (text: string): Variant => {
  const words = text.split(",").map((word) => word.trim())
  const number = (name: string) =>
    Number(words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0)
  return {
    isFull: words.includes("full"),
    branch: number("branch"),
    shape: words.includes("sparse") ? "sparse" : words.includes("odd") ? "odd" : "usual",
    seed: number("seed")
  }
}

/** What leads from page to page stays, else nothing would be walked through. */
const isToken = (value: Value): boolean =>
  (typeof value === "string" && /pgtok|synthetic|900000\d/.test(value)) ||
  (typeof value === "number" && value > 9_000_000 && value < 9_000_099)

/** What says beside the records that there is no other page stays, too, else the walk would have no end. */
const isEnd = (value: Value, path: string): boolean =>
  !path.includes("[") && (value === null || value === false || value === "")

const otherText = (text: string, hash: number): Value =>
  [null, "", `${text} ü/?&=%+'"{}`, 17, ["a"], "true", `${text}\u2028😀`, "12.50", 0][hash % 9] ?? null

const sparse = (value: Value, path: string): Value => {
  const hash = hashOf(path)
  if (Array.isArray(value)) {
    if (hash % 41 === 0) return []
    return value.map((item, index) =>
      hashOf(`${path}${index}`) % 53 === 0 && !isPlainDict(item) ? null : sparse(item, `${path}[${index}]`)
    )
  }
  if (value !== null && isPlainDict(value)) {
    // An empty record ends the CDK's whole read without a word, which is no way to go on.
    if (hash % 47 === 0 && path.includes("].")) return {}
    const entries = Object.entries(value).flatMap(([name, item]): ReadonlyArray<readonly [string, Value]> => {
      const inner = `${path}.${name}`
      if (!isToken(item) && hashOf(`${inner}!`) % 19 === 0 && path.includes("[")) return []
      return [[name, sparse(item, inner)]]
    })
    return entries.length === 0 && !path.includes("].") ? value : Object.fromEntries(entries)
  }
  if (isToken(value) || isEnd(value, path) || hash % 13 !== 0) return value
  if (typeof value === "string") return otherText(value, Math.floor(hash / 13))
  if (typeof value === "number")
    return [null, String(value), value + 0.5, -1, 12345678901234567890n, true][Math.floor(hash / 13) % 6] ?? null
  return hash % 2 === 0 ? null : "yes"
}

const oddBodies = ["", "[]", "{}", "null", "<html><body>no</body></html>", "[null]", '"text"', "17", '{"data": null}']

/** An answer of another shape: the same for the same request. */
export const reshaped = (
  variant: Variant,
  key: string,
  document: Value
): { readonly document: Value } | { readonly text: string } => {
  if (variant.shape === "usual") return { document }
  const salt = `${variant.seed} ${key}`
  if (variant.shape === "sparse") return { document: sparse(document, salt) }
  const hash = hashOf(salt)
  return hash % 4 === 0 ? { text: oddBodies[Math.floor(hash / 4) % oddBodies.length] ?? "" } : { document }
}
