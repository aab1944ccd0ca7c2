/** Addresses that a requester's templates can come out as. */
import { ExpressionError, type PlainDict, type Value } from "../../../src/index.ts"
import type { Expressions } from "../../../src/component/Expressions.ts"
import { dictIn, own } from "./config.ts"

const escapedText = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** What is not known before the run. */
const later =
  /stream_slice|stream_partition|stream_interval|stream_state|next_page_token|download_target|creation_response|polling_response|session_token|record\b/

/** The template as a regular expression; what comes from the run may be anything. */
const sourceOf = (expressions: Expressions, template: string, parameters: PlainDict): string => {
  const evaluate = (text: string): string => {
    try {
      return escapedText(expressions.text(text, parameters).trim())
    } catch (error) {
      if (error instanceof ExpressionError) return ".*"
      throw error
    }
  }
  if (!later.test(template)) return evaluate(template)
  if (template.includes("{%")) return ".*"
  return template
    .split(/(\{\{.*?\}\})/s)
    .map((part) => (!part.startsWith("{{") ? escapedText(part) : later.test(part) ? "[^?]*" : evaluate(part)))
    .join("")
}

/** An address as it is compared: without its query and what encodings hide. */
export const plainAddress = (href: string): string => {
  const address = href.replace(/[?#].*$/s, "")
  try {
    return decodeURIComponent(address).replace(/\/+$/, "")
  } catch {
    return address.replace(/\/+$/, "")
  }
}

export interface Address {
  readonly pattern: RegExp
  /** Length of what is fixed in it: the longest pattern that fits is meant. */
  readonly weight: number
}

/** Where the requests of a requester go. */
export const addressOf = (expressions: Expressions, requester: PlainDict): Address => {
  const parameters = dictIn(own(requester, "$parameters"))
  const source = (name: string): string => {
    const given: Value = own(requester, name) ?? ""
    return typeof given === "string" ? sourceOf(expressions, given.trim(), parameters) : ""
  }
  const base = source("url_base") || source("url")
  const path = source("path").replace(/^(?:\\?\/)+/, "")
  const withoutQuery = (base === "" ? path : `${base.replace(/\/+$/, "")}${path === "" ? "" : `/${path}`}`)
    .replace(/\\\?.*$/s, "")
    .replace(/\/+$/, "")
  const decoded = (() => {
    try {
      return decodeURIComponent(withoutQuery)
    } catch {
      return withoutQuery
    }
  })()
  return {
    pattern: new RegExp(`^${decoded}$`, "s"),
    weight: decoded.replaceAll(".*", "").replaceAll("[^?]*", "").length
  }
}
