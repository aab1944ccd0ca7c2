import type { Http } from "@tributary/domain"
import type { Readable } from "node:stream"
import { Clock, Duration, Effect, Exit, Option, Redacted } from "effect"
import { type Authorized, offlineAuthenticator } from "./Authorizer.ts"
import type { Budgets } from "./Budgets.ts"
import { readableText } from "./Charset.ts"
import type { Circuits, Sign } from "./Circuits.ts"
import type { Connections } from "./Connections.ts"
import { acceptEncoding, decode } from "./Decode.ts"
import { isSuccess, type RawAnswer } from "./Exchange.ts"
import { scrub, shownUrl } from "./Found.ts"
import { allowancesIn, isTight } from "./LimitHeaders.ts"
import { header, waitAsked } from "./RetryAfter.ts"
import { longestThrottled, longestWait } from "./RetrySchedule.ts"
import { encodeBody } from "./RequestBody.ts"
import type { Authenticator, Decision, ErrorHandler, RequestDraft } from "./slots/index.ts"
import { decided, refusal } from "./Refusal.ts"
import { Decided, Redirected, type SourceReason } from "./SourceError.ts"
import type { Waits } from "./Waits.ts"
import type { WireShape } from "./Wire.ts"

/** An answer of the API that the stream can read. */
export interface Answer {
  readonly status: number
  readonly headers: RawAnswer["headers"]
  /** Names as they were sent, each followed by its value; `undefined` where that is not known. */
  readonly sentHeaders?: RawAnswer["sentHeaders"]
  /** Without content encodings. Empty where `stream` is. */
  readonly body: Buffer
  /** The body as it comes in, for extractors that read in parts. */
  readonly stream: Readable | undefined
  /** Where the answer came from, after redirects. */
  readonly target: URL
  /** `target` as it may be shown. */
  readonly url: string
  /** Secrets that the request carried, the access token among them: an answer may repeat them. */
  readonly secrets: ReadonlyArray<string>
  /** The charset that the body is in whatever its headers say; `undefined`: they say it, or it is UTF-8. */
  readonly charset?: string | undefined
  /** The stream's error handler says that this is no page at all: no records, and the end of its slice. */
  readonly isIgnored: boolean
}

export interface TransportOptions {
  readonly connections: Connections
  readonly http: typeof Http.Type
  readonly budgets: Budgets["Service"]
  readonly authenticator: Authenticator | undefined
  readonly circuits: Circuits
  /** Told of the host of each request before it is sent. */
  readonly meets: (host: string) => Effect.Effect<void>
  /** Knows who waits for long. */
  readonly waits: Waits
  readonly wire: WireShape
}

/** What is the same for all requests of a walk. */
export interface SendSettings {
  readonly secrets: ReadonlyArray<string>
  /** Query parameters that may be shown. */
  readonly ownParameters: ReadonlySet<string>
  /** Value of the Accept header. */
  readonly accept: string
  /** In place of the connector's. */
  readonly authenticator: Authenticator | undefined
  readonly errorHandler: ErrorHandler | undefined
  /** Bodies of successes are read as they come in. */
  readonly streams: boolean
  /** See `Answer.charset`. */
  readonly charset?: string | undefined
  /** A redirect to another origin is followed, without credentials and headers. */
  readonly mayLeave?: boolean
}

const mostRedirects = 3
const redirects = new Set([301, 302, 303, 307, 308])
const isRedirect = (status: number): boolean => redirects.has(status)

/** A request whose answer is judged by whoever asked for it. */
export interface JudgedOptions {
  /** The header that the connector's token goes into, and what stands before it; `undefined`: the request is not authorized. */
  readonly token:
    | {
        readonly name: string
        readonly prefix: string
        /** Whose token it is; `undefined`: the connector's. */
        readonly authorizer?: Authenticator | undefined
      }
    | undefined
  /** Values that must never be shown. */
  readonly secrets: ReadonlyArray<string>
}

/** An authenticator whose token goes into another header. */
const sentAs = (given: Authenticator, { name, prefix }: NonNullable<JudgedOptions["token"]>): Authenticator => {
  const header = name.toLowerCase()
  if (header === "authorization" && prefix === "Bearer") return given
  return {
    ...given,
    authorize: (method, url) =>
      Effect.map(given.authorize(method, url), (authorized) => {
        const { authorization, ...rest } = Redacted.value(authorized.headers)
        const token = authorization?.replace(/^\S+ /u, "")
        if (token === undefined) return authorized
        const value = prefix === "" ? token : `${prefix} ${token}`
        return { ...authorized, headers: Redacted.make({ ...rest, [header]: value }) }
      })
  }
}

/** Sends requests of one connector: within the budget, authorized, and every answer that is no success told apart. */
export const makeTransport = ({
  authenticator,
  budgets,
  circuits,
  connections,
  http,
  meets,
  waits,
  wire
}: TransportOptions) => {
  const rate = http.rate_limit
  const keyOf = (host: string): string => rate?.key ?? host
  /** Budgets of which little was left when something was last said of them. */
  const tight = new Set<string>()

  /** Tells the budget what the API says is left. No reset is waited for longer than a request that is refused. */
  const learn = (key: string, { headers, status }: RawAnswer, url: string, now: number): Effect.Effect<void> => {
    if (!http.adapt) return Effect.void
    const found = allowancesIn(headers, now, http.limit_headers).map(({ name, remaining, resetIn }) => ({
      name,
      remaining,
      resetIn: Math.min(resetIn, longestThrottled)
    }))
    const used = found.filter(({ remaining }) => remaining <= 0)
    if (used.length > 0 && isSuccess(status)) {
      const until = now + Math.max(...used.map(({ resetIn }) => resetIn))
      waits.note(key, until, `${url} answered ${status} and says that nothing is left of the API's limits.`)
    }
    if (found.length === 0 || !(isTight(found) || tight.has(key))) return Effect.void
    if (isTight(found)) tight.add(key)
    else tight.delete(key)
    return budgets.learn(key, found)
  }

  /** Where a redirect leads, if it may be followed. */
  const follow = (answer: RawAnswer, target: URL, url: string, hops: number, mayLeave: boolean) => {
    const location = header(answer.headers, "location") ?? ""
    const { status } = answer
    if (location === "" || !URL.canParse(location, target.href)) {
      return new Redirected({ url, status, problem: "it redirects, but names no address to go to." })
    }
    const next = new URL(location, target)
    if (next.origin !== target.origin && !(mayLeave && /^https?:$/u.test(next.protocol))) {
      const problem = `it redirects to ${next.origin}, which was not followed because the credentials would go there. If that is the API, use it in http.base_url.`
      return new Redirected({ url, status, problem })
    }
    return hops < mostRedirects
      ? next
      : new Redirected({ url, status, problem: `it redirects more than ${mostRedirects} times.` })
  }

  /**
   * Sends one request, follows redirects within the origin, and once tries again with a new token after a 401. Nothing else is
   * tried again here. `failures` counts how often in a row this request has failed before.
   */
  const send = Effect.fn("connector.request")(function* (
    draft: RequestDraft,
    settings: SendSettings,
    failures: number
  ): Effect.fn.Return<Answer, SourceReason> {
    const { errorHandler } = settings
    let authorizer = settings.authenticator ?? authenticator
    const key = keyOf(draft.url.host)
    let target = draft.url
    let { method } = draft
    let body = draft.body === undefined ? undefined : encodeBody(draft.body)
    let hops = 0
    let own = draft.headers
    let isSecondTry = false
    let hasNonce = false
    /** What the last answer said of the time to come back. */
    let asked: number | undefined
    /** One sending; `undefined`: it is to be sent anew. */
    const turn = Effect.fnUntraced(function* (url: string): Effect.fn.Return<Answer | undefined, SourceReason> {
      yield* waits.taking(key, budgets.take(key, rate))
      const authorized: Authorized | undefined =
        authorizer === undefined ? undefined : yield* authorizer.authorize(method, target)
      const headers: Record<string, string> = {
        accept: settings.accept,
        "accept-encoding": acceptEncoding,
        // Some APIs, GitHub's among them, refuse requests without.
        "user-agent": "tributary",
        ...(body === undefined ? {} : { "content-type": body.contentType }),
        ...own
      }
      if (authorized !== undefined) Object.assign(headers, Redacted.value(authorized.headers))
      const secrets =
        authorized === undefined ? settings.secrets : [...settings.secrets, ...Redacted.value(authorized.secrets)]
      const request = { method, target, headers, body: body?.bytes }
      const raw = yield* wire.send({ request, limits: http, url, streams: settings.streams, secrets }, connections)
      const now = yield* Clock.currentTimeMillis
      yield* learn(key, raw, url, now)
      const wantsNonce =
        authorized !== undefined &&
        (yield* authorized.answered(raw.status, {
          "dpop-nonce": header(raw.headers, "dpop-nonce"),
          "www-authenticate": header(raw.headers, "www-authenticate")
        }))
      if (wantsNonce && !hasNonce) {
        hasNonce = true
        return undefined
      }
      const isGood = isSuccess(raw.status)
      if (!isGood && isRedirect(raw.status)) {
        const next = follow(raw, target, url, hops++, settings.mayLeave === true)
        if (!(next instanceof URL)) return yield* next
        if (next.origin !== target.origin) {
          authorizer = undefined
          own = {}
        }
        target = next
        // As fetch does it: only 307 and 308 keep the method (RFC 9110, section 15.4).
        if (method !== "GET" && method !== "HEAD" && raw.status !== 307 && raw.status !== 308) {
          method = "GET"
          body = undefined
        }
        return undefined
      }
      const encoding = header(raw.headers, "content-encoding")
      const { stream } = raw
      const decoded =
        stream !== undefined
          ? raw.body
          : isGood
            ? yield* decode(raw.body, encoding, http.max_page_bytes, url)
            : yield* decode(raw.body, encoding, 1_048_576, url).pipe(Effect.orElseSucceed(() => Buffer.alloc(0)))
      const { status } = raw
      const answer: Answer = {
        status,
        headers: raw.headers,
        ...(raw.sentHeaders === undefined ? {} : { sentHeaders: raw.sentHeaders }),
        body: decoded,
        stream,
        target,
        url,
        secrets,
        charset: settings.charset,
        isIgnored: false
      }
      const decision =
        errorHandler === undefined || (isGood && !errorHandler.seesSuccesses)
          ? undefined
          : yield* decisionOf(errorHandler, answer, failures, now)
      const made = decision === undefined ? undefined : decided(decision, answer)
      if (made === undefined ? isGood : !(made instanceof Decided)) {
        const wait = http.adapt ? waitAsked(raw.headers, now, true) : undefined
        if (wait !== undefined && wait > 0) {
          const pause = Math.min(wait, longestWait)
          waits.note(key, now + pause, `${url} answered ${status} and says that nothing is left of the API's limits.`)
          yield* budgets.pause(key, Duration.millis(pause))
        }
        return made instanceof Decided || made === undefined ? answer : made
      }
      const said = { ...raw, body: readableText(raw.headers, decoded, settings.charset) }
      const reason = made instanceof Decided ? made : refusal(said, url, secrets, now, authorizer)
      const isRefused =
        reason._tag === "Unauthorized" || (reason._tag === "Decided" && reason.action === "refresh-token")
      if (isRefused && authorized !== undefined && !isSecondTry) {
        isSecondTry = true
        yield* authorized.rejected
        return undefined
      }
      const wait =
        reason._tag === "Throttled"
          ? reason.retryAfter
          : reason._tag === "Decided" && reason.action === "throttle"
            ? reason.wait
            : undefined
      if (wait !== undefined) {
        const pause = Math.min(wait, longestWait)
        waits.note(key, now + pause, reason.message)
        yield* budgets.pause(key, Duration.millis(pause))
      }
      asked = waitAsked(raw.headers, now, false)
      return yield* reason
    })
    for (;;) {
      const url = scrub(shownUrl(target, settings.ownParameters), settings.secrets)
      yield* meets(target.host)
      const answer = yield* circuits.guard(target.host, http.circuit_breaker, url, turn(url), (exit) =>
        signOf(exit, asked)
      )
      if (answer !== undefined) return answer
    }
  })

  /** Sends a request whose answer is judged by whoever asked for it; see `EngineTools.send`. */
  const exchangeOnce = (draft: RequestDraft, { secrets, token }: JudgedOptions): Effect.Effect<Answer, SourceReason> =>
    Effect.suspend(() => {
      let refused = 0
      const authorizer = token === undefined ? undefined : (token.authorizer ?? authenticator)
      const errorHandler: ErrorHandler = {
        seesSuccesses: false,
        decide: ({ status }) =>
          token !== undefined && status === 401 && refused++ === 0 && authorizer?.isPlain === false
            ? undefined
            : { action: "success" }
      }
      const settings = {
        secrets,
        ownParameters: new Set<string>(),
        accept: "*/*",
        authenticator:
          token === undefined || authorizer === undefined ? offlineAuthenticator : sentAs(authorizer, token),
        errorHandler,
        streams: false
      }
      return send(draft, settings, 0)
    })

  /** For those who try again: a reason without an address is of the tokens. */
  const waiting = {
    waits,
    budgetOf: (reason: SourceReason): string =>
      "url" in reason && URL.canParse(reason.url) ? keyOf(new URL(reason.url).host) : "tokens"
  }

  return { send, exchange: exchangeOnce, startedAt: wire.startedAt, waiting }
}

/** What the end of a request says of its host. An answer that means "not now" or "not so" comes from a host that is there. */
const signOf = (exit: Exit.Exit<unknown, SourceReason>, retryAfter: number | undefined): Sign => {
  if (Exit.isSuccess(exit)) return { _tag: "Answered" }
  const reason = Option.getOrUndefined(Exit.findErrorOption(exit))
  switch (reason?._tag) {
    case "Unreachable":
    case "TimedOut":
    case "TruncatedJson":
    case "ServerError":
      return { _tag: "Failed", problem: reason.message, retryAfter }
    case "Decided":
      return reason.action === "retry" && reason.status >= 500
        ? { _tag: "Failed", problem: reason.message, retryAfter: reason.wait }
        : { _tag: "Answered" }
    // Nobody was asked.
    case undefined:
    case "BadSetting":
    case "NoToken":
    case "HostDown":
      return { _tag: "Unknown" }
    default:
      return { _tag: "Answered" }
  }
}

/** The decision, whether it was given as a value or as an effect. */
const decisionOf = (
  handler: ErrorHandler,
  answer: Answer,
  failures: number,
  now: number
): Effect.Effect<Decision | undefined, SourceReason> => {
  const decision = handler.decide(answer, failures, now)
  return Effect.isEffect(decision) ? decision : Effect.succeed(decision)
}

export type Transport = ReturnType<typeof makeTransport>
