import type { Http } from "@tributary/domain"
import {
  addressGuard,
  type AddressGuard,
  AddressRefused,
  guardedConnector,
  guardedLookup,
  isExempt,
  proxyAddress,
  variable
} from "@tributary/oauth"
import { Environment, type Secrets } from "@tributary/secrets"
import { Data, Duration, Effect, Redacted, type Scope } from "effect"
import { isIP, type LookupFunction } from "node:net"
import { TLSSocket } from "node:tls"
import { Agent, buildConnector, type Dispatcher, EnvHttpProxyAgent, Socks5ProxyAgent } from "undici"
import { BadSetting } from "./SourceError.ts"

/** What connections to the API have to show, as PEM. */
export interface ClientCertificate {
  readonly certificate: string | undefined
  readonly key: string | undefined
}

/** The connections of one connector. */
export interface Connections {
  /** What to send a request to this address through: directly, or by a proxy. */
  readonly to: (target: URL) => Dispatcher
  /** Host of the proxy that a request to this address goes through. */
  readonly proxy: (target: URL) => string | undefined
  /** Makes a connection as a request to this address would, and closes it. Fails with what the socket said. */
  readonly connect: (target: URL) => Effect.Effect<Connected, NotConnected>
}

/** A connection that was made to look whether it can be. */
export interface Connected {
  /** Origin of the proxy that requests go through; then nothing was connected to. */
  readonly proxy: string | undefined
  readonly address: string | undefined
  /** Version of TLS, and when the server's certificate ends; `undefined` without TLS. */
  readonly tls: { readonly version: string; readonly validTo: string } | undefined
}

/** A connection that cannot be made; `cause` is what the socket said. */
export class NotConnected extends Data.TaggedError("NotConnected")<{ readonly cause: unknown }> {}

/** In place of connections where nothing goes out. */
export const noConnections: Connections = {
  // Never asked: what would go through it is answered before.
  to: () => new Agent({ connections: 1 }),
  proxy: () => undefined,
  connect: () => Effect.succeed({ proxy: undefined, address: undefined, tls: undefined })
}

/** The proxy that the connector's file names has no address that requests may be sent to. Its message may be shown. */
export class ProxyRefused extends Error {
  readonly code = "ERR_ADDRESS_REFUSED"
}

/** Resolves the name of such a proxy. */
const proxyLookup = (guard: AddressGuard): LookupFunction => {
  const find = guardedLookup(guard)
  return (host, options, callback) =>
    find(host, options, (error, ...found) =>
      callback(error instanceof AddressRefused ? new ProxyRefused(error.message) : error, ...found)
    )
}

/**
 * The connections of a connector, closed with the scope: within the limits of `http`, with its TLS settings, and through
 * `http.proxy` or the proxies that the environment names. Direct ones are made to no address that the guard refuses; a proxy finds
 * the addresses of the API itself. The address of a proxy of the environment is what the operator chose; that of `http.proxy` is
 * guarded, as a connector's file could otherwise lead requests into the network that Tributary runs in. `certificate` is what the authorization wants to be shown.
 */
export const openConnections = Effect.fnUntraced(function* (
  http: typeof Http.Type,
  secrets: Secrets["Service"],
  base: string,
  certificate: ClientCertificate | undefined
): Effect.fn.Return<Connections, BadSetting, Scope.Scope> {
  const environment = yield* Environment
  const secretOf = (reference: string | undefined, setting: string) =>
    reference === undefined
      ? Effect.undefined
      : secrets.secret(reference, base).pipe(
          Effect.map(Redacted.value),
          Effect.mapError((error) => new BadSetting({ setting, problem: error.message }))
        )
  const { tls } = http
  const ca = yield* secretOf(tls?.ca, "http.tls.ca")
  const cert = (yield* secretOf(tls?.certificate, "http.tls.certificate")) ?? certificate?.certificate
  const key = (yield* secretOf(tls?.key, "http.tls.key")) ?? certificate?.key
  const own =
    http.proxy === undefined || http.proxy === "none"
      ? undefined
      : yield* secrets
          .text(http.proxy, base)
          .pipe(Effect.mapError((error) => new BadSetting({ setting: "http.proxy", problem: error.message })))
  const proxyOf = (name: string): string => own ?? (http.proxy === "none" ? "" : variable(environment, name))

  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls?.server_name === undefined ? {} : { servername: tls.server_name }),
    ...(tls === undefined ? {} : { minVersion: tls.min_version })
  }
  const guard = yield* Effect.mapError(
    addressGuard,
    () =>
      new BadSetting({
        setting: "TRIBUTARY_ALLOW_PRIVATE_ADDRESSES",
        problem: "expected true, false, or addresses and ranges such as 10.0.0.0/8,fd00::/8."
      })
  )
  const timeout = Duration.toMillis(http.connect_timeout)
  const connector = guardedConnector(guard, { timeout, allowH2: http.http2, ...secure })
  const options = {
    connections: http.connections,
    pipelining: 1,
    allowH2: http.http2,
    connect: connector,
    connectTimeout: timeout,
    requestTls: { timeout, ...secure },
    headersTimeout: Duration.toMillis(http.headers_timeout),
    bodyTimeout: Duration.toMillis(http.body_timeout),
    keepAliveTimeout: 30_000
  }
  // What `http.proxy` names is meant, whatever the environment leaves out.
  const noProxy = own === undefined ? variable(environment, "NO_PROXY") : ""

  const open = Effect.fnUntraced(function* (named: string, name: string) {
    // What curl calls socks5h, names that the proxy resolves, is how it always is here.
    const proxy = named.replace(/^socks5h:/iu, "socks5:")
    const setting = own === undefined ? name : "http.proxy"
    if (proxy !== "" && !(URL.canParse(proxy) && /^(https?|socks5?):$/u.test(new URL(proxy).protocol))) {
      const problem =
        "expected the address of a proxy that begins with http://, https:// or socks5:// (not shown, it may hold a password)."
      return yield* new BadSetting({ setting, problem })
    }
    if (proxy !== "") {
      const { hash, pathname, search } = new URL(proxy)
      if ((pathname !== "/" && pathname !== "") || search !== "" || hash !== "") {
        const problem = "expected the address of a proxy, which ends behind its host and port: leave out the path."
        return yield* new BadSetting({ setting, problem })
      }
      if (proxyAddress(proxy) === undefined) {
        const problem =
          "expected a name and a password (not shown) in which %25 stands for a percent sign, for SOCKS of at most 255 bytes each."
        return yield* new BadSetting({ setting, problem })
      }
    }
    if (own !== undefined && proxy !== "") {
      const host = new URL(proxy).hostname.replace(/^\[(.*)\]$/u, "$1")
      const refusal = isIP(host) === 0 ? undefined : guard.refusal(host, host)
      if (refusal !== undefined) return yield* new BadSetting({ setting, problem: refusal.message })
    }
    return yield* Effect.acquireRelease(
      Effect.sync((): Dispatcher => {
        if (proxy === "") return new Agent(options)
        const { password, protocol, username } = new URL(proxy)
        const isSocks = protocol.startsWith("socks")
        // To SOCKS they are given as they are written otherwise.
        const credentials = isSocks
          ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
          : {}
        const proxies = { ...options, ...credentials, httpProxy: proxy, httpsProxy: proxy, noProxy }
        if (own === undefined) return new EnvHttpProxyAgent(proxies)
        const guarded = { lookup: proxyLookup(guard) }
        // Given TLS options, it would speak TLS to the proxy.
        return isSocks
          ? new Socks5ProxyAgent(proxy, { ...options, connect: buildConnector({ timeout, ...guarded }) })
          : new EnvHttpProxyAgent({ ...proxies, proxyTls: guarded })
      }),
      (dispatcher) => Effect.promise(() => dispatcher.destroy())
    )
  })
  const plain = yield* open(proxyOf("HTTP_PROXY"), "HTTP_PROXY")
  const encrypted = yield* open(proxyOf("HTTPS_PROXY"), "HTTPS_PROXY")

  const connectTo = ({ host, hostname, port, protocol }: URL) =>
    Effect.callback<Connected, NotConnected>((resume) => {
      connector({ hostname, host, protocol, port }, (cause, socket) => {
        // Without a socket there is an error, whatever the types say.
        if (cause !== null || socket === null) return resume(Effect.fail(new NotConnected({ cause })))
        const tls =
          socket instanceof TLSSocket
            ? { version: socket.getProtocol() ?? "TLS", validTo: socket.getPeerCertificate().valid_to }
            : undefined
        const address = socket.remoteAddress
        // A server that resets what is closed at once is no concern any more.
        socket.on("error", () => undefined)
        socket.destroy()
        resume(Effect.succeed({ proxy: undefined, address, tls }))
      })
    })
  const proxyTo: Connections["proxy"] = (target) => {
    const proxy = proxyOf(target.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY")
    return proxy === "" || isExempt(noProxy, target) ? undefined : new URL(proxy).host
  }
  const connect: Connections["connect"] = (target) => {
    const proxy = proxyTo(target)
    return proxy === undefined ? connectTo(target) : Effect.succeed({ proxy, address: undefined, tls: undefined })
  }
  return { to: (target) => (target.protocol === "https:" ? encrypted : plain), proxy: proxyTo, connect }
})
