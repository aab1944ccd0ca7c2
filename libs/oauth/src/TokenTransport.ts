import { Environment } from "@tributary/secrets"
import { Context, Data, Effect, Layer, Redacted } from "effect"
import { isIP } from "node:net"
import { Readable } from "node:stream"
import { Agent, buildConnector, request as send } from "undici"
import type { ClientTls } from "./ClientAuthentication.ts"
import { fingerprint } from "./fingerprint.ts"
import {
  addressGuard,
  type AddressGuard,
  AddressRefused,
  guardedConnector,
  guardedLookup
} from "./guard/AddressGuard.ts"
import { environmentProxy, proxyAddress, ProxyFailed, throughProxy } from "./Proxies.ts"
import type { WireResponse } from "./TokenResponse.ts"

/** A request to an authorization server. Headers and body hold secrets. */
export interface WireRequest {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly contents: Redacted.Redacted<{
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | undefined
  }>
  /**
   * Asked when the connection stands and the body is about to be sent: false withdraws the request, and nothing of it has
   * reached the server. Between the answer and the sending nothing is waited for.
   */
  readonly mayBeSent?: Effect.Effect<boolean>
  /** What the connection shows and trusts (RFC 8705); without it, it shows nothing and trusts the well-known authorities. */
  readonly tls?: Redacted.Redacted<ClientTls>
  /** Address of the proxy to go through, or `none`; without it, the environment says which. May hold a password. */
  readonly proxy?: Redacted.Redacted<string>
}

/** No answer. `code` is a code of Node or undici, never a message: those may quote what was sent. */
export class TransportError extends Data.TaggedError("TransportError")<{
  readonly reason:
    | "unreachable"
    | "timeout"
    | "certificate"
    | "client-certificate"
    | "tls"
    | "too-large"
    | "withdrawn"
    | "address"
    | "proxy"
  readonly code: string
  /** Whether the server may have received the request. */
  readonly isUncertain: boolean
}> {}

/** Largest answer that is read, in bytes. Token answers have a few thousand. */
export const maxAnswerBytes = 1_048_576

const notSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT"
])

const codeOf = (error: unknown): string => {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error)) return "unknown"
  return "code" in error && typeof error.code === "string" ? error.code : error.name
}

/** Errors of connections that never stood: no request was sent over them. */
const unconnected = new WeakSet<Error>()

const toTransportError = (error: unknown) => {
  if (error instanceof TransportError) return error
  if (error instanceof AddressRefused)
    return new TransportError({ reason: "address", code: error.kind, isUncertain: false })
  if (error instanceof ProxyFailed) return new TransportError({ reason: "proxy", code: error.code, isUncertain: false })
  const code = codeOf(error)
  const isUncertain = !notSent.has(code) && !(error instanceof Error && unconnected.has(error))
  // The server ends the handshake with an alert. With TLS 1.3 it comes after the request, and so it does where a server asks for
  // the certificate only then: what it has read of the request by that time is not known.
  if (/ALERT_(HANDSHAKE|UNKNOWN_CA|ACCESS_DENIED|\w*CERT)/.test(code))
    return new TransportError({ reason: "client-certificate", code, isUncertain })
  if (/CERT|UNABLE_TO_/.test(code)) return new TransportError({ reason: "certificate", code, isUncertain })
  // On a connection that stood, it is one that broke.
  if (/TLS|SSL/.test(code) && !isUncertain) return new TransportError({ reason: "tls", code, isUncertain })
  const reason = /TIMEOUT|TIMEDOUT/.test(code) ? "timeout" : "unreachable"
  return new TransportError({ reason, code, isUncertain })
}

/** The body as a stream whose first read, and so the sending of the headers, waits for the permission. */
const permitted = (body: string, mayBeSent: Effect.Effect<boolean>): Readable =>
  Readable.from(
    (async function* () {
      if (!(await Effect.runPromise(mayBeSent))) {
        throw new TransportError({ reason: "withdrawn", code: "withdrawn", isUncertain: false })
      }
      yield Buffer.from(body)
    })()
  )

/** So many certificates have connections of their own at once; there is one per authorization that has one. */
const mostAgents = 64

/** Takes note of the errors of connections that were not made. */
const noting =
  (connect: buildConnector.connector): buildConnector.connector =>
  (target, callback) =>
    connect(target, (...result) => {
      const [error] = result
      if (error !== null) unconnected.add(error)
      callback(...result)
    })

/** What a connection goes through. The address of a proxy that the environment names is what the operator chose, and is not guarded. */
interface Way {
  readonly proxy: Redacted.Redacted<URL>
  readonly isOwn: boolean
}

/** Longest time for a connection, that to a proxy included. */
const connectTimeout = 10_000

const connectorWith = (guard: AddressGuard, tls: ClientTls | undefined, way: Way | undefined) => {
  const options = {
    allowH2: false,
    timeout: connectTimeout,
    ...(tls?.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca })
  }
  if (way === undefined) return guardedConnector(guard, options)
  const lookup = way.isOwn ? { lookup: guardedLookup(guard) } : {}
  return throughProxy(way.proxy, buildConnector(options), { timeout: connectTimeout, ...lookup })
}

const agentWith = (guard: AddressGuard, tls: ClientTls | undefined, way: Way | undefined) =>
  new Agent({
    // With HTTP/2 a request goes over a connection that others use, and may leave before its permission is asked for.
    allowH2: false,
    // A kept connection may be closed by the server just when a request is sent, and whether that request
    // was carried out could then not be told.
    pipelining: 0,
    connect: noting(connectorWith(guard, tls, way)),
    headersTimeout: 60_000,
    bodyTimeout: 30_000
  })

/** Agents by what their connections show, trust and go through: a new certificate has an agent, and so connections, of its own. */
const makeAgents = (guard: AddressGuard) => {
  const plain = agentWith(guard, undefined, undefined)
  const others = new Map<string, Agent>()
  return {
    for: (tls: Redacted.Redacted<ClientTls> | undefined, way: Way | undefined): Agent => {
      if (tls === undefined && way === undefined) return plain
      const value = tls === undefined ? undefined : Redacted.value(tls)
      const through = way === undefined ? [] : [Redacted.value(way.proxy).href, String(way.isOwn)]
      const name = fingerprint(value?.certificate, value?.key, value?.ca, ...through)
      const agent = others.get(name) ?? agentWith(guard, value, way)
      others.delete(name)
      others.set(name, agent)
      const [oldest] = others
      if (others.size > mostAgents && oldest !== undefined) {
        others.delete(oldest[0])
        // Lets what is under way come to its end.
        oldest[1].close().catch(() => {})
      }
      return agent
    },
    end: () => Promise.all([plain, ...others.values()].map((agent) => agent.destroy()))
  }
}

/** What a request goes through; `undefined`: nothing. Throws a `TransportError` where the proxy cannot be used. */
const wayOf = (
  { proxy, url }: WireRequest,
  environment: Readonly<Record<string, string | undefined>>,
  guard: AddressGuard
): Way | undefined => {
  const isOwn = proxy !== undefined
  const named = isOwn ? Redacted.value(proxy) : environmentProxy(environment, new URL(url))
  if (named === "" || (isOwn && named === "none")) return undefined
  const address = proxyAddress(named)
  if (address === undefined) throw new TransportError({ reason: "proxy", code: "setting", isUncertain: false })
  const host = address.hostname.replace(/^\[(.*)\]$/u, "$1")
  // Names are judged when they are looked up.
  const refusal = isOwn && isIP(host) !== 0 ? guard.refusal(host, host) : undefined
  if (refusal !== undefined) {
    throw new TransportError({ reason: "proxy", code: `it has a ${refusal.kind} address`, isUncertain: false })
  }
  return { proxy: Redacted.make(address), isOwn }
}

/** Carries requests to authorization servers. */
export class TokenTransport extends Context.Service<
  TokenTransport,
  {
    /** One request, no redirects, to no address that the guard refuses. Interruption closes the connection. */
    readonly send: (request: WireRequest) => Effect.Effect<WireResponse, TransportError>
  }
>()("@tributary/oauth/TokenTransport") {
  /** HTTP by undici. */
  static readonly layer = Layer.effect(
    TokenTransport,
    Effect.gen(function* () {
      const guard = yield* addressGuard
      const environment = yield* Environment
      const agents = yield* Effect.acquireRelease(
        Effect.sync(() => makeAgents(guard)),
        (agents) => Effect.promise(agents.end)
      )
      return TokenTransport.of({
        send: (request) =>
          Effect.tryPromise({
            try: async (signal): Promise<WireResponse> => {
              const { body, headers } = Redacted.value(request.contents)
              const { mayBeSent } = request
              const hasToAsk = body !== undefined && mayBeSent !== undefined
              const answer = await send(request.url, {
                dispatcher: agents.for(request.tls, wayOf(request, environment, guard)),
                method: request.method,
                headers: hasToAsk ? { ...headers, "content-length": String(Buffer.byteLength(body)) } : headers,
                body: hasToAsk ? permitted(body, mayBeSent) : (body ?? null),
                signal
              })
              const chunks: Array<Buffer> = []
              let size = 0
              for await (const chunk of answer.body) {
                const bytes = Buffer.from(chunk)
                size += bytes.length
                if (size > maxAnswerBytes) {
                  throw new TransportError({ reason: "too-large", code: String(answer.statusCode), isUncertain: true })
                }
                chunks.push(bytes)
              }
              const flat: Record<string, string | undefined> = {}
              for (const [name, value] of Object.entries(answer.headers)) {
                flat[name] = Array.isArray(value) ? value[0] : value
              }
              return { status: answer.statusCode, headers: flat, body: Buffer.concat(chunks).toString() }
            },
            catch: toTransportError
          })
      })
    })
  )
}
