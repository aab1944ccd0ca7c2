import { Clock, Effect, Semaphore } from "effect"
import { Component } from "../component/Component.ts"
import type { Expressions } from "../component/Expressions.ts"
import { noCredentials, type PreparedRequest } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"
import { failure, RunError } from "../component/RunError.ts"
import { PyTimeDelta } from "../expression/DateTime.ts"
import { dictEntries, dictGet, dictOf } from "../expression/Dict.ts"
import { parseDuration } from "../expression/Duration.ts"
import { parseToUtc } from "../expression/IsoTime.ts"
import { PyError } from "../expression/PyError.ts"
import { str } from "../expression/Repr.ts"
import type { Value } from "../expression/Value.ts"
import { type Matcher, matcherOf } from "./Budget.ts"
import { log } from "./Message.ts"
import { type Authenticator, isRefusal, type Requester } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** What is left of a pool of calls for one token. */
interface Left {
  remaining: number
  /** Milliseconds since 1970. */
  resetAt: number
  limit: number
  /** False: the API counts nothing here. */
  readonly isTracked: boolean
}

interface Pool {
  readonly name: string
  readonly component: Component
  readonly matchers: ReadonlyArray<Matcher>
  readonly exhausting: ReadonlySet<number>
}

/** Longest wait before one request, to spread the last calls of a window. */
const longestDelay = 10_000
/** A window that has ended already is waited for at least this long, so that its end is not asked for in a loop. */
const shortestWait = 5000
/** So far may the end of a window be told apart by two answers. */
const skew = 60_000

const millisOf = (value: Value): number => {
  if (typeof value === "number" || (typeof value === "string" && /^\d{1,10}$/.test(value))) return Number(value) * 1000
  if (typeof value === "string") return Number(parseToUtc(value).epochMicros / 1000n)
  throw new PyError("ValueError", `Could not parse datetime string: ${str(value)}`)
}

const numberIn = (response: Response, name: string | undefined): number | undefined => {
  const text = name === undefined || name === "" ? undefined : response.header(name)
  return text !== undefined && /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : undefined
}

const timeIn = (response: Response, name: string | undefined): number | undefined => {
  const text = name === undefined || name === "" ? undefined : response.header(name)
  if (text === undefined) return undefined
  try {
    return millisOf(text)
  } catch (error) {
    if (error instanceof PyError) return undefined
    throw error
  }
}

/** What a path of a pool leads to in the answer about quotas. */
const found = (body: Value, pool: Pool, setting: string): Value => {
  const path = pool.component.texts(setting)
  let value: Value | undefined = body
  for (const key of path) {
    const dict = dictOf(value)
    value = dict === undefined ? undefined : dictGet(dict, key)
    if (value === undefined) {
      throw failure(
        `The answer of quota_status_source has nothing at ${path.join(".")}, the ${setting} of the quota ${pool.name}.`
      )
    }
  }
  return value ?? null
}

const whole = (value: Value, pool: Pool, setting: string): number => {
  const number = typeof value === "string" || typeof value === "number" ? Math.trunc(Number(value)) : Number.NaN
  if (Number.isNaN(number)) throw failure(`The ${setting} of the quota ${pool.name} leads to no number.`)
  return number
}

const tokensOf = (component: Component, expressions: Expressions): ReadonlyArray<string> => {
  const given = component.get("tokens")
  const texts = Array.isArray(given)
    ? given.map((token) => expressions.text(token, {}))
    : expressions.text(given ?? "", {}).split(component.optionalText("token_delimiter") || ",")
  const tokens = texts.map((token) => token.trim()).filter((token) => token !== "")
  return tokens.length > 0 ? tokens : component.fail("tokens", "the config has none.")
}

/** What the authenticator is made of, with its expressions evaluated. */
const settingsOf = (component: Component, expressions: Expressions) => {
  const source = component.needed("quota_status_source")
  const headers = dictOf(source.get("request_headers"))
  const longest = parseDuration(expressions.text(component.optionalText("max_wait_time") || "PT2H", {}))
  if (!(longest instanceof PyTimeDelta)) {
    return component.fail("max_wait_time", "months and years have no fixed length; expected a duration such as PT2H.")
  }
  const codes = source.get("unavailable_status_codes")
  return {
    tokens: tokensOf(component, expressions),
    method: component.optionalText("auth_method") || "Bearer",
    header: component.optionalText("header") || "Authorization",
    longest: Number(longest.micros / 1000n),
    fraction: component.number("budget_reserve_fraction", 0.1),
    reserve: component.number("budget_min_reserve", 50),
    url: expressions.text(source.text("url"), {}),
    asking: source.optionalText("http_method") ?? "GET",
    headers: Object.fromEntries(
      (headers === undefined ? [] : dictEntries(headers)).map(([name, value]) => [
        str(name),
        expressions.text(value, {})
      ])
    ),
    unavailable: Array.isArray(codes) ? codes.map(Number) : []
  }
}

type Settings = ReturnType<typeof settingsOf>

/** Asks how many calls a token has left. */
type Ask = (token: string) => Effect.Effect<Response, RunError>

const made = (run: Run, component: Component, settings: Settings, ask: Ask): Authenticator => {
  const { header, method, tokens } = settings
  const pools = component.children("quotas").map((quota): Pool => {
    const codes = quota.get("exhaustion_status_codes")
    return {
      name: quota.text("name"),
      component: quota,
      matchers: quota.children("matchers").map((matcher) => matcherOf(matcher, run.expressions)),
      exhausting: new Set(Array.isArray(codes) ? codes.map(Number) : [])
    }
  })
  const mutex = Semaphore.makeUnsafe(1)
  let left = new Map<string, ReadonlyMap<string, Left>>()
  let active = 0
  const isSaid = { delay: false, untracked: false }

  const poolOf = (request: PreparedRequest): Pool => {
    const matched = pools.find(({ matchers }) => matchers.some((matches) => matches(request) !== undefined))
    return (
      matched ??
      pools.find(({ matchers }) => matchers.length === 0) ??
      pools[0] ??
      component.fail("quotas", "it is empty.")
    )
  }
  const leftOf = (token: string, pool: Pool): Left =>
    left.get(token)?.get(pool.name) ?? { remaining: 0, resetAt: 0, limit: 0, isTracked: false }

  const asked = Effect.fnUntraced(function* (token: string) {
    const answer = yield* ask(token)
    const now = yield* Clock.currentTimeMillis
    return yield* pure(() => {
      if (settings.unavailable.includes(answer.status)) {
        return new Map(
          pools.map(({ name }): [string, Left] => [name, { remaining: 0, resetAt: now, limit: 0, isTracked: false }])
        )
      }
      const body = answer.json ?? null
      return new Map(
        pools.map((pool): [string, Left] => {
          const remaining = whole(found(body, pool, "remaining_path"), pool, "remaining_path")
          const limit =
            pool.component.texts("limit_path").length === 0
              ? remaining
              : whole(found(body, pool, "limit_path"), pool, "limit_path")
          return [pool.name, { remaining, limit, resetAt: millisOf(found(body, pool, "reset_path")), isTracked: true }]
        })
      )
    })
  })

  const seed = Effect.gen(function* () {
    const next = new Map<string, ReadonlyMap<string, Left>>()
    for (const token of tokens) next.set(token, yield* asked(token))
    left = next
    isSaid.delay = false
    const uncounted = [...next.values()].filter((byPool) => [...byPool.values()].some(({ isTracked }) => !isTracked))
    if (uncounted.length > 0 && !isSaid.untracked) {
      isSaid.untracked = true
      yield* run.emit(
        log(
          "INFO",
          `The API counts no calls for ${uncounted.length} of ${tokens.length} tokens; they are used in turn, without waiting.`
        )
      )
    }
  })

  const isSpent = (pool: Pool): boolean =>
    tokens.every((token) => {
      const { isTracked, remaining } = leftOf(token, pool)
      return remaining <= 0 && isTracked
    })

  /** Milliseconds before a call, so that the last ones last until the window ends. */
  const delayOf = (pool: Pool, token: string, now: number): number => {
    const all = tokens.map((each) => leftOf(each, pool))
    if (all.some(({ isTracked }) => !isTracked)) return 0
    const isLow = ({ limit, remaining }: Left) => remaining <= Math.max(settings.reserve, limit * settings.fraction)
    if (!all.every(isLow)) return 0
    const rest = leftOf(token, pool).resetAt - now
    const calls = all.reduce((sum, { remaining }) => sum + Math.max(remaining, 0), 0)
    return calls <= 0 || rest <= 0 ? 0 : Math.min(rest / calls, longestDelay)
  }

  /** The token that the next call of a pool is made with. */
  const taken = Effect.fnUntraced(function* (pool: Pool): Effect.fn.Return<string, RunError> {
    let until: number | undefined
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      const token = tokens[active % tokens.length] ?? ""
      const own = leftOf(token, pool)
      if (!own.isTracked) {
        active++
        return token
      }
      if (own.remaining > 0) {
        own.remaining--
        const delay = delayOf(pool, token, now)
        if (delay < 100) return token
        if (!isSaid.delay) {
          isSaid.delay = true
          yield* run.emit(
            log("INFO", `The quota ${pool.name} is nearly used up: requests wait ${(delay / 1000).toFixed(1)}s.`)
          )
        }
        yield* Effect.sleep(delay)
        return token
      }
      if (!isSpent(pool)) {
        active++
        continue
      }
      until ??= now + settings.longest
      const wait = Math.min(...tokens.map((each) => leftOf(each, pool).resetAt)) - now
      if (until <= now || wait >= until - now) {
        return yield* new RunError({
          problem: `Rate limit is exceeded for all provided tokens (quota ${pool.name}); it ends in ${Math.ceil(wait / 1000)}s, and max_wait_time is ${settings.longest / 1000}s.`,
          failureType: "transient_error",
          stated: "throttled",
          retryAfter: Math.max(wait, shortestWait)
        })
      }
      const pause = Math.min(Math.max(wait, shortestWait), until - now)
      yield* run.emit(log("INFO", `All tokens are used up (quota ${pool.name}); waiting ${Math.ceil(pause / 1000)}s.`))
      yield* Effect.sleep(pause)
      // Whoever wakes first asks anew for all.
      yield* mutex.withPermit(Effect.suspend(() => (isSpent(pool) ? seed : Effect.void)))
    }
  })

  const tokenIn = (request: PreparedRequest): string | undefined => {
    const value = request.headers[header]
    if (value === undefined || !value.startsWith(`${method} `)) return undefined
    const token = value.slice(method.length + 1).trim()
    return left.has(token) ? token : undefined
  }

  return {
    credentials: Effect.succeed(noCredentials),
    refresh: undefined,
    sign: Effect.fnUntraced(function* (request) {
      if (left.size === 0) yield* mutex.withPermit(Effect.suspend(() => (left.size === 0 ? seed : Effect.void)))
      const pool = yield* pure(() => poolOf(request))
      const token = yield* taken(pool)
      return { ...request, headers: { ...request.headers, [header]: `${method} ${token}` } }
    }),
    answered: (request, response) =>
      pure(() => {
        const pool = poolOf(request)
        const token = tokenIn(request)
        if (token === undefined) return
        const isExhausting = pool.exhausting.has(response.status)
        const remaining =
          numberIn(response, pool.component.optionalText("remaining_header")) ?? (isExhausting ? 0 : undefined)
        const resetAt = timeIn(response, pool.component.optionalText("reset_header"))
        const limit = numberIn(response, pool.component.optionalText("limit_header"))
        const own = leftOf(token, pool)
        if (!own.isTracked) return
        if (limit !== undefined && limit > 0 && (resetAt === undefined || resetAt >= own.resetAt)) own.limit = limit
        if (resetAt !== undefined && resetAt > own.resetAt) {
          // A new window: what was counted here is of the last one.
          own.resetAt = resetAt
          own.remaining = remaining ?? own.limit
        } else if (
          remaining !== undefined &&
          ((remaining <= 0 && isExhausting) || resetAt === undefined || resetAt >= own.resetAt - skew)
        ) {
          // Answers come in any order: within a window the count only falls.
          own.remaining = Math.min(own.remaining, remaining)
        }
      }),
    hasOther: (request) => {
      const pool = poolOf(request)
      const sender = tokenIn(request)
      if (sender === undefined) return false
      const own = leftOf(sender, pool)
      if (!own.isTracked || own.remaining > 0) return false
      return tokens.some((token) => token !== sender && leftOf(token, pool).remaining > 0)
    }
  }
}

/** One for equal settings, so that all streams of a run count together. */
const shared = new WeakMap<Expressions, Map<string, Authenticator>>()

/** The component `RateLimitedMultipleTokenAuthenticator`: several tokens in turn, each as far as its quota goes. Makes no request. */
export const rotatingTokens = Effect.fnUntraced(function* (
  run: Run,
  component: Component,
  makeRequester: (component: Component, authenticator: Authenticator) => Effect.Effect<Requester, RunError>
): Effect.fn.Return<Authenticator, RunError> {
  const settings = yield* pure(() => settingsOf(component, run.expressions))
  const { $parameters: _, ...data } = component.data
  const key = JSON.stringify([settings, data["quotas"]])
  const known = shared.get(run.expressions)?.get(key)
  if (known !== undefined) return known
  const { asking, header, headers, method, unavailable, url } = settings
  const requester = new Component(
    {
      type: "HttpRequester",
      url,
      http_method: asking,
      request_headers: headers,
      ...(unavailable.length === 0
        ? {}
        : {
            error_handler: {
              type: "DefaultErrorHandler",
              response_filters: [{ type: "HttpResponseFilter", http_codes: unavailable, action: "IGNORE" }]
            }
          })
    },
    `${component.path}.quota_status_source`
  )
  const ask: Ask = Effect.fnUntraced(function* (token) {
    const credentials = { ...noCredentials, headers: { [header]: `${method} ${token}` } }
    const { send } = yield* makeRequester(requester, { credentials: Effect.succeed(credentials), refresh: undefined })
    const answer = yield* send(undefined, undefined)
    return isRefusal(answer) ? yield* failure("The quotas of tokens got no usable answer.") : answer
  })
  const authenticator = yield* pure(() => made(run, component, settings, ask))
  const all = shared.get(run.expressions) ?? new Map<string, Authenticator>()
  shared.set(run.expressions, all.set(key, authenticator))
  return authenticator
})
