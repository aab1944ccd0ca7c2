import { request as requestPlain } from "node:http"
import { request as requestTls } from "node:https"
import type { LookupFunction, Socket } from "node:net"
import { Data, Option, Redacted } from "effect"
import type { buildConnector } from "undici"
import { AddressRefused } from "./guard/AddressGuard.ts"
import { fitsSocks, socksTunnel } from "./SocksTunnel.ts"

/** Value of an environment variable whose name is common in both cases; the small one counts first, as in curl. */
export const variable = (environment: Readonly<Record<string, string | undefined>>, name: string): string =>
  environment[name.toLowerCase()]?.trim() || environment[name]?.trim() || ""

const portOf = ({ port, protocol }: URL): string => port || (protocol === "https:" ? "443" : "80")

/**
 * Whether `NO_PROXY` leaves an address out, in the words that undici's `EnvHttpProxyAgent` understands: `*`, a host, which stands for
 * what is below it too, `.host` the same, `*.host` only what is below, each with a port or without.
 */
export const isExempt = (noProxy: string, target: URL): boolean => {
  const host = target.hostname.replace(/^\[(.*)\]$/u, "$1").replace(/(.)\.$/u, "$1")
  return noProxy
    .toLowerCase()
    .split(/[,\s]+/u)
    .filter((entry) => entry !== "")
    .some((entry) => {
      const [, named = entry, port] = /^(\[.+\]|[^:]+):(\d+)$/u.exec(entry) ?? []
      if (port !== undefined && port !== portOf(target)) return false
      if (named === "*") return true
      const domain = named
        .replace(/^\[(.*)\]$/u, "$1")
        .replace(/^\*?\./u, "")
        .replace(/(.)\.$/u, "$1")
      return (!named.startsWith("*") && host === domain) || host.endsWith(`.${domain}`)
    })
}

/** The proxy of the environment for an address; empty: none. */
export const environmentProxy = (environment: Readonly<Record<string, string | undefined>>, target: URL): string =>
  isExempt(variable(environment, "NO_PROXY"), target)
    ? ""
    : variable(environment, target.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY")

/** No connection through a proxy; nothing has reached who is behind it. `code` never quotes what was sent. */
export class ProxyFailed extends Data.TaggedError("ProxyFailed")<{ readonly code: string }> {}

/** Name and password as they are sent; none where what stands behind a `%` is no byte. */
const credentialsOf = Option.liftThrowable(({ password, username }: URL): readonly [name: string, password: string] => [
  decodeURIComponent(username),
  decodeURIComponent(password)
])

/** The address of a proxy that makes tunnels, if it is one. */
export const proxyAddress = (text: string): URL | undefined => {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isBare = /^\/?$/u.test(url.pathname) && url.search === "" && url.hash === ""
  const credentials = Option.getOrUndefined(credentialsOf(url))
  if (!isBare || credentials === undefined) return undefined
  if (/^socks(5h?)?:$/u.test(url.protocol)) return fitsSocks(credentials) ? url : undefined
  return /^https?:$/u.test(url.protocol) ? url : undefined
}

const codeOf = (error: Error): string =>
  error instanceof AddressRefused
    ? `it has a ${error.kind} address`
    : "code" in error && typeof error.code === "string"
      ? error.code
      : error.name

/**
 * Connects through a tunnel (RFC 9110, section 9.3.6, or SOCKS 5), then as `connect` does with the socket that it is given. The name of the
 * target is resolved by the proxy, that of the proxy with `lookup`.
 */
export const throughProxy =
  (
    proxy: Redacted.Redacted<URL>,
    connect: buildConnector.connector,
    options: { readonly timeout: number; readonly lookup?: LookupFunction }
  ): buildConnector.connector =>
  (target, callback) => {
    const { hostname, password, port, protocol, username } = Redacted.value(proxy)
    const authority = `${target.hostname}:${target.port || (target.protocol === "https:" ? "443" : "80")}`
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    let isDone = false
    const failed = (code: string) => {
      if (isDone) return
      isDone = true
      callback(new ProxyFailed({ code }), null)
    }
    const made = (socket: Socket) => {
      isDone = true
      if (target.protocol === "https:") connect({ ...target, httpSocket: socket }, callback)
      else callback(null, socket)
    }
    if (protocol.startsWith("socks")) {
      const end = {
        host: target.hostname.replace(/^\[(.*)\]$/u, "$1"),
        port: Number(target.port || (target.protocol === "https:" ? "443" : "80"))
      }
      socksTunnel(Redacted.value(proxy), end, options).then(made, (error: Error) => failed(codeOf(error)))
      return
    }
    const send = protocol === "https:" ? requestTls : requestPlain
    const asked = send({
      method: "CONNECT",
      host: hostname.replace(/^\[(.*)\]$/u, "$1"),
      ...(port === "" ? {} : { port }),
      path: authority,
      agent: false,
      ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
      headers: {
        host: authority,
        ...(credentials === ":"
          ? {}
          : { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` })
      }
    })
    asked.once("connect", ({ statusCode = 0 }, socket) => {
      if (isDone || statusCode !== 200) {
        socket.destroy()
        return failed(String(statusCode))
      }
      made(socket)
    })
    // From beginning to end: a proxy that sends a byte now and then is never idle.
    AbortSignal.timeout(options.timeout).addEventListener("abort", () => {
      if (isDone) return
      asked.destroy()
      failed("timeout")
    })
    asked.on("error", (error) => failed(codeOf(error)))
    asked.end()
  }
