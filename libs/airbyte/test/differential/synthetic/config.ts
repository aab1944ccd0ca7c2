/** A config that a manifest's spec accepts. */
import { generateKeyPairSync } from "node:crypto"
import { isPlainDict, type PlainDict, type Value, writeJson } from "../../../src/index.ts"
import { textFitting } from "./pattern.ts"

export const own = (value: Value | undefined, name: string): Value | undefined =>
  value !== undefined && value !== null && isPlainDict(value) && Object.hasOwn(value, name) ? value[name] : undefined

export const dictIn = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

export const listIn = (value: Value | undefined): ReadonlyArray<Value> => (Array.isArray(value) ? value : [])

const curves: { readonly [name: string]: string } = {
  p256: "prime256v1",
  p384: "secp384r1",
  p521: "secp521r1",
  k256: "secp256k1"
}

const pem = { type: "pkcs8", format: "pem" } as const

const makeKey = (kind: string): string => {
  const curve = curves[kind]
  const { privateKey } =
    curve !== undefined
      ? generateKeyPairSync("ec", { namedCurve: curve })
      : kind === "ed"
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("rsa", { modulusLength: 2048 })
  const lock = kind === "locked" ? { cipher: "aes-256-cbc", passphrase: "open sesame" } : {}
  return privateKey.export({ ...pem, ...lock }).toString()
}

const keys = new Map<string, string>()
/** A key for signatures, of the kind that the setting's name begins with; another one each time the process starts. */
const privateKey = (name = ""): string => {
  const kind = name.split("_", 1)[0] ?? ""
  const key = keys.get(kind) ?? makeKey(kind)
  keys.set(kind, key)
  return key
}

const serviceAccount = (): string =>
  writeJson({
    type: "service_account",
    project_id: "project",
    private_key_id: "key",
    private_key: privateKey(),
    client_email: "robot@project.example.com",
    client_id: "1",
    token_uri: "https://oauth2.example.com/token"
  })

const isDate = (schema: PlainDict, name: string): boolean =>
  /date|_at$|time_?stamp|start_?time|end_?time|since|until|from_|^from$|^after$/i.test(name) ||
  String(own(schema, "format") ?? "").startsWith("date")

/** Days near the one on which runs stand, as patterns want them. */
const nearDates: ReadonlyArray<string> = [
  "2024-02-19T00:00:00Z",
  "2024-02-19",
  "2024-02-19T00:00:00",
  "2024-02-19T00:00:00.000Z",
  "2024-02-19T00:00",
  "2024-02-19 00:00:00",
  "2024-02-19 00:00",
  "19/02/2024 00:00",
  "19/02/2024",
  "02/19/2024",
  "19-02-2024",
  "20240219",
  "2024-02",
  "2024"
]

const textFor = (schema: PlainDict, name: string): Value => {
  const pattern = own(schema, "pattern")
  const examples = listIn(own(schema, "examples")).filter((item) => typeof item === "string")
  if (/end|until|^to_?|_to$/i.test(name) && isDate(schema, name)) {
    const fitting =
      typeof pattern === "string" ? textFitting(pattern, ["2024-02-28T00:00:00Z", "2024-02-28"]) : undefined
    if (fitting !== undefined || typeof pattern === "string") return fitting ?? "2024-02-28"
    return own(schema, "format") === "date" ? "2024-02-28" : "2024-02-28T00:00:00Z"
  }
  // Dates of the spec's examples may lie years back, which makes many windows.
  if (isDate(schema, name)) {
    if (typeof pattern === "string") {
      const fitting = textFitting(pattern, nearDates)
      if (fitting !== undefined) return fitting
    }
    const [example] = examples
    if (typeof example === "string" && /^\d{4}-\d\d-\d\d/.test(example)) {
      return `${"2024-02-19"}${example.slice(10)}`
    }
    return own(schema, "format") === "date" ? "2024-02-19" : "2024-02-19T00:00:00Z"
  }
  if (/service_account|credentials_json|key_json|json_key/i.test(name)) return serviceAccount()
  if (/private_key/i.test(name)) return privateKey(name)
  if (typeof pattern === "string") {
    const fitting = textFitting(pattern, examples.map(String))
    if (fitting !== undefined) return fitting
  }
  const [example] = examples
  if (typeof example === "string" && example.length < 200) return example
  if (/url|endpoint|host_?name|base/i.test(name)) return "https://host.example.com"
  if (/domain|host|subdomain|site|region/i.test(name)) return "host"
  if (/email/i.test(name)) return "a@example.com"
  if (/_ids?$|^ids?$/i.test(name)) return "12"
  return `${name.slice(0, 20) || "text"}-1`
}

const numberFor = (schema: PlainDict, name: string): Value => {
  const least = own(schema, "minimum")
  const most = own(schema, "maximum")
  const made = isDate(schema, name) ? 1_708_300_800 : 2
  const low = typeof least === "number" ? Math.max(least, made) : made
  return typeof most === "number" ? Math.min(most, low) : low
}

const typeOf = (schema: PlainDict): Value | undefined => {
  const given = own(schema, "type")
  const type = listIn(given).find((one) => one !== "null")
  return Array.isArray(given) ? type : (given ?? (own(schema, "properties") === undefined ? undefined : "object"))
}

/** What of a config is wished for. */
export interface Wishes {
  /** Whether an optional setting is given. */
  readonly wanted: (name: string) => boolean
  /** Which of several choices is taken: the first is 0. */
  readonly branch: number
}

/** A value that fits a schema of the spec. */
export const valueFor = (schema: PlainDict, name: string, wishes: Wishes): Value => {
  const fixed = own(schema, "const")
  if (fixed !== undefined) return fixed
  const values = listIn(own(schema, "enum"))
  const given = own(schema, "default")
  if (wishes.branch > 0 && values.length > 0) return values[wishes.branch % values.length] ?? null
  if (given !== undefined && given !== null && !isDate(schema, name)) return given
  if (values.length > 0) return values[0] ?? null
  const branches = listIn(own(schema, "oneOf") ?? own(schema, "anyOf"))
  const branch = branches[wishes.branch % Math.max(1, branches.length)]
  if (branch !== undefined) {
    const { anyOf: _, oneOf: __, ...rest } = schema
    const inner = dictIn(branch)
    const properties = { ...dictIn(own(rest, "properties")), ...dictIn(own(inner, "properties")) }
    const merged: PlainDict = { type: typeOf(rest) ?? "object", ...inner }
    if (Object.keys(properties).length > 0) merged["properties"] = properties
    return valueFor(merged, name, wishes)
  }
  switch (typeOf(schema)) {
    case "integer":
    case "number":
      return numberFor(schema, name)
    case "boolean":
      return wishes.branch % 2 === 1
    case "array": {
      const items = dictIn(own(schema, "items"))
      const least = Number(own(schema, "minItems") ?? 1)
      return Array.from({ length: Math.max(1, least) }, () => valueFor(items, name, wishes))
    }
    case "object":
      return objectFor(schema, wishes)
    default:
      return textFor(schema, name)
  }
}

/** What a spec's object needs, and what of the rest has a default, is a date or is wanted. */
export const objectFor = (schema: PlainDict, wishes: Wishes): PlainDict => {
  const needed = new Set(listIn(own(schema, "required")).map(String))
  return Object.fromEntries(
    Object.entries(dictIn(own(schema, "properties"))).flatMap(
      ([name, inner]): ReadonlyArray<readonly [string, Value]> => {
        const property = dictIn(inner)
        const isNeeded =
          needed.has(name) ||
          own(property, "const") !== undefined ||
          (own(property, "default") ?? null) !== null ||
          /start_?date|start_?time/.test(name) ||
          wishes.wanted(name)
        return isNeeded ? [[name, valueFor(property, name, wishes)]] : []
      }
    )
  )
}
