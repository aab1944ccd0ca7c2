import { AddressRefused } from "@tributary/oauth"
import type { Dispatcher } from "undici"
import { Duration, Effect } from "effect"
import type { Http } from "@tributary/domain"
import { BadSetting, type SourceReason, TimedOut, TooLarge, TruncatedJson, Unreachable } from "./SourceError.ts"
import { type AnswerHeaders, header } from "./RetryAfter.ts"
import { ProxyRefused } from "./Connections.ts"

/** The limits of `http`. */
export type Limits = Pick<
  typeof Http.Type,
  "connect_timeout" | "headers_timeout" | "body_timeout" | "page_timeout" | "max_page_bytes"
>

/** An answer of an API, its body still encoded. */
export interface RawAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly body: Buffer
  /** Names as they were sent, each followed by its value. */
  readonly sentHeaders?: ReadonlyArray<string>
}

/** Of an answer that is no success only so much is read. */
export const largestErrorBody = 65_536

export const isSuccess = (status: number): boolean => status >= 200 && status < 300

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return ""
  if ("code" in error && typeof error.code === "string") return error.code
  // Several addresses of a host were tried.
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error.cause === undefined ? "" : codeOf(error.cause)
}

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there (connection refused)",
  ENOTFOUND: "the host name is not known (DNS)",
  EAI_AGAIN: "the host name cannot be looked up at the moment (DNS)",
  ECONNRESET: "the connection was broken off",
  EPIPE: "the connection was broken off",
  UND_ERR_SOCKET: "the connection was closed before an answer came",
  ETIMEDOUT: "no connection within the time of the operating system",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the network",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate chain holds one that is signed by itself",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate cannot be verified",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS; perhaps it is http:// and not https://",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS; perhaps it is http:// and not https://"
}

const nobodyThere = new Set([sentences["ECONNREFUSED"], sentences["ENOTFOUND"]])

/** Whether there is nobody to talk to, rather than somebody in trouble: most likely the address is wrong. */
export const isRefused = (reason: SourceReason): boolean =>
  reason._tag === "Unreachable" && nobodyThere.has(reason.problem)

/** What a broken exchange means. `read` is the number of body bytes that came; `undefined` before the answer began. */
export const reasonOf = (error: unknown, url: string, limits: Limits, read: number | undefined): SourceReason => {
  const said = error instanceof Error ? error.message : ""
  const proxy =
    /Proxy response \((\d+)\)/u.exec(said)?.[1] ?? /Proxy Authentication Required \((407)\)/u.exec(said)?.[1]
  if (proxy !== undefined) {
    const problem =
      proxy === "407"
        ? "the proxy asks for credentials (407); write them into its address, as in http://user:password@host"
        : `the proxy refused the connection (${proxy})`
    return new Unreachable({ url, problem })
  }
  if (error instanceof ProxyRefused) return new BadSetting({ setting: "http.proxy", problem: error.message })
  if (error instanceof AddressRefused) return new BadSetting({ setting: "http.base_url", problem: error.message })
  const code = codeOf(error)
  switch (code) {
    case "UND_ERR_CONNECT_TIMEOUT": {
      const millis = Duration.toMillis(limits.connect_timeout)
      return new TimedOut({ url, waitedFor: "a connection", setting: "http.connect_timeout", millis })
    }
    case "UND_ERR_HEADERS_TIMEOUT": {
      const millis = Duration.toMillis(limits.headers_timeout)
      return new TimedOut({ url, waitedFor: "the first byte of the answer", setting: "http.headers_timeout", millis })
    }
    case "UND_ERR_BODY_TIMEOUT": {
      const millis = Duration.toMillis(limits.body_timeout)
      return new TimedOut({ url, waitedFor: "the next part of the body", setting: "http.body_timeout", millis })
    }
    case "UND_ERR_INVALID_ARG":
    case "UND_ERR_NOT_SUPPORTED":
      return new BadSetting({
        setting: "http.headers",
        problem: "the request cannot be sent as it is; a header's name or value has characters that are not allowed."
      })
    default:
  }
  if (read !== undefined) return new TruncatedJson({ url, bytes: read, problem: "The connection was closed." })
  if (code.startsWith("UND_ERR_SOCKS5")) {
    const problem = code.startsWith("UND_ERR_SOCKS5_AUTH")
      ? "the proxy does not take the credentials; write them into its address, as in socks5://user:password@host"
      : `the proxy refused the connection (${code})`
    return new Unreachable({ url, problem })
  }
  const known = sentences[code]
  const what = code.startsWith("HPE_")
    ? "the answer is not HTTP"
    : code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS")
      ? "no secure connection (TLS)"
      : "no connection"
  return new Unreachable({ url, problem: known ?? (code === "" ? what : `${what} (${code})`) })
}

/** A connection that cannot be made, and how far it came. */
export interface Unconnected {
  readonly at: "address" | "connection" | "tls"
  readonly reason: SourceReason
}

const ofNames = new Set(["ENOTFOUND", "EAI_AGAIN"])

/** What it means that no connection could be made. */
export const connectionFailure = (error: unknown, url: string, limits: Limits): Unconnected => {
  const code = codeOf(error)
  const at =
    ofNames.has(code) || error instanceof AddressRefused
      ? "address"
      : /CERT|TLS|SSL|SIGNATURE/u.test(code)
        ? "tls"
        : "connection"
  return { at, reason: reasonOf(error, url, limits, undefined) }
}

const isAnnounced = (value: string | undefined): value is string => value !== undefined && /^\d+$/u.test(value)

/** The body as it comes in, in one buffer that grows, up to a limit. */
class Body {
  #bytes: Buffer
  length = 0
  constructor(announced: number | undefined) {
    this.#bytes = Buffer.allocUnsafeSlow(announced ?? 65_536)
  }
  add(chunk: Uint8Array): void {
    const wanted = this.length + chunk.length
    if (wanted > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * this.#bytes.length))
      this.#bytes.copy(larger, 0, 0, this.length)
      this.#bytes = larger
    }
    this.#bytes.set(chunk, this.length)
    this.length = wanted
  }
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }
}

const stop = new Error("The answer is not needed any more.")

/** A request as it goes to the wire. */
export interface WireRequest {
  readonly method: string
  readonly target: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

/**
 * Sends one request and reads the whole answer. Gives up as soon as a success is larger than `max_page_bytes`. Interrupting
 * it breaks the connection off.
 */
export const exchange = (
  dispatcher: Dispatcher,
  request: WireRequest,
  limits: Limits,
  url: string
): Effect.Effect<RawAnswer, SourceReason> =>
  Effect.timeoutOrElse(send(dispatcher, request, limits, url), {
    duration: limits.page_timeout,
    orElse: () => {
      const millis = Duration.toMillis(limits.page_timeout)
      return Effect.fail(
        new TimedOut({ url, waitedFor: "the end of the answer", setting: "http.page_timeout", millis })
      )
    }
  })

const send = (
  dispatcher: Dispatcher,
  request: WireRequest,
  limits: Limits,
  url: string
): Effect.Effect<RawAnswer, SourceReason> =>
  Effect.callback((resume) => {
    const { headers, method, target } = request
    let abort: (() => void) | undefined
    let isOver = false
    let status = 0
    let answerHeaders: AnswerHeaders = {}
    let sentHeaders: ReadonlyArray<string> = []
    let body: Body | undefined
    let limit = limits.max_page_bytes
    const finish = (result: Effect.Effect<RawAnswer, SourceReason>) => {
      if (isOver) return
      isOver = true
      resume(result)
    }
    const answer = () =>
      Effect.succeed({ status, headers: answerHeaders, body: body?.bytes ?? Buffer.alloc(0), sentHeaders })
    const tooLarge = (bytes: number) => {
      finish(Effect.fail(new TooLarge({ url, limit, bytes })))
      abort?.()
    }
    const failed = (error: unknown) => finish(Effect.fail(reasonOf(error, url, limits, body?.length)))
    try {
      dispatcher.dispatch(
        {
          origin: target.origin,
          path: `${target.pathname}${target.search}`,
          method,
          headers: { ...headers },
          body: request.body ?? null
        },
        {
          onRequestStart: (controller) => {
            abort = () => controller.abort(stop)
            if (isOver) abort()
          },
          onResponseStart: (controller, code, received) => {
            if (code < 200 || isOver) return
            status = code
            answerHeaders = received
            if (Array.isArray(controller.rawHeaders)) sentHeaders = controller.rawHeaders.map(String)
            const announced = header(received, "content-length")
            const size = isAnnounced(announced) ? Number(announced) : undefined
            if (!isSuccess(code)) limit = largestErrorBody
            else if (size !== undefined && size > limit) return tooLarge(size)
            body = new Body(size === undefined ? undefined : Math.min(size, limit))
          },
          onResponseData: (_controller, chunk) => {
            if (isOver || body === undefined) return
            if (body.length + chunk.length > limit) {
              if (isSuccess(status)) return tooLarge(body.length + chunk.length)
              body.add(chunk.subarray(0, limit - body.length))
              finish(answer())
              return abort?.()
            }
            body.add(chunk)
          },
          onResponseEnd: () => finish(answer()),
          onResponseError: (_controller, error) => failed(error)
        }
      )
    } catch (error) {
      failed(error)
    }
    return Effect.sync(() => {
      isOver = true
      abort?.()
    })
  })
