import { compilePlan, compileSelector, LosslessJson, scan } from "@tributary/codec"
import { Effect } from "effect"
import { SaxesParser } from "saxes"
import type { Extracted, Extractor } from "./slots/index.ts"
import { foundIn } from "./Found.ts"
import { NoRecords, NotJson, TruncatedJson, type SourceReason } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

type Members = Record<string, LosslessJson.Json | Array<LosslessJson.Json>>

/** Elements deeper than this are no data. */
const deepest = 256

interface Open {
  readonly name: string
  readonly members: Members
  text: string
}

/** An element is its text, or members of its attributes (`@name`), elements and, beside those, text (`#text`). */
const valueOf = ({ members, text }: Open): LosslessJson.Json => {
  const trimmed = text.trim()
  if (Object.keys(members).length === 0) return trimmed
  return trimmed === "" ? members : { ...members, "#text": trimmed }
}

/**
 * XML as the value of its document. An element that stands there twice becomes a list; one whose path of names is in `lists` is a
 * list in any case. Names keep their prefixes. Throws with line and column.
 */
export const parseXml = (text: string, lists: ReadonlySet<string>): LosslessJson.Json => {
  const root: Open = { name: "", members: Object.create(null), text: "" }
  const open: Array<Open> = [root]
  const parser = new SaxesParser({ xmlns: false, position: true })
  parser.on("error", (error) => {
    throw error
  })
  // A document type may define entities that grow without end; there is no data in it.
  parser.on("doctype", () => {})
  parser.on("opentag", ({ attributes, name }) => {
    if (open.length > deepest) throw new Error(`more than ${deepest} elements in each other`)
    const members: Members = Object.create(null)
    for (const [attribute, value] of Object.entries(attributes)) members[`@${attribute}`] = value
    open.push({ name, members, text: "" })
  })
  const addText = (part: string) => {
    const last = open.at(-1)
    if (last !== undefined) last.text += part
  }
  parser.on("text", addText)
  parser.on("cdata", addText)
  parser.on("closetag", () => {
    const closed = open.pop()
    const parent = open.at(-1)
    if (closed === undefined || parent === undefined) return
    const value = valueOf(closed)
    const path = [...open.slice(1).map(({ name }) => name), closed.name].join("/")
    const known = parent.members[closed.name]
    if (Array.isArray(known)) known.push(value)
    else if (known !== undefined) parent.members[closed.name] = [known, value]
    else parent.members[closed.name] = lists.has(path) ? [value] : value
  })
  parser.write(text).close()
  return root.members
}

/** Paths of elements that a selector takes for lists. */
const listsOf = (selector: string): ReadonlySet<string> => {
  const lists = new Set<string>()
  const path: Array<string> = []
  for (const step of compileSelector(selector).steps) {
    if (typeof step === "string") path.push(step)
    else if (step === null || typeof step === "number") lists.add(path.join("/"))
  }
  return lists
}

const read = (answer: Answer, lists: ReadonlySet<string>): Effect.Effect<Buffer, SourceReason> =>
  Effect.try({
    try: () => Buffer.from(LosslessJson.stringify(parseXml(answer.body.toString(), lists))),
    catch: (cause) => {
      const problem = cause instanceof Error ? cause.message : String(cause)
      return /unclosed|end of (document|file)|document must contain a root element/iu.test(problem)
        ? new TruncatedJson({ url: answer.url, bytes: answer.body.length, problem: `XML: ${problem}.` })
        : new NotJson({
            url: answer.url,
            contentType: undefined,
            problem: `XML with a fault (${problem})`,
            found: foundIn(answer.body, answer.secrets)
          })
    }
  })

/** The extractor of XML bodies. Records are objects of texts; the selector begins with the root element's name. */
export const xmlExtractor = (selector: string): Extractor => {
  const records = compileSelector(selector)
  const lists = listsOf(selector)
  return {
    accept: "application/xml, text/xml;q=0.9",
    place: selector,
    open: ({ fields, values }) => {
      const plan = compilePlan({ records, fields, values })
      return Effect.fnUntraced(function* (answer): Effect.fn.Return<Extracted, SourceReason> {
        const body = yield* read(answer, lists)
        const found = scan(body, plan)
        const { mismatch } = found
        // An element that is not there is a list that is empty, but the root has to be the one that is meant.
        const isRoot = mismatch !== undefined && mismatch.offset === 0
        if (!isRoot) return { body, scan: found }
        const problem = `expected ${mismatch.expected}, found another root element`
        return yield* new NoRecords({
          url: answer.url,
          selector,
          problem,
          found: foundIn(answer.body, answer.secrets)
        })
      })
    }
  }
}
