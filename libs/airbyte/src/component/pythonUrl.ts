/** Addresses as Python's urllib, urllib3 and requests put them together, to the byte. */
import { domainToASCII } from "node:url"

interface Parts {
  readonly scheme: string
  readonly netloc: string
  readonly path: string
  readonly params: string
  readonly query: string
  readonly fragment: string
}

const partition = (text: string, separator: string): readonly [string, string] => {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}

/** urllib.parse.urlparse. */
const parse = (text: string, defaultScheme: string): Parts => {
  // oxlint-disable-next-line no-control-regex -- what Python strips from the left of an address
  let rest = text.replace(/^[\u0000-\u0020]+/, "").replace(/[\t\r\n]/g, "")
  const named = /^([A-Za-z][\w+.-]*):/.exec(rest)
  const scheme = named?.[1]?.toLowerCase() ?? defaultScheme
  if (named !== null) rest = rest.slice(named[0].length)
  let netloc = ""
  if (rest.startsWith("//")) {
    netloc = /^\/\/([^/?#]*)/.exec(rest)?.[1] ?? ""
    rest = rest.slice(netloc.length + 2)
  }
  const [unfragmented, fragment] = partition(rest, "#")
  const [wholePath, query] = partition(unfragmented, "?")
  const hasParams = scheme === "" || scheme === "http" || scheme === "https"
  const semicolon = hasParams ? wholePath.indexOf(";", Math.max(0, wholePath.lastIndexOf("/"))) : -1
  return semicolon === -1
    ? { scheme, netloc, path: wholePath, params: "", query, fragment }
    : { scheme, netloc, path: wholePath.slice(0, semicolon), params: wholePath.slice(semicolon + 1), query, fragment }
}

const unparse = ({ fragment, netloc, params, path, query, scheme }: Parts): string => {
  let url = params === "" ? path : `${path};${params}`
  if (netloc !== "" || (scheme !== "" && !url.startsWith("//"))) {
    url = `//${netloc}${url !== "" && !url.startsWith("/") ? "/" : ""}${url}`
  }
  return `${scheme === "" ? "" : `${scheme}:`}${url}${query === "" ? "" : `?${query}`}${fragment === "" ? "" : `#${fragment}`}`
}

/** urllib.parse.urljoin, which leaves out empty segments between the first and the last of a path that is joined. */
export const urlJoin = (base: string, url: string): string => {
  if (base === "") return url
  if (url === "") return base
  const from = parse(base, "")
  const to = parse(url, from.scheme)
  if (to.scheme !== from.scheme || !["", "http", "https"].includes(to.scheme)) return url
  if (to.netloc !== "") return unparse(to)
  if (to.path === "" && to.params === "") {
    return unparse({ ...from, query: to.query === "" ? from.query : to.query, fragment: to.fragment })
  }
  let segments = to.path.split("/")
  if (!to.path.startsWith("/")) {
    const before = from.path.split("/")
    if (before.at(-1) !== "") before.pop()
    const all = [...before, ...segments]
    segments = all.filter((segment, index) => index === 0 || index === all.length - 1 || segment !== "")
  }
  const resolved: Array<string> = []
  for (const segment of segments) {
    if (segment === "..") resolved.pop()
    else if (segment !== ".") resolved.push(segment)
  }
  const last = segments.at(-1)
  if (last === "." || last === "..") resolved.push("")
  return unparse({ ...to, netloc: from.netloc, path: resolved.join("/") || "/" })
}

const escaped = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

const quote = (text: string, isKept: RegExp): string =>
  Array.from(text, (char) => (isKept.test(char) ? char : escaped(char))).join("")

/** What urllib3 makes of a component of an address. */
const encodeInvalid = (text: string, isKept: RegExp): string => {
  const upper = text.replace(/%[a-fA-F0-9]{2}/g, (escape) => escape.toUpperCase())
  const isEncoded = (upper.match(/%/g) ?? []).length === (upper.match(/%[A-F0-9]{2}/g) ?? []).length
  return Array.from(upper, (char) => (isKept.test(char) || (isEncoded && char === "%") ? char : escaped(char))).join("")
}

const withoutDots = (path: string): string => {
  const output: Array<string> = []
  for (const segment of path.split("/")) {
    if (segment === "..") output.pop()
    else if (segment !== ".") output.push(segment)
  }
  if (path.startsWith("/") && output[0] !== "") output.unshift("")
  if (path.endsWith("/.") || path.endsWith("/..")) output.push("")
  return output.join("/")
}

const userChars = /[\w.~!$&'()*+,;=:-]/
const pathChars = /[\w.~!$&'()*+,;=:@/-]/
const queryChars = /[\w.~!$&'()*+,;=:@/?-]/

/** requests.utils.requote_uri: escapes of unreserved characters are undone, what may not stand in an address is escaped. */
const requote = (uri: string): string => {
  const [first = "", ...rest] = uri.split("%")
  let unquoted = first
  for (const part of rest) {
    const digits = part.slice(0, 2)
    if (!/^[\p{L}\p{N}]{2}$/u.test(digits)) {
      unquoted += `%${part}`
      continue
    }
    if (!/^[0-9a-fA-F]{2}$/.test(digits)) return quote(uri, /[\w.~!#$&'()*+,/:;=?@[\]-]/)
    const char = String.fromCharCode(Number.parseInt(digits, 16))
    unquoted += /[\w.~-]/.test(char) ? `${char}${part.slice(2)}` : `%${part}`
  }
  return quote(unquoted, /[\w.~!#$%&'()*+,/:;=?@[\]-]/)
}

/** The address of a request as requests prepares it. One that is no address of http is left as it is. */
export const preparedUrl = (given: string, query: string): string => {
  const url = given.replace(/^\s+/, "")
  const found = /^(https?):\/\/([^\\/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is.exec(url)
  if (found === null) return query === "" ? url : `${url}${url.includes("?") ? "&" : "?"}${query}`
  const [, scheme = "", authority = "", rawPath = "", rawQuery = "", rawFragment = ""] = found
  const at = authority.lastIndexOf("@")
  const user = at <= 0 ? "" : `${encodeInvalid(authority.slice(0, at), userChars)}@`
  const place = authority.slice(at + 1).replace(/:$/, "")
  // oxlint-disable-next-line no-control-regex -- whether it is ASCII
  const host = /^[\u0000-\u007f]*$/.test(place) ? place.toLowerCase() : domainToASCII(place)
  const cleaned = encodeInvalid(withoutDots(rawPath), pathChars)
  const path = cleaned === "" ? "/" : cleaned.startsWith("/") ? cleaned : `/${cleaned}`
  const whole = [encodeInvalid(rawQuery, queryChars), query].filter((part) => part !== "").join("&")
  const fragment = encodeInvalid(rawFragment, queryChars)
  return requote(
    `${scheme.toLowerCase()}://${user}${host}${path}${whole === "" ? "" : `?${whole}`}${fragment === "" ? "" : `#${fragment}`}`
  )
}
