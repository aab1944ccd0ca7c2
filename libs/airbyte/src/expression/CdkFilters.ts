import { createHash, createHmac } from "node:crypto"
import { wantStr } from "./Arguments.ts"
import { decode } from "./ContainerMethods.ts"
import { truthy } from "./Compare.ts"
import { filter, type Filter } from "./FilterTypes.ts"
import { dumps } from "./Json.ts"
import { grow } from "./Meter.ts"
import { PyError, typeError, valueError } from "./PyError.ts"
import { compileRegex } from "./Regex.ts"
import { str } from "./Repr.ts"
import { PyMarkup, PyUndefined, strOf, typeName, type Value } from "./Value.ts"

/** Algorithms by Python's name for them. */
const algorithms: { readonly [name: string]: string } = {
  md5: "md5",
  sha1: "sha1",
  sha224: "sha224",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
  sha3_224: "sha3-224",
  sha3_256: "sha3-256",
  sha3_384: "sha3-384",
  sha3_512: "sha3-512",
  blake2b: "blake2b512",
  blake2s: "blake2s256"
}
/** What else Python's module of hashes has by a name, and which cannot be called this way. */
const uncallable = new Set([
  "shake_128",
  "shake_256",
  "new",
  "pbkdf2_hmac",
  "scrypt",
  "file_digest",
  "algorithms_available",
  "algorithms_guaranteed"
])

const utf8 = (text: string): Buffer => {
  grow(text.length)
  if (!text.isWellFormed()) throw new PyError("UnicodeEncodeError", "'utf-8' codec can't encode a lone surrogate")
  return Buffer.from(text, "utf8")
}

const hash = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [type, salt] = args
  const name = type === undefined ? "md5" : strOf(type)
  if (name === undefined) throw typeError("attribute name must be string")
  const algorithm = Object.hasOwn(algorithms, name) ? algorithms[name] : undefined
  if (algorithm === undefined) {
    if (uncallable.has(name)) throw typeError(`hash type '${name}' needs more than a value`)
    throw new PyError("AttributeError", `No hashing function named ${name}`)
  }
  const digest = createHash(algorithm)
  digest.update(utf8(str(value)))
  if (salt !== undefined && truthy(salt)) digest.update(utf8(str(salt)))
  return digest.digest("hex")
}

const hmac = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [key = null, type] = args
  const name = type === undefined ? "sha256" : type
  if (name !== "sha256") throw valueError(`Hash type '${str(name)}' is not allowed. Allowed types: sha256`)
  return createHmac("sha256", utf8(str(key)))
    .update(utf8(str(value)))
    .digest("hex")
}

const noAttribute = (value: Value, name: string): PyError =>
  value instanceof PyUndefined
    ? value.error()
    : new PyError("AttributeError", `'${typeName(value)}' object has no attribute '${name}'`)

const textBytes = (value: Value): Buffer => {
  const text = strOf(value)
  if (text === undefined) throw noAttribute(value, "encode")
  return utf8(text)
}

/** base64 as Python's decoder takes it: other characters are skipped, the padding must be there. */
const base64decode = (value: Value): Value => {
  const text = textBytes(value)
    .toString("latin1")
    .replace(/[^A-Za-z0-9+/=]/g, "")
  let data = ""
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char !== "=") {
      data += char
      continue
    }
    const rest = data.length % 4
    if (rest >= 2 && (rest === 3 || text[at + 1] === "=")) return decode(Buffer.from(data, "base64"), "utf-8")
  }
  if (data.length % 4 === 1) throw new PyError("binascii.Error", "Invalid base64-encoded string")
  if (data.length % 4 !== 0) throw new PyError("binascii.Error", "Incorrect padding")
  return decode(Buffer.from(data, "base64"), "utf-8")
}

const textFor = (value: Value): string => {
  const text = strOf(value)
  if (text === undefined) throw typeError(`expected string or bytes-like object, got '${typeName(value)}'`)
  return text
}

const pattern = (value: Value): string => {
  const text = strOf(value)
  if (text === undefined) throw typeError("first argument must be string or compiled pattern")
  return text
}

/** The filters the CDK adds. */
export const cdkFilters: ReadonlyArray<readonly [string, Filter]> = [
  filter("hash", ["hash_type", "salt"], 0, hash),
  filter("hmac", ["key", "hash_type"], 1, hmac),
  filter("base64encode", [], 0, (value) => textBytes(value).toString("base64")),
  filter("base64decode", [], 0, base64decode),
  filter("base64binascii_decode", [], 0, (value) => {
    const bytes = textBytes(value)
    if (bytes.some((byte) => byte > 127)) throw new PyError("UnicodeEncodeError", "'ascii' codec can't encode the text")
    return bytes.toString("base64")
  }),
  filter("string", [], 0, (value) =>
    typeof value === "string" || value instanceof PyMarkup
      ? value
      : `"""${dumps(value, { sortKeys: false, indent: null })}"""`
  ),
  filter("regex_search", ["regex"], 1, (value, [regex = null]) => {
    const compiled = compileRegex(pattern(regex))
    const found = compiled.search(textFor(value))
    if (found === undefined || compiled.groups === 0) return ""
    return found.groups[1] ?? null
  }),
  filter("regex_replace", ["regex", "replacement"], 2, (value, [regex = null, replacement = null]) => {
    const compiled = compileRegex(pattern(regex))
    return compiled.replace(textFor(value), wantStr(replacement, "replacement"))
  })
]
