import { gunzipSync, gzipSync } from "node:zlib"
import { unzipSync } from "fflate"

/** What stands in a cassette in place of a secret. */
export const standIn = "[secret]"

/** Names, without case and punctuation, of values that are secrets wherever they stand. */
const secretNames = new Set([
  "accesstoken",
  "refreshtoken",
  "idtoken",
  "authtoken",
  "sessiontoken",
  "bearertoken",
  "securitytoken",
  "xamzsecuritytoken",
  "xamzsignature",
  "xamzcredential",
  "xgoogsignature",
  "xgoogcredential",
  "awsaccesskeyid",
  "apikey",
  "apitoken",
  "apisecret",
  "appsecret",
  "clientsecret",
  "clientassertion",
  "consumersecret",
  "privatekey",
  "secretkey",
  "signingsecret",
  "webhooksecret",
  "password",
  "passwd",
  "secret",
  "assertion",
  "signature",
  "authorization",
  "jwt"
])
/** Those that are secrets in a query only: elsewhere they are ordinary words. */
const secretParameters = new Set(["token", "sig", "sign", "key", "auth", "pwd", "hmac", "code", "sessionid", "sid"])
const secretHeaders = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "dpop",
  "dpop-nonce",
  "authentication-info",
  "x-csrf-token",
  "x-xsrf-token",
  "x-access-token",
  "x-auth-token",
  "x-session-token",
  "x-shopify-access-token",
  "x-vault-token",
  "private-token"
])
/** Of an answer these tell of its transport, which a cassette does not keep. */
const transportHeaders = new Set([
  "content-encoding",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "alt-svc",
  "strict-transport-security",
  "report-to",
  "nel"
])

const plain = (name: string): string => name.replaceAll(/[^a-z0-9]/giu, "").toLowerCase()
const isSecretHeader = (name: string): boolean =>
  secretHeaders.has(name) || secretNames.has(plain(name)) || secretNames.has(plain(name.replace(/^x-/u, "")))
const isSecretParameter = (name: string): boolean => secretNames.has(plain(name)) || secretParameters.has(plain(name))

const words = new Set(["true", "false", "null"])
/** Shorter ones would take ordinary letters out of texts; they are cut where they are a whole value. */
const shortest = 4

const escaped = (text: string): string => text.replaceAll(/[$()*+./?[\\\]^{|}]/gu, String.raw`\$&`)

const xml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

/** A secret as it may stand in addresses, forms, JSON, XML and headers. */
const formsOf = (secret: string): ReadonlyArray<string> => {
  const json = JSON.stringify(secret).slice(1, -1)
  const bytes = Buffer.from(secret)
  const percent = encodeURIComponent(secret)
  const coded = bytes.length < 8 ? [] : [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")]
  return [
    secret,
    json,
    json.replaceAll("/", String.raw`\/`),
    percent,
    percent.replaceAll(/%[0-9A-F]{2}/gu, (code) => code.toLowerCase()),
    new URLSearchParams([["", secret]]).toString().slice(1),
    encodeURI(secret),
    xml(secret),
    ...coded,
    ...coded.map((text) => text.replace(/=+$/u, ""))
  ]
}

/** In JSON: a member with the name of a secret. */
const members = /"([\w.-]{1,60})"(\s*:\s*)"((?:[^"\\]|\\.)+)"/gu
/** In addresses and forms, as they are or inside JSON and XML: a parameter with a value. */
const parameters = /([?&;]|\\u0026|&amp;)([\w.%[\]-]{2,60})=[^&"'<>\s\\]+/gu

const gzipMagic = Buffer.from([0x1f, 0x8b])
const zipMagic = Buffer.from("PK\u0003\u0004", "latin1")
const begins = (bytes: Buffer, magic: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic)

/** A body that cannot be kept, and why. */
export interface Uncut {
  readonly why: string
}

/**
 * Cuts secrets out of what was sent and received: every value that is known to be one, in any of the forms in which it travels, and
 * values whose names say that they are. What is cut is `[secret]`; of a secret that is a number its digits are nines, so that a
 * number stays one.
 */
export class Cutter {
  readonly #whole = new Set<string>()
  readonly #known = new Set<string>()
  #pattern: RegExp | undefined
  #digits: RegExp | undefined

  /** Values that are secrets from now on. */
  learn(secrets: Iterable<string>): void {
    for (const secret of secrets) {
      if (secret === "" || this.#known.has(secret)) continue
      this.#known.add(secret)
      this.#whole.add(secret)
      this.#pattern = undefined
    }
  }

  /** What stands for a secret. */
  standIn(secret: string): string {
    return /^\d+$/u.test(secret) && secret.length >= shortest ? "9".repeat(secret.length) : standIn
  }

  #compile(): RegExp {
    if (this.#pattern !== undefined) return this.#pattern
    const long = [...this.#known].filter((secret) => secret.length >= shortest && !words.has(secret))
    const isNumber = (secret: string) => /^\d+$/u.test(secret)
    const forms = [...new Set(long.filter((secret) => !isNumber(secret)).flatMap(formsOf))]
      .filter((form) => form.length >= shortest)
      // A secret may hold another one.
      .toSorted((a, b) => b.length - a.length)
    const numbers = long.filter(isNumber)
    this.#digits = numbers.length === 0 ? undefined : new RegExp(`(?<!\\d)(?:${numbers.join("|")})(?!\\d)`, "gu")
    this.#pattern = forms.length === 0 ? /$^/gu : new RegExp(forms.map(escaped).join("|"), "gu")
    return this.#pattern
  }

  /** Cuts known values. */
  #values(text: string): string {
    if (this.#whole.has(text)) return this.standIn(text)
    const cut = text.replaceAll(this.#compile(), standIn)
    return this.#digits === undefined ? cut : cut.replaceAll(this.#digits, (digits) => this.standIn(digits))
  }

  /** A text of any kind. */
  text(text: string): string {
    return this.#values(text)
      .replaceAll(members, (whole, name: string, between: string, value: string) =>
        secretNames.has(plain(name)) || this.#whole.has(value) ? `"${name}"${between}"${standIn}"` : whole
      )
      .replaceAll(parameters, (whole, before: string, name: string) =>
        isSecretParameter(name) ? `${before}${name}=${standIn}` : whole
      )
  }

  /** An address; its query's values are what its paging goes by, so only those of secrets are cut. */
  url(url: URL): string {
    const query = [...url.searchParams].map(([name, value]) => {
      const shown = isSecretParameter(name) ? standIn : this.#values(value)
      return `${encodeURIComponent(name)}=${encodeURIComponent(shown)}`
    })
    return `${this.#values(`${url.origin}${url.pathname}`)}${query.length === 0 ? "" : `?${query.join("&")}`}`
  }

  /** Header fields, names in lower case; those of the transport are left out. */
  headers<V extends string | ReadonlyArray<string>>(
    fields: Readonly<Record<string, V | undefined>>
  ): Record<string, string | ReadonlyArray<string>> {
    const cut: Record<string, string | ReadonlyArray<string>> = {}
    for (const [name, value] of Object.entries(fields)) {
      const lower = name.toLowerCase()
      if (value === undefined || transportHeaders.has(lower)) continue
      if (isSecretHeader(lower)) cut[lower] = standIn
      else cut[lower] = typeof value === "string" ? this.text(value) : value.map((one) => this.text(one))
    }
    return cut
  }

  /** A body; the same bytes where there is nothing to cut. Packed files are looked into. */
  body(bytes: Buffer): Buffer | Uncut {
    if (bytes.length === 0) return bytes
    if (begins(bytes, gzipMagic)) {
      const inner = unpacked(() => gunzipSync(bytes))
      const cut = inner === undefined ? undefined : this.body(inner)
      if (inner === undefined || cut === undefined) return { why: "a gzip file that cannot be looked into" }
      if ("why" in cut) return cut
      return cut.equals(inner) ? bytes : gzipSync(cut)
    }
    if (begins(bytes, zipMagic)) {
      const files = unpacked(() => Object.values(unzipSync(bytes)))
      if (files === undefined) return { why: "a zip file that cannot be looked into" }
      const isClean = files.every((file) => {
        const inner = Buffer.from(file)
        const cut = this.body(inner)
        return !("why" in cut) && cut.equals(inner)
      })
      return isClean ? bytes : { why: "a zip file with secrets in it, which cannot be cut out" }
    }
    // Of bytes that are no text every one stays what it is.
    const encoding = bytes.equals(Buffer.from(bytes.toString("utf8"))) ? "utf8" : "latin1"
    const text = bytes.toString(encoding)
    const cut = this.text(text)
    return cut === text ? bytes : Buffer.from(cut, encoding)
  }
}

const unpacked = <A>(unpack: () => A): A | undefined => {
  try {
    return unpack()
  } catch {
    // Said by whoever asked.
    return undefined
  }
}
