import { Clock, Effect, Random } from "effect"
import { errorHandlerOf, isAnswer, type NoAnswer } from "../component/ErrorHandler.ts"
import type { Component } from "../component/Component.ts"
import { Requests, type PreparedRequest } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { makeAuthenticator } from "./Authenticator.ts"
import { log } from "./Message.ts"
import type { Requester } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

const seconds = (component: Component, name: string): number | undefined => {
  const value = component.optionalNumber(name)
  return value === undefined ? undefined : value * 1000
}

/** Address without query and credentials, for messages. */
const shown = (url: string): string => url.replace(/\?.*$/s, "").replace(/\/\/[^/@]*@/, "//")

export interface RequesterOptions {
  /** Parameter that a chunk of properties goes into. */
  readonly propertiesKey?: string | undefined
  /** Whether answers are kept for the other streams that ask for the same. */
  readonly isCached?: boolean
}

/** The requester of a component. Makes no request. */
export const makeRequester = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  options: RequesterOptions = {}
): Effect.fn.Return<Requester, RunError> {
  if (component.type !== "HttpRequester") {
    return yield* pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
  const requests = yield* pure(() => new Requests(component, run.expressions, options.propertiesKey))
  const handler = yield* pure(() => errorHandlerOf(component.child("error_handler"), run.expressions))
  const authenticator = yield* makeAuthenticator(run, component.child("authenticator"), (login) =>
    makeRequester(run, login)
  )
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
      ? failure("API rate limit exceeded.", "transient_error")
      : failure(`Exhausted available request attempts (${status}): ${message ?? ""}`, "transient_error")
  }

  const send: Requester["send"] = Effect.fn("airbyte.request")(function* (slice, token, extras, path) {
    const tries = { standard: 0, limited: 0, own: 0 }
    let isRefreshed = false
    const began = yield* Clock.currentTimeMillis
    for (let attempt = 1; ; attempt++) {
      const credentials = yield* authenticator.credentials
      const request = yield* pure(() => requests.prepare(slice, token, credentials, extras, path))
      const answer = yield* exchange(request)
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
          return "reset"
        case "FAIL": {
          const status = isAnswer(answer) ? `status code '${answer.status}'` : answer.problem
          return yield* failure(decision.message ?? `${where} failed with ${status}`, decision.failureType)
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
      const own = yield* backoff(answer, attempt)
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
