import { FailureClass } from "@tributary/domain"
import { Effect, Schema } from "effect"
import {
  BadJobAnswer,
  JobExpired,
  JobFailed,
  JobTimedOut,
  NoJobSlot,
  ResultRefused,
  UnknownJobStatus
} from "./JobError.ts"
import { StillThrottled, Throttled } from "./Throttled.ts"

export { StillThrottled, Throttled }

/** The address without its query's values, except those that Tributary itself counts (page, offset, since). */
const Request = { url: Schema.String }
/** First bytes of what was found, cleaned of control characters and secrets. */
const Found = { found: Schema.String }

/** No connection, or it broke. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  ...Request,
  problem: Schema.String,
  /** The proxy that was not reached, so that nothing is known of the API itself. */
  proxy: Schema.optionalKey(Schema.String)
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return this.proxy === undefined
      ? `${this.url}: ${this.problem}. Check http.base_url and that the host can be reached from here.`
      : `${this.url}: asked through the proxy ${this.proxy}: ${this.problem}. Check http.proxy, or HTTP_PROXY and HTTPS_PROXY of the environment.`
  }
}

/** Nothing came within one of the limits of `http`. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  ...Request,
  waitedFor: Schema.Literals([
    "a connection",
    "the first byte of the answer",
    "the next part of the body",
    "the end of the answer"
  ]),
  /** The setting that limits the wait. */
  setting: Schema.Literals(["http.connect_timeout", "http.headers_timeout", "http.body_timeout", "http.page_timeout"]),
  millis: Schema.Finite
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url}: waited ${this.millis / 1000} s for ${this.waitedFor} (${this.setting}).`
  }
}

/** An answer that says the API itself is in trouble (408, 425, 5xx). */
export class ServerError extends Schema.TaggedError<ServerError>()("ServerError", {
  ...Request,
  ...Found,
  status: Schema.Int
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url} answered ${this.status}: ${this.found} If it stays, look at the API.`
  }
}

/** The body ends before the JSON does, or before its announced length. */
export class TruncatedJson extends Schema.TaggedError<TruncatedJson>()("TruncatedJson", {
  ...Request,
  bytes: Schema.Int,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url}: the answer breaks off after ${this.bytes} bytes. ${this.problem} If it stays, ask for smaller pages, or look at the API.`
  }
}

/** The host failed too often, and it is not back: another request has just tried it (`http.circuit_breaker`). */
export class HostDown extends Schema.TaggedError<HostDown>()("HostDown", {
  ...Request,
  host: Schema.String,
  /** Failures in a row. */
  failures: Schema.Int,
  /** What the last one was. */
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url} was not asked: ${this.host} has failed ${this.failures} times in a row and is tried again from time to time. Last: ${this.problem}`
  }
}

/** The API refused a fresh token (401). */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  ...Request,
  ...Found,
  /** What the WWW-Authenticate header says. */
  challenge: Schema.UndefinedOr(Schema.String),
  advice: Schema.String,
  failureClass: FailureClass
}) {
  override get message(): string {
    const challenge = this.challenge === undefined ? "" : ` (${this.challenge})`
    return `${this.url} answered 401${challenge}: ${this.found} ${this.advice}`
  }
}

/** The token does not allow this request (403, RFC 6750 `insufficient_scope`). */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  ...Request,
  ...Found,
  status: Schema.Int,
  /** Scopes that the connector asks for. */
  scopes: Schema.Array(Schema.String),
  /** Scopes that the API names as needed. */
  needed: Schema.UndefinedOr(Schema.String)
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    const asked = this.scopes.length === 0 ? "no scopes" : `the scopes ${this.scopes.join(", ")}`
    const needed = this.needed === undefined ? "" : ` The API asks for the scope ${this.needed}.`
    return (
      `${this.url} answered ${this.status}: ${this.found} The connector asks for ${asked} (auth.scopes).${needed}` +
      " Add what is missing, or have the client allowed to use it."
    )
  }
}

/** The API does not accept the request, and will not if it is repeated (400, 404, 410, 422, ...). */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { ...Request, ...Found, status: Schema.Int }) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    const advice =
      this.status === 404 || this.status === 410
        ? "Check http.base_url and the stream's path."
        : "Check the stream's path, query, pagination and incremental settings."
    return `${this.url} answered ${this.status}: ${this.found} ${advice}`
  }
}

/** A redirect that is not followed, because it would carry the credentials elsewhere, or does not end. */
export class Redirected extends Schema.TaggedError<Redirected>()("Redirected", {
  ...Request,
  status: Schema.Int,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url} answered ${this.status}: ${this.problem}`
  }
}

/** The body is something else than JSON. */
export class NotJson extends Schema.TaggedError<NotJson>()("NotJson", {
  ...Request,
  ...Found,
  contentType: Schema.UndefinedOr(Schema.String),
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    const type = this.contentType === undefined ? "" : ` (content-type ${this.contentType})`
    return `${this.url}: expected JSON, found ${this.problem}${type}: ${this.found} Check http.base_url and the stream's path.`
  }
}

/** A success by its status, but the body reports an error. It may pass, so the supervisor tries again later. */
export class ErrorBody extends Schema.TaggedError<ErrorBody>()("ErrorBody", {
  ...Request,
  ...Found,
  status: Schema.Int,
  selector: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return (
      `${this.url} answered ${this.status}, but with an error and without records at ${this.selector}: ${this.found} ` +
      "If this is how the API says that there is nothing, correct the stream's records; else see what the API says."
    )
  }
}

/** The body has no records where the stream's `records` says. Never taken for "no records". */
export class NoRecords extends Schema.TaggedError<NoRecords>()("NoRecords", {
  ...Request,
  ...Found,
  selector: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url}: no list of records at ${this.selector} (the stream's records): ${this.problem}. ` +
      `The answer begins: ${this.found} Correct the selector, or the path.`
    )
  }
}

/** The body is in a charset that is not known, or not in the one that is said. */
export class BadCharset extends Schema.TaggedError<BadCharset>()("BadCharset", {
  ...Request,
  /** What says in which charset it is. */
  place: Schema.String,
  expected: Schema.String,
  found: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url}: the charset that ${this.place} says: expected ${this.expected}, found ${this.found}. ` +
      "Set the stream's charset to what the body is written in."
    )
  }
}

/** The body is larger than a page may be. */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", {
  ...Request,
  limit: Schema.Int,
  /** Size that the answer announced, or read so far. */
  bytes: Schema.Int
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url}: the body has ${this.bytes} bytes or more, the limit is ${this.limit}. ` +
      "Ask for smaller pages, or raise http.max_page_bytes."
    )
  }
}

/** The API leads in a circle, or never comes to an end. */
export class CursorRepeated extends Schema.TaggedError<CursorRepeated>()("CursorRepeated", {
  ...Request,
  page: Schema.Int,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: after page ${this.page}, ${this.problem} The walk was stopped; check the stream's pagination.`
  }
}

/** The next page's address is at another origin: following it would send the credentials there. */
export class ForeignUrl extends Schema.TaggedError<ForeignUrl>()("ForeignUrl", {
  ...Request,
  next: Schema.String,
  expected: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url} names a next page at ${this.next}, but the connector's origin is ${this.expected}. It was not followed, ` +
      "because the credentials would go there. If it is the API, use its origin in http.base_url."
    )
  }
}

/** The next page cannot be told from the answer. */
export class NoNextPage extends Schema.TaggedError<NoNextPage>()("NoNextPage", {
  ...Request,
  ...Found,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: ${this.problem} Found ${this.found} Check the stream's pagination.`
  }
}

/** A setting that cannot be used as it is. */
export class BadSetting extends Schema.TaggedError<BadSetting>()("BadSetting", {
  setting: Schema.String,
  problem: Schema.String,
  /** A secret of the setting may be kept by a server that is away. */
  failureClass: FailureClass.pipe(Schema.withConstructorDefault(Effect.succeed("misconfigured" as const)))
}) {
  override get message(): string {
    return `${this.setting}: ${this.problem}`
  }
}

/** No access token can be had. */
export class NoToken extends Schema.TaggedError<NoToken>()("NoToken", {
  problem: Schema.String,
  failureClass: FailureClass,
  /** Milliseconds that the authorization server asked to wait. */
  retryAfter: Schema.UndefinedOr(Schema.Finite)
}) {
  override get message(): string {
    return this.problem
  }
}

/** A slot in code could make no records of an answer. */
export class BadRecords extends Schema.TaggedError<BadRecords>()("BadRecords", {
  ...Request,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: the stream's code could not make records of the answer: ${this.problem} Correct the code, or see what the API sends.`
  }
}

/** A request that a cassette has no answer to. */
export class NotRecorded extends Schema.TaggedError<NotRecorded>()("NotRecorded", {
  ...Request,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: ${this.problem} Record it again with tributary record, or correct what has changed.`
  }
}

/** What the stream's own error handler (`errors`) made of an answer. */
export class Decided extends Schema.TaggedError<Decided>()("Decided", {
  ...Request,
  status: Schema.Int,
  action: Schema.Literals(["fail", "retry", "throttle", "refresh-token", "restart", "reset"]),
  message: Schema.String,
  failureClass: FailureClass,
  /** Milliseconds until the request may be sent again, if the handler says. */
  wait: Schema.UndefinedOr(Schema.Finite)
}) {}

/** What happened. */
export const SourceReason = Schema.Union([
  Unreachable,
  TimedOut,
  ServerError,
  TruncatedJson,
  HostDown,
  Throttled,
  StillThrottled,
  Unauthorized,
  Forbidden,
  Refused,
  Redirected,
  NotJson,
  ErrorBody,
  NoRecords,
  BadCharset,
  TooLarge,
  CursorRepeated,
  ForeignUrl,
  NoNextPage,
  BadSetting,
  NoToken,
  BadRecords,
  NotRecorded,
  Decided,
  BadJobAnswer,
  JobExpired,
  JobFailed,
  JobTimedOut,
  NoJobSlot,
  ResultRefused,
  UnknownJobStatus
])
export type SourceReason = typeof SourceReason.Type

/** The only error of the engine: which stream of which connector, and the reason. */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  connector: Schema.String,
  /** `undefined` when the connector as a whole cannot run. */
  stream: Schema.UndefinedOr(Schema.String),
  reason: SourceReason
}) {
  get failureClass(): FailureClass {
    return this.reason.failureClass
  }
  /** Milliseconds to wait before the next attempt, when the other side said. */
  get retryAfter(): number | undefined {
    const { reason } = this
    if (reason._tag === "Decided") return reason.wait
    return reason._tag === "Throttled" || reason._tag === "StillThrottled" || reason._tag === "NoToken"
      ? reason.retryAfter
      : undefined
  }
  override get message(): string {
    const stream = this.stream === undefined ? "" : `/${this.stream}`
    return `${this.connector}${stream}: ${this.reason.message}`
  }
}
