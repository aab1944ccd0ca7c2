import { compileSelector, JsonSyntaxError, scalarText, selectOne } from "@tributary/codec"
import type { ErrorRule } from "@tributary/domain"
import { DateTime, Duration, Option } from "effect"
import { readableText } from "./Charset.ts"
import { foundIn } from "./Found.ts"
import { header } from "./RetryAfter.ts"
import type { Decision, ErrorHandler } from "./slots/index.ts"
import type { Answer } from "./Transport.ts"

/** Of a body so much is looked at. */
const mostLooked = 65_536

const isClass = (status: number, wanted: number | string): boolean =>
  typeof wanted === "number" ? status === wanted : String(status).startsWith(wanted.slice(0, 1))

const hasValue = (text: string | null | undefined): boolean =>
  text !== undefined && text !== null && text !== "" && text !== "false"

/** The wait that a text asks for: seconds, or a time (a date, or seconds or milliseconds since 1970). */
const waitIn = (text: string, now: number): number | undefined => {
  const value = Number(text)
  if (text.trim() !== "" && Number.isFinite(value)) {
    if (value >= 1e12) return Math.max(0, value - now)
    return value >= 1e9 ? Math.max(0, value * 1000 - now) : value * 1000
  }
  const at = Option.getOrUndefined(Option.map(DateTime.make(text), DateTime.toEpochMillis))
  return at === undefined ? undefined : Math.max(0, at - now)
}

const compiled = (rule: ErrorRule) => {
  const headers = Object.entries(rule.header ?? {}).map(
    ([name, pattern]) => [name.toLowerCase(), new RegExp(pattern, "u")] as const
  )
  const body = rule.body === undefined ? undefined : new RegExp(rule.body, "u")
  const selector = rule.value === undefined ? undefined : compileSelector(rule.value)
  const { wait } = rule
  const pattern = wait?.pattern === undefined ? undefined : new RegExp(wait.pattern, "u")

  const valueFits = (answer: Answer): boolean => {
    if (selector === undefined) return true
    try {
      const span = selectOne(answer.body, selector)
      if (span === undefined) return false
      const text = scalarText(answer.body, span)
      if (rule.equals !== undefined) return text === rule.equals
      // An object or a list is a value, unless there is nothing in it.
      return text === undefined ? span.end - span.start > 2 : hasValue(text)
    } catch (error) {
      // A body that is not JSON has no such value.
      if (error instanceof JsonSyntaxError) return false
      throw error
    }
  }

  const fits = (answer: Answer): boolean => {
    const { status } = answer
    const isSuccess = status >= 200 && status < 300
    if (
      rule.status === undefined
        ? isSuccess && body === undefined && selector === undefined
        : !rule.status.some((wanted) => isClass(status, wanted))
    )
      return false
    if (!headers.every(([name, expected]) => expected.test(header(answer.headers, name) ?? ""))) return false
    if (body !== undefined && !body.test(answer.body.toString("utf8", 0, mostLooked))) return false
    return valueFits(answer)
  }

  const waitOf = (answer: Answer, failures: number, now: number): number | undefined => {
    if (wait === undefined) return undefined
    const named = wait.header === undefined ? undefined : header(answer.headers, wait.header.toLowerCase())
    const text =
      pattern === undefined
        ? named
        : pattern.exec(named ?? (wait.header === undefined ? answer.body.toString("utf8", 0, mostLooked) : ""))?.[1]
    const asked =
      (text === undefined ? undefined : waitIn(text, now)) ??
      (wait.constant === undefined ? undefined : Duration.toMillis(wait.constant)) ??
      (wait.exponential === undefined ? undefined : Duration.toMillis(wait.exponential) * 2 ** Math.min(failures, 30))
    if (asked === undefined) return undefined
    return Math.min(Math.max(asked, Duration.toMillis(wait.at_least)), Duration.toMillis(wait.at_most))
  }
  return { fits, waitOf, rule }
}

/** The error handler of a stream's `errors`: the first rule that fits decides. */
export const errorRules = (rules: ReadonlyArray<ErrorRule>): ErrorHandler | undefined => {
  if (rules.length === 0) return undefined
  const all = rules.map(compiled)
  return {
    // A rule may name a status of success, or what a body says whatever its status.
    seesSuccesses: rules.some(
      ({ body, header: named, status, value }) =>
        status?.some((wanted) => isClass(200, wanted) || (typeof wanted === "number" && wanted < 300)) ??
        (body !== undefined || value !== undefined || named !== undefined)
    ),
    decide: (given, failures, now): Decision | undefined => {
      const answer = { ...given, body: readableText(given.headers, given.body, given.charset) }
      const found = all.find(({ fits }) => fits(answer))
      if (found === undefined) return undefined
      const { rule, waitOf } = found
      const { action } = rule
      const message = rule.message ?? foundIn(answer.body, answer.secrets)
      switch (action) {
        case "success":
        case "ignore":
          return { action }
        case "fail":
          return { action, message, failureClass: "misconfigured" }
        case "retry":
        case "throttle":
          return { action, message, wait: waitOf(answer, failures, now) }
        case "refresh-token":
        case "restart":
        case "reset":
          return { action, message }
      }
    }
  }
}
