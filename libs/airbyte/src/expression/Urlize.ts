import { wantIndex } from "./Arguments.ts"
import { truthy } from "./Compare.ts"
import { escapeHtml } from "./Html.ts"
import { iterate } from "./Iterate.ts"
import { grow, tick } from "./Meter.ts"
import { PyError } from "./PyError.ts"
import { repr, str } from "./Repr.ts"
import * as Text from "./Text.ts"
import { PyMarkup, strOf, type Value } from "./Value.ts"

const word = "[\\p{L}\\p{N}_%-]"
const http = new RegExp(
  `^(?:(?:https?://|www\\.)(?:${word}+\\.)*(?:[a-z]{2,63}|xn--[\\p{L}\\p{N}_%]{2,59})|` +
    `(?:${word}{2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)|` +
    `https?://(?:\\d{1,3}(?:\\.\\d{1,3}){3}|\\[(?:[\\da-f]{0,4}:){2}(?:[\\da-f]{0,4}:?){1,6}\\]))` +
    `(?::\\d{1,5})?(?:[/?#]\\S*)?$`,
  "iu"
)
const email = /^\S+@\w[\w.-]*\.\w+$/

const balance = (middle: string, tail: string): readonly [string, string] => {
  let [head, rest] = [middle, tail]
  for (const [open, close] of [
    ["(", ")"],
    ["<", ">"],
    ["&lt;", "&gt;"]
  ] as const) {
    const opened = head.split(open).length - 1
    if (opened <= head.split(close).length - 1) continue
    const turns = Math.min(opened, rest.split(close).length - 1)
    for (let turn = 0; turn < turns; turn++) {
      const end = rest.indexOf(close) + close.length
      head += rest.slice(0, end)
      rest = rest.slice(end)
    }
  }
  return [head, rest]
}

/** The `urlize` filter: links in text as HTML. */
export const urlize = (value: Value, args: ReadonlyArray<Value | undefined>): Value => {
  const [limitArg, nofollow, target, relArg, schemesArg] = args
  const rels = new Set((strOf(relArg) ?? "").split(/\s+/).filter((part) => part !== ""))
  if (nofollow !== undefined && truthy(nofollow)) rels.add("nofollow")
  rels.add("noopener")
  const rel = ` rel="${escapeHtml([...rels].toSorted().join(" "))}"`
  const targetText = target === undefined || !truthy(target) ? "" : ` target="${escapeHtml(str(target))}"`
  const limit = limitArg === undefined || limitArg === null ? undefined : wantIndex(limitArg)
  const schemes: Array<string> = []
  if (schemesArg !== undefined && schemesArg !== null) {
    for (const scheme of iterate(schemesArg)) {
      const name = str(scheme)
      if (!/^[\w.+-]{2,}:(\/){0,2}$/.test(name)) {
        throw new PyError("FilterArgumentError", `${repr(scheme)} is not a valid URI scheme prefix.`)
      }
      schemes.push(name)
    }
  }
  const shown = (url: string): string =>
    limit !== undefined && Text.length(url) > limit ? `${Text.slice(url, 0, Math.max(0, limit))}...` : url
  const escaped = value instanceof PyMarkup ? value.value : escapeHtml(str(value))
  const words = escaped.split(/(\s+)/).map((word) => {
    tick()
    const head = /^([(<]|&lt;)+/.exec(word)?.[0] ?? ""
    let middle = word.slice(head.length)
    let tail = /([)>.,\n]|&gt;)+$/.exec(middle)?.[0] ?? ""
    if (tail !== "") middle = middle.slice(0, -tail.length)
    ;[middle, tail] = balance(middle, tail)
    if (http.test(middle)) {
      const url = /^https?:\/\//.test(middle) ? middle : `https://${middle}`
      middle = `<a href="${url}"${rel}${targetText}>${shown(middle)}</a>`
    } else if (middle.startsWith("mailto:") && email.test(middle.slice(7))) {
      middle = `<a href="${middle}">${middle.slice(7)}</a>`
    } else if (
      middle.includes("@") &&
      !middle.startsWith("www.") &&
      !middle.startsWith("@") &&
      !middle.includes(":") &&
      email.test(middle)
    ) {
      middle = `<a href="mailto:${middle}">${middle}</a>`
    } else {
      for (const scheme of schemes) {
        if (middle !== scheme && middle.startsWith(scheme))
          middle = `<a href="${middle}"${rel}${targetText}>${middle}</a>`
      }
    }
    return head + middle + tail
  })
  const result = words.join("")
  grow(result.length)
  return result
}
