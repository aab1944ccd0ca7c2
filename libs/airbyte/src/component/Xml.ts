import type { PlainDict, Value } from "../expression/Value.ts"
import { failure } from "./RunError.ts"

const entities: { readonly [name: string]: string } = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" }

const decode = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (_, decimal, hex, name) => {
    if (typeof decimal === "string") return String.fromCodePoint(Number(decimal))
    if (typeof hex === "string") return String.fromCodePoint(Number.parseInt(hex, 16))
    const known = entities[String(name)]
    if (known === undefined) throw failure(`undefined entity &${String(name)};`)
    return known
  })

interface Open {
  readonly name: string
  readonly item: PlainDict
  text: string
}

const token =
  /<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!DOCTYPE[^[>]*(?:\[[\s\S]*?\])?[^>]*>|<\/([^\s>]+)\s*>|<([^\s/>!?]+)((?:\s+[^\s=/>]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/gy
const attribute = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

const add = (parent: PlainDict, name: string, value: Value): void => {
  if (!Object.hasOwn(parent, name)) {
    Object.defineProperty(parent, name, { value, enumerable: true, configurable: true, writable: true })
    return
  }
  const known = parent[name] ?? null
  if (Array.isArray(known)) known.push(value)
  else parent[name] = [known, value]
}

/** What an element becomes: a mapping of attributes (`@name`), children and text (`#text`), the text alone, or nothing. */
const closed = ({ item, text }: Open): Value => {
  const data = text.trim()
  if (Object.keys(item).length === 0) return data === "" ? null : data
  if (data !== "") item["#text"] = data
  return item
}

const deepest = 500

/** XML as xmltodict reads it, without namespaces or external entities. Throws a `RunError` for what is no XML. */
export const parseXml = (text: string): PlainDict => {
  const root: PlainDict = {}
  const open: Array<Open> = []
  const top = () => open.at(-1)
  const source = text.replace(/^\uFEFF/, "")
  const scanner = new RegExp(token)
  let at = 0
  while (at < source.length) {
    scanner.lastIndex = at
    const match = scanner.exec(source)
    if (match === null) throw failure(`not well-formed XML at character ${at}`)
    at = scanner.lastIndex
    const [, cdata, closing, opening, attributes = "", empty, chars] = match
    const current = top()
    if (cdata !== undefined) {
      if (current !== undefined) current.text += cdata
    } else if (chars !== undefined) {
      if (current !== undefined) current.text += decode(chars)
      else if (chars.trim() !== "") throw failure(`text outside of an element at character ${at - chars.length}`)
    } else if (opening !== undefined) {
      if (current === undefined && Object.keys(root).length > 0) throw failure("junk after document element")
      if (open.length >= deepest) throw failure("XML nested too deep")
      const item: PlainDict = {}
      for (const [, name = "", double, single] of attributes.matchAll(attribute)) {
        item[`@${name}`] = decode(double ?? single ?? "")
      }
      const element = { name: opening, item, text: "" }
      if (empty === "/") add(current?.item ?? root, opening, closed(element))
      else open.push(element)
    } else if (closing !== undefined) {
      const element = open.pop()
      if (element?.name !== closing) throw failure(`mismatched tag </${closing}>`)
      add(top()?.item ?? root, closing, closed(element))
    }
  }
  if (open.length > 0 || Object.keys(root).length === 0) throw failure("no element found")
  return root
}
