import { str } from "../expression/Repr.ts"
import type { Context } from "../expression/Value.ts"
import { type Backoff, backoffOf } from "./Backoff.ts"
import type { Component } from "./Component.ts"
import type { Expressions } from "./Expressions.ts"
import { called, hookContext, hookOf } from "./Hooks.ts"
import type { Response } from "./Response.ts"
import { type FailureType, failure } from "./RunError.ts"

/** What to do with an answer. */
export type Action =
  | "SUCCESS"
  | "RETRY"
  | "FAIL"
  | "IGNORE"
  | "RESET_PAGINATION"
  | "REDUCE_PAGE_SIZE"
  | "SPLIT_REQUEST_WINDOW"
  | "RATE_LIMITED"
  | "REFRESH_TOKEN_THEN_RETRY"

export interface Decision {
  readonly action: Action
  readonly failureType: FailureType
  readonly message: string | undefined
}

/** No answer: why. */
export interface NoAnswer {
  readonly problem: string
}

export const isAnswer = (seen: Response | NoAnswer): seen is Response => "status" in seen

/** What answers mean. */
export interface ErrorHandler {
  readonly decide: (seen: Response | NoAnswer) => Decision
  readonly maxRetries: number
  /** Seconds that retries may take in sum. */
  readonly maxSeconds: number
  readonly backoffs: ReadonlyArray<Backoff>
}

const defaults: { readonly [status: number]: readonly [action: Action, type: FailureType, message: string] } = {
  400: ["FAIL", "system_error", "HTTP Status Code: 400. Error: Bad request. Please check your request parameters."],
  401: [
    "FAIL",
    "config_error",
    "HTTP Status Code: 401. Error: Unauthorized. Please ensure you are authenticated correctly."
  ],
  403: [
    "FAIL",
    "config_error",
    "HTTP Status Code: 403. Error: Forbidden. You don't have permission to access this resource."
  ],
  404: [
    "FAIL",
    "system_error",
    "HTTP Status Code: 404. Error: Not found. The requested resource was not found on the server."
  ],
  405: ["FAIL", "system_error", "HTTP Status Code: 405. Error: Method not allowed. Please check your request method."],
  408: ["RETRY", "transient_error", "HTTP Status Code: 408. Error: Request timeout."],
  429: ["RATE_LIMITED", "transient_error", "HTTP Status Code: 429. Error: Too many requests."],
  500: ["RETRY", "transient_error", "HTTP Status Code: 500. Error: Internal server error."],
  502: ["RETRY", "transient_error", "HTTP Status Code: 502. Error: Bad gateway."],
  503: ["RETRY", "transient_error", "HTTP Status Code: 503. Error: Service unavailable."],
  504: ["RETRY", "transient_error", "HTTP Status Code: 504. Error: Gateway timeout."]
}

const byDefault = (seen: Response | NoAnswer): Decision => {
  const known = isAnswer(seen) ? defaults[seen.status] : undefined
  if (known !== undefined) return { action: known[0], failureType: known[1], message: known[2] }
  const message = isAnswer(seen) ? `Unexpected response with HTTP status ${seen.status}` : seen.problem
  return { action: "RETRY", failureType: "system_error", message }
}

const actions: ReadonlyArray<Action> = [
  "SUCCESS",
  "RETRY",
  "FAIL",
  "IGNORE",
  "RESET_PAGINATION",
  "REDUCE_PAGE_SIZE",
  "SPLIT_REQUEST_WINDOW",
  "RATE_LIMITED",
  "REFRESH_TOKEN_THEN_RETRY"
]

type Filter = (seen: Response | NoAnswer) => Decision | undefined

/** The address without credentials and query, which may hold secrets. */
const addressOf = (url: string): string => {
  if (!URL.canParse(url)) return ""
  const { host, pathname, protocol } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

const failureTypes: ReadonlyArray<FailureType> = ["config_error", "system_error", "transient_error"]

const filterOf = (component: Component, expressions: Expressions): Filter => {
  const { parameters } = component
  const given = component.get("http_codes")
  const codes = new Set(Array.isArray(given) ? given.map(Number) : [])
  const contains = component.optionalText("error_message_contains") ?? ""
  const predicate = component.optionalText("predicate") ?? ""
  const message = component.optionalText("error_message") ?? ""
  const wanted = component.optionalText("action")
  const action = actions.find((name) => name === wanted)
  if (wanted !== undefined && action === undefined) {
    component.fail("action", `${wanted} is not there yet; expected one of ${actions.join(", ")}.`, "unsupported")
  }
  const type = failureTypes.find((name) => name === component.optionalText("failure_type"))
  const contextOf = (response: Response): Context => ({
    response: response.safeJson,
    headers: response.headers,
    request_url: addressOf(response.url)
  })
  return (seen) => {
    if (!isAnswer(seen) || action === undefined) return undefined
    const isMatch =
      codes.has(seen.status) ||
      // The CDK gives conditions no config.
      (predicate !== "" && expressions.withoutConfig.condition(predicate, parameters, contextOf(seen))) ||
      (contains !== "" && (seen.errorText ?? "").includes(contains))
    if (!isMatch) return undefined
    const known = defaults[seen.status]
    const text = message === "" ? "" : str(expressions.value(message, parameters, contextOf(seen)))
    return {
      action,
      failureType: type !== undefined && action === "FAIL" ? type : (known?.[1] ?? "system_error"),
      message: text === "" ? known?.[2] : text
    }
  }
}

const maxRetriesOf = (component: Component, expressions: Expressions): number => {
  const given = component.get("max_retries") ?? 5
  const value = expressions.value(given, component.parameters)
  const number = Number(value)
  return Number.isInteger(number) ? number : component.fail("max_retries", "it does not come out as a whole number.")
}

const defaultHandler = (component: Component, expressions: Expressions): ErrorHandler => {
  const filters = component.children("response_filters").map((filter) => filterOf(filter, expressions))
  return {
    maxRetries: maxRetriesOf(component, expressions),
    maxSeconds: 600,
    backoffs: component.children("backoff_strategies").map((backoff) => backoffOf(backoff, expressions)),
    decide: (seen) => {
      for (const filter of filters) {
        const decision = filter(seen)
        if (decision !== undefined) return decision
      }
      if (isAnswer(seen) && seen.ok) return { action: "SUCCESS", failureType: "system_error", message: undefined }
      return byDefault(seen)
    }
  }
}

/** What answers mean when nothing is said. */
export const plainErrorHandler: ErrorHandler = {
  maxRetries: 5,
  maxSeconds: 600,
  backoffs: [],
  decide: (seen) =>
    isAnswer(seen) && seen.ok ? { action: "SUCCESS", failureType: "system_error", message: undefined } : byDefault(seen)
}

/** The first handler that wants one of these ends the search; what the others say is only taken from the last. */
const decisive = new Set<Action>([
  "SUCCESS",
  "RETRY",
  "IGNORE",
  "RESET_PAGINATION",
  "REDUCE_PAGE_SIZE",
  "SPLIT_REQUEST_WINDOW"
])

const compositeHandler = (component: Component, expressions: Expressions): ErrorHandler => {
  const handlers = component.children("error_handlers").map((handler) => errorHandlerOf(handler, expressions))
  const [first] = handlers
  if (first === undefined) return component.fail("error_handlers", "at least one is needed.")
  return {
    maxRetries: first.maxRetries,
    maxSeconds: Math.max(...handlers.map((handler) => handler.maxSeconds)),
    backoffs: handlers.flatMap((handler) => handler.backoffs),
    decide: (seen) => {
      let last: Decision | undefined
      for (const handler of handlers) {
        last = handler.decide(seen)
        if (decisive.has(last.action)) return last
      }
      return last ?? byDefault(seen)
    }
  }
}

/** A hook in the place of a handler; what it does not decide is handled as its settings and HTTP say. */
const customHandler = (component: Component, expressions: Expressions): ErrorHandler => {
  const hook = hookOf(component, expressions, "errorHandlers")
  const context = hookContext(component, expressions)
  const rest = defaultHandler(component, expressions)
  return {
    ...rest,
    decide: (seen) => {
      const decision = called(component, () => hook(isAnswer(seen) ? seen : undefined, context))
      if (decision === undefined) return rest.decide(seen)
      return { action: decision.action, failureType: "system_error", message: decision.message }
    }
  }
}

/** Whether a filter of a handler asks for an action; what a hook may ask for is not known. */
export const usesAction = (component: Component | undefined, action: Action): boolean =>
  (component?.type === "CompositeErrorHandler" || component?.type === "DefaultErrorHandler") &&
  (component.children("error_handlers").some((handler) => usesAction(handler, action)) ||
    component.children("response_filters").some((filter) => filter.optionalText("action") === action))

/** The error handler of a component. */
export const errorHandlerOf = (component: Component | undefined, expressions: Expressions): ErrorHandler => {
  switch (component?.type) {
    case undefined:
      return plainErrorHandler
    case "DefaultErrorHandler":
      return component === undefined ? plainErrorHandler : defaultHandler(component, expressions)
    case "CompositeErrorHandler":
      return component === undefined ? plainErrorHandler : compositeHandler(component, expressions)
    case "CustomErrorHandler":
      return component === undefined ? plainErrorHandler : customHandler(component, expressions)
    default:
      throw failure(`${component?.path}: ${component?.type} is not an error handler.`, "config_error")
  }
}
