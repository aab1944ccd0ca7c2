import { compilePlan, compileSelector, JsonSyntaxError, type Plan, scan as scanJson, type Scan } from "@tributary/codec"
import { Effect } from "effect"
import { foundIn } from "./Found.ts"
import type { Extractor } from "./slots/index.ts"
import type { Answer } from "./Transport.ts"
import { header } from "./RetryAfter.ts"
import { ErrorBody, NoRecords, NotJson, type SourceReason, TruncatedJson } from "./SourceError.ts"

const space = new Set([0x20, 0x09, 0x0a, 0x0d])

const firstByte = (body: Buffer): number | undefined => {
  let i = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
  while (space.has(body[i] ?? -1)) i++
  return body[i]
}

/** Members by which APIs report an error with a status of success. */
const errorMembers = ["error", "errors", "err", "fault", "exception", "error_code", "error_message", "errorMessage"]
const successMembers = ["ok", "success"]
const largestErrorBody = 65_536

const reportsError = (body: Buffer): boolean => {
  if (body.length > largestErrorBody) return false
  const value: unknown = JSON.parse(body.toString().replace(/^\uFEFF/u, ""))
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return (
    errorMembers.some((name) => {
      const member = members.get(name)
      return Array.isArray(member) ? member.length > 0 : Boolean(member)
    }) || successMembers.some((name) => members.get(name) === false)
  )
}

const notJson = (answer: Answer, problem: string, secrets: ReadonlyArray<string>, from = 0): NotJson =>
  new NotJson({
    url: answer.url,
    contentType: header(answer.headers, "content-type")?.slice(0, 80),
    problem,
    found: foundIn(answer.body, secrets, from)
  })

const syntaxReason = (answer: Answer, error: JsonSyntaxError, secrets: ReadonlyArray<string>): SourceReason => {
  const { body, url } = answer
  if (error.atEnd) {
    const problem = `JSON would go on with ${error.expected}.`
    return new TruncatedJson({ url, bytes: body.length, problem })
  }
  if (error.offset === 0) return notJson(answer, "a text", secrets)
  const problem = `JSON with a fault at byte ${error.offset}, where ${error.expected} should stand`
  return notJson(answer, problem, secrets, Math.max(0, error.offset - 40))
}

/** The records and values of an answer's body, all of which is checked. A list that is null or missing is an error; an empty one is not. */
const readBody = (answer: Answer, plan: Plan, selector: string): Effect.Effect<Scan, SourceReason> => {
  const { body, secrets, status, url } = answer
  const first = firstByte(body)
  if (first === undefined) {
    // 204 and 205 say that there is nothing; any other empty answer has lost its body.
    if (status === 204 || status === 205) {
      return Effect.succeed({ rows: [], stride: 2, values: [], mismatch: undefined })
    }
    return Effect.fail(new TruncatedJson({ url, bytes: body.length, problem: "The body is empty." }))
  }
  if (first === 0x3c) {
    const start = body.toString("latin1", 0, 512).toLowerCase()
    return Effect.fail(notJson(answer, start.includes("html") ? "an HTML page" : "XML", secrets))
  }
  let found: Scan
  try {
    found = scanJson(body, plan)
  } catch (error) {
    return error instanceof JsonSyntaxError ? Effect.fail(syntaxReason(answer, error, secrets)) : Effect.die(error)
  }
  const { mismatch, repeated } = found
  // Which of the two is meant cannot be told, and records must not be left out in silence.
  if (repeated !== undefined) {
    const problem = `the key ${repeated}, which leads to it, stands more than once in its object`
    return Effect.fail(new NoRecords({ url, selector, problem, found: foundIn(body, secrets) }))
  }
  // In one of several lists null stands for an empty one.
  if (mismatch === undefined || (mismatch.inList && mismatch.found === "null")) return Effect.succeed(found)
  if (reportsError(body)) {
    return Effect.fail(new ErrorBody({ url, status, selector, found: foundIn(body, secrets) }))
  }
  const problem = `expected ${mismatch.expected}, found ${mismatch.found === "nothing" ? "none" : mismatch.found}`
  return Effect.fail(new NoRecords({ url, selector, problem, found: foundIn(body, secrets) }))
}

/** The extractor of JSON bodies: `selector` says where the records stand. Records stay the bytes that the API sent. */
export const jsonExtractor = (selector: string): Extractor => {
  const records = compileSelector(selector)
  return {
    accept: "application/json",
    place: selector,
    open: ({ fields, values }) => {
      const plan = compilePlan({ records, fields, values })
      return (answer) => Effect.map(readBody(answer, plan, selector), (scan) => ({ body: answer.body, scan }))
    }
  }
}
