import { parseDocument, type ScalarTag } from "yaml"
import { float, int as toInt, isPlainDict, type PlainDict, PyFloat, type Value } from "../expression/Value.ts"
import { ManifestError } from "./ManifestError.ts"

const bool: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON|no|No|NO|false|False|FALSE|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|t|on)/i.test(text)
}

/** Digits between colons count in sixties. */
const sixties = (text: string): number => {
  const sign = text.startsWith("-") ? -1 : 1
  return (
    sign *
    text
      .replace(/^[+-]/, "")
      .split(":")
      .reduce((sum, part) => sum * 60 + Number(part), 0)
  )
}

const int: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/,
  resolve: (given) => {
    const text = given.replaceAll("_", "")
    if (text.includes(":")) return sixties(text)
    const sign = text.startsWith("-") ? -1n : 1n
    const digits = text.replace(/^[+-]/, "")
    const isOctal = /^0[0-7]+$/.test(digits)
    return toInt(sign * BigInt(isOctal ? `0o${digits.slice(1)}` : digits))
  }
}

const real: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  test: /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
  resolve: (given) => {
    const text = given.replaceAll("_", "").toLowerCase()
    if (text.endsWith("inf")) return text.startsWith("-") ? -Infinity : Infinity
    if (text === ".nan") return Number.NaN
    return float(text.includes(":") ? sixties(text) : Number(text))
  }
}

/** A time without quotes, as text in the form that Python writes it in; a date alone is that already. */
const time: ScalarTag = {
  tag: "tag:yaml.org,2002:timestamp",
  default: true,
  test: /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?$/,
  resolve: (text) => {
    const [, day = "", clock = "", fraction = "", zone = ""] =
      /^(.{8,10}?)(?:[Tt]|[ \t]+)([\d:]+)(?:\.(\d*))?[ \t]*(.*)$/.exec(text) ?? []
    const two = (part: string) => part.padStart(2, "0")
    const micros = fraction.slice(0, 6).padEnd(6, "0")
    const [hours = "", minutes = "00"] = zone.slice(1).split(":")
    const offset = zone === "" ? "" : zone === "Z" ? "+00:00" : `${zone.slice(0, 1)}${two(hours)}:${minutes}`
    const digits = micros === "000000" ? "" : `.${micros}`
    return `${day.split("-").map(two).join("-")}T${clock.split(":").map(two).join(":")}${digits}${offset}`
  }
}

const ours = new Set([bool, int, real].map(({ tag }) => tag))

const isOther = (tag: unknown): boolean =>
  typeof tag !== "object" ||
  tag === null ||
  !("tag" in tag) ||
  (tag.tag !== "tag:yaml.org,2002:timestamp" && !ours.has(String(tag.tag)))

/** YAML 1.1 as PyYAML's safe loader reads it: `yes` and `on` are booleans, `y` and `1e3` are texts. Dates and times are texts. */
const readAll = (text: string) =>
  parseDocument(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: false,
    customTags: (tags) => [bool, int, real, time, ...tags.filter((tag) => tag !== "timestamp" && isOther(tag))]
  })

/** What a YAML reader gave, as values of expressions: keys are texts, what is no JSON is a text. */
const toValue = (value: unknown): Value => {
  if (value === null || value === undefined) return null
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(toValue)
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, item]): [string, Value] => [String(key), toValue(item)]))
  }
  if (value instanceof PyFloat) return value
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]): [string, Value] => [key, toValue(item)]))
  }
  return null
}

const mostAliases = 10_000

/**
 * Reads YAML.
 *
 * Throws a `ManifestError` that names the line of what is no YAML; its text is not shown, for it may hold secrets.
 */
export const readYaml = (text: string): Value => {
  const document = readAll(text)
  const [error] = document.errors
  if (error !== undefined) {
    const at = error.linePos?.[0]
    const place = at === undefined ? "" : `line ${at.line}, column ${at.col}: `
    throw new ManifestError({
      kind: "unreadable",
      problems: [{ path: "", problem: `${place}this is not YAML (${error.code}). Correct the line.` }]
    })
  }
  return toValue(document.toJS({ maxAliasCount: mostAliases }))
}

/** Reads a YAML mapping: a whole manifest. Throws a `ManifestError`. */
export const readMapping = (text: string): PlainDict => {
  const value = readYaml(text)
  if (isPlainDict(value)) return value
  throw new ManifestError({
    kind: "unreadable",
    problems: [
      { path: "", problem: "found no mapping at the top, expected `type: DeclarativeSource` and its settings." }
    ]
  })
}
