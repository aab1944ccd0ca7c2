import { Clock, Effect, Random } from "effect"
import { errorHandlerOf, isAnswer, type NoAnswer, usesAction } from "../component/ErrorHandler.ts"
import type { Component } from "../component/Component.ts"
import { called, hookContext, hookOf } from "../component/Hooks.ts"
import { Requests, type PreparedRequest } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"
import { failure, RunError } from "../component/RunError.ts"
import { makeAuthenticator } from "./Authenticator.ts"
import { log, streamStatus } from "./Message.ts"
import type { Authenticator, Requester } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

const seconds = (component: Component, name: string): number | undefined => {
  const value = component.optionalNumber(name)
  return value === undefined ? undefined : value * 1000
}

/** Address without query and credentials, for messages. */
const shown = (url: string): string => url.replace(/\?.*$/s, "").replace(/\/\/[^/@]*@/, "//")

/** Wait before a request is made again with another token. */
const rotationSeconds = 0.1

export interface RequesterOptions {
  /** Parameter that a chunk of properties goes into. */
  readonly propertiesKey?: string | undefined
  /** Whether answers are kept for the other streams that ask for the same. */
  readonly isCached?: boolean
  /** The stream whose pages it reads; those can be asked for in another way. */
  readonly stream?: string
  /** Takes the place of the component's own. */
  readonly authenticator?: Authenticator | undefined
}

/** The requester of a component. Makes no request. */
export const makeRequester = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  options: RequesterOptions = {}
): Effect.fn.Return<Requester, RunError> {
  const hook =
    component.type === "CustomRequester"
      ? yield* pure(() => hookOf(component, run.expressions, "requesters"))
      : undefined
  if (hook === undefined && component.type !== "HttpRequester") {
    return yield* pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
  if (options.stream === undefined) {
    for (const action of ["REDUCE_PAGE_SIZE", "SPLIT_REQUEST_WINDOW"] as const) {
      if (!usesAction(component.child("error_handler"), action)) continue
      return yield* pure(() =>
        component.fail("error_handler", `${action} is for the requester of a SimpleRetriever's pages only.`)
      )
    }
  }
  const requests = yield* pure(() => new Requests(component, run.expressions, options.propertiesKey))
  const handler = yield* pure(() => errorHandlerOf(component.child("error_handler"), run.expressions))
  const base = component.optionalText("url") ?? component.optionalText("url_base") ?? ""
  const authenticator =
    options.authenticator ??
    (yield* makeAuthenticator(run, component.child("authenticator")?.with("url_base", base), (login, own) =>
      // What asks about tokens is not a call that the budget counts.
      makeRequester(own === undefined ? run : { ...run, budget: undefined }, login, { authenticator: own })
    ))
  const isCached = component.isSet("use_cache") || (options.isCached === true && component.get("use_cache") !== false)
  const timeouts = {
    connect: seconds(component, "connect_timeout_in_seconds"),
    read: seconds(component, "read_timeout_in_seconds")
  }
  const mostTries = Math.max(0, handler.maxRetries) + 1
  const longest = handler.maxSeconds * 1000

  const exchange = Effect.fnUntraced(function* (request: PreparedRequest) {
    const known = isCached ? run.cache.get(request) : undefined
    if (known !== undefined) return known
    if (run.budget !== undefined) yield* run.budget.take(request)
    const answer = yield* run.http.send(request, timeouts)
    if (isAnswer(answer)) {
      if (run.budget !== undefined) yield* run.budget.answered(request, answer)
      if (isCached) run.cache.put(request, answer)
    }
    return answer
  })

  /** Seconds that the manifest's back-offs ask to wait. */
  const backoff = Effect.fnUntraced(function* (answer: Response | NoAnswer, attempt: number) {
    const now = (yield* Clock.currentTimeMillis) / 1000
    const chance = yield* Random.next
    return yield* pure(() => {
      for (const strategy of handler.backoffs) {
        const response = isAnswer(answer) ? answer : undefined
        const wait = strategy({ response, attempt, now, random: () => chance })
        if (wait !== undefined && wait !== 0) return wait
      }
      return undefined
    })
  })

  const exhausted = (answer: Response | NoAnswer, message: string | undefined) => {
    const status = isAnswer(answer) ? `HTTP ${answer.status}` : answer.problem
    return isAnswer(answer) && answer.status === 429
      ? new RunError({ problem: "API rate limit exceeded.", failureType: "transient_error", stated: "throttled" })
      : failure(`Exhausted available request attempts (${status}): ${message ?? ""}`, "transient_error")
  }

  const send: Requester["send"] = Effect.fn("airbyte.request")(function* (slice, token, extras, path) {
    const tries = { standard: 0, limited: 0, own: 0 }
    let isRefreshed = false
    const began = yield* Clock.currentTimeMillis
    for (let attempt = 1; ; attempt++) {
      const credentials = yield* authenticator.credentials
      const draft = yield* pure(() => {
        const prepared = requests.prepare(slice, token, credentials, extras, path)
        if (hook === undefined) return prepared
        const context = { ...hookContext(component, run.expressions), slice: slice?.value ?? null }
        const made = called(component, () => hook(prepared, { ...context, token: token?.["next_page_token"] }))
        return { ...prepared, ...made }
      })
      const request = authenticator.sign === undefined ? draft : yield* authenticator.sign(draft)
      const answer = yield* exchange(request)
      if (authenticator.answered !== undefined && isAnswer(answer)) yield* authenticator.answered(request, answer)
      const decision = yield* pure(() => handler.decide(answer))
      const where = `'${request.method}' request to '${shown(request.url)}'`
      switch (decision.action) {
        case "SUCCESS":
          if (isAnswer(answer)) return answer
          return yield* failure(`${where} failed: ${answer.problem}`, "transient_error")
        case "IGNORE":
          if (!isAnswer(answer)) return yield* failure(`${where} failed: ${answer.problem}`, "transient_error")
          yield* run.emit(
            log("INFO", decision.message ?? `Ignoring response for ${where} with response code '${answer.status}'`)
          )
          return answer
        case "RESET_PAGINATION":
        case "REDUCE_PAGE_SIZE":
        case "SPLIT_REQUEST_WINDOW":
          return { refused: decision.action, message: decision.message }
        case "FAIL": {
          const status = isAnswer(answer) ? `status code '${answer.status}'` : answer.problem
          return yield* new RunError({
            problem: decision.message ?? `${where} failed with ${status}`,
            failureType: decision.failureType,
            ...(isAnswer(answer) ? { status: answer.status } : {})
          })
        }
        case "REFRESH_TOKEN_THEN_RETRY":
          if (isRefreshed) {
            return yield* failure("Refreshed OAuth access token is rejected by the API.", "config_error")
          }
          if (authenticator.refresh !== undefined) {
            yield* authenticator.refresh(request.headers["Authorization"])
            isRefreshed = true
          }
          break
        default:
      }
      if (decision.action === "RATE_LIMITED" && options.stream !== undefined) {
        yield* run.emit(streamStatus(options.stream, "RUNNING", yield* Clock.currentTimeMillis, "RATE_LIMITED"))
      }
      const isRotating = decision.action === "RATE_LIMITED" && authenticator.hasOther?.(request) === true
      const own = isRotating ? rotationSeconds : yield* backoff(answer, attempt)
      // Three counters within each other, as the CDK nests its retries.
      if (own !== undefined) tries.own++
      else {
        tries.own = 0
        if (decision.action === "RATE_LIMITED") tries.limited++
        else {
          tries.limited = 0
          tries.standard++
        }
      }
      const count = own !== undefined ? tries.own : decision.action === "RATE_LIMITED" ? tries.limited : tries.standard
      const elapsed = (yield* Clock.currentTimeMillis) - began
      if (count >= mostTries || (elapsed >= longest && decision.action !== "RATE_LIMITED")) {
        return yield* exhausted(answer, decision.message)
      }
      const wait = own !== undefined ? (own + 1) * 1000 : 2 ** (count - 1) * 1000
      yield* run.emit(log("INFO", `${where}: ${decision.message ?? "no success"}; retrying in ${wait / 1000} seconds`))
      yield* Effect.sleep(Math.min(wait, Math.max(longest - elapsed, 1000)))
    }
  })
  return { send }
})
