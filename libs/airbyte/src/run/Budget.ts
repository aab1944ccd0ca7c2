import { Clock, Effect } from "effect"
import { PyTimeDelta } from "../expression/DateTime.ts"
import { parseDuration } from "../expression/Duration.ts"
import type { Component } from "../component/Component.ts"
import { isFound } from "../component/pythonRegex.ts"
import type { Expressions } from "../component/Expressions.ts"
import type { PreparedRequest } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"

/** Whether a request is of a kind, and what it weighs. */
export type Matcher = (request: PreparedRequest) => { readonly weight: number } | undefined

const millisOf = (component: Component, name: string): number => {
  const gap = parseDuration(component.text(name))
  return gap instanceof PyTimeDelta
    ? Number(gap.micros / 1000n)
    : component.fail(name, "months and years have no fixed length; use days.")
}

const pairsOf = (component: Component, name: string): ReadonlyArray<readonly [string, string]> => {
  const dict = dictOf(component.get(name))
  return dict === undefined ? [] : dictEntries(dict).map(([key, value]) => [str(key), str(value)])
}

/** The component `HttpRequestRegexMatcher`. */
export const matcherOf = (component: Component, expressions: Expressions): Matcher => {
  const method = component.optionalText("method")
  const base = component.optionalText("url_base")?.replace(/\/+$/, "")
  const path = component.optionalText("url_path_pattern")
  const pattern = path
  const params = pairsOf(component, "params")
  const headers = pairsOf(component, "headers")
  const given = component.get("weight")
  const weight = given === undefined ? 1 : Number(expressions.value(given, component.parameters))
  if (!(weight >= 1)) component.fail("weight", "it must be at least 1.")
  return (request) => {
    // An address that is none is said by the request itself.
    if (!URL.canParse(request.url)) return undefined
    const url = new URL(request.url)
    if (method !== undefined && method.toUpperCase() !== request.method) return undefined
    if (base !== undefined && `${url.protocol}//${url.host}` !== base) return undefined
    if (pattern !== undefined && !isFound(pattern, url.pathname)) return undefined
    if (params.some(([name, value]) => url.searchParams.get(name) !== value)) return undefined
    const lower = new Map(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]))
    return headers.every(([name, value]) => lower.get(name.toLowerCase()) === value) ? { weight } : undefined
  }
}

/** Calls of one policy: how long the next has to wait, in milliseconds. */
interface Policy {
  readonly matchers: ReadonlyArray<Matcher>
  readonly wait: (now: number, weight: number) => number
  readonly answered: (left: number | undefined, resetAt: number | undefined, now: number) => void
}

const movingWindow = (component: Component, expressions: Expressions, matchers: ReadonlyArray<Matcher>): Policy => {
  const rates = component.children("rates").map((rate) => ({
    limit: Number(expressions.value(str(rate.get("limit") ?? 1), {})),
    millis: millisOf(rate, "interval")
  }))
  for (const { limit } of rates) if (!(limit >= 1)) component.fail("rates", "each limit must be at least 1.")
  const longest = Math.max(...rates.map(({ millis }) => millis))
  const calls: Array<number> = []
  return {
    matchers,
    wait: (now, weight) => {
      while ((calls[0] ?? now) <= now - longest) calls.shift()
      let wait = 0
      for (const { limit, millis } of rates) {
        const inside = calls.filter((at) => at > now - millis)
        // A call that weighs more than the limit waits for an empty window, not for ever.
        const over = inside.length + Math.min(weight, limit) - limit
        if (over > 0) wait = Math.max(wait, (inside[Math.min(over, inside.length) - 1] ?? now) + millis - now)
      }
      if (wait === 0) for (let index = 0; index < weight; index++) calls.push(now)
      return wait
    },
    answered: (left, _resetAt, now) => {
      // Nothing is left: the window is taken for full.
      const limit = rates[0]?.limit ?? 0
      if (left === 0) while (calls.filter((at) => at > now - longest).length < limit) calls.push(now)
    }
  }
}

const fixedWindow = (component: Component, matchers: ReadonlyArray<Matcher>): Policy => {
  const limit = component.number("call_limit", 1)
  const millis = millisOf(component, "period")
  let used = 0
  let resetAt: number | undefined
  return {
    matchers,
    wait: (now, weight) => {
      if (resetAt === undefined || now >= resetAt) {
        resetAt = now + millis
        used = 0
      }
      if (used + weight > limit && used > 0) return Math.max(1, resetAt - now)
      used += weight
      return 0
    },
    answered: (left, at) => {
      if (left !== undefined) used = Math.max(used, limit - left)
      if (at !== undefined) resetAt = at
    }
  }
}

const unlimited = (matchers: ReadonlyArray<Matcher>): Policy => ({ matchers, wait: () => 0, answered: () => {} })

/** How many requests the manifest allows: `HTTPAPIBudget`. */
export interface Budget {
  /** Waits until the request may be sent. */
  readonly take: (request: PreparedRequest) => Effect.Effect<void>
  readonly answered: (request: PreparedRequest, response: Response) => Effect.Effect<void>
}

export const budgetOf = (component: Component, expressions: Expressions): Budget => {
  const resetHeader = component.optionalText("ratelimit_reset_header") ?? "ratelimit-reset"
  const leftHeader = component.optionalText("ratelimit_remaining_header") ?? "ratelimit-remaining"
  const given = component.get("status_codes_for_ratelimit_hit")
  const hits = new Set(Array.isArray(given) ? given.map(Number) : [429])
  const policies = component.children("policies").map((policy): Policy => {
    const matchers = policy.children("matchers").map((matcher) => matcherOf(matcher, expressions))
    switch (policy.type) {
      case "MovingWindowCallRatePolicy":
        return movingWindow(policy, expressions, matchers)
      case "FixedWindowCallRatePolicy":
        return fixedWindow(policy, matchers)
      case "UnlimitedCallRatePolicy":
        return unlimited(matchers)
      default:
        return policy.fail("type", `${policy.type} is not a policy.`, "unsupported")
    }
  })
  const find = (request: PreparedRequest) => {
    for (const policy of policies) {
      if (policy.matchers.length === 0) return { policy, weight: 1 }
      for (const matcher of policy.matchers) {
        const match = matcher(request)
        if (match !== undefined) return { policy, weight: match.weight }
      }
    }
    return undefined
  }
  return {
    take: Effect.fnUntraced(function* (request) {
      const found = find(request)
      if (found === undefined) return
      for (;;) {
        const wait = found.policy.wait(yield* Clock.currentTimeMillis, found.weight)
        if (wait === 0) return
        yield* Effect.sleep(wait)
      }
    }),
    answered: Effect.fnUntraced(function* (request, response) {
      const found = find(request)
      if (found === undefined) return
      const left = response.header(leftHeader)
      const reset = response.header(resetHeader)
      const now = yield* Clock.currentTimeMillis
      found.policy.answered(
        hits.has(response.status) ? 0 : left === undefined ? undefined : Number(left),
        reset === undefined || Number.isNaN(Number(reset)) ? undefined : Number(reset) * 1000,
        now
      )
    })
  }
}
