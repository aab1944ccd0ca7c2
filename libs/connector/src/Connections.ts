import type { Http } from "@tributary/domain"
import { addressGuard, type AddressGuard, AddressRefused, guardedConnector, guardedLookup } from "@tributary/oauth"
import { Environment, type Secrets } from "@tributary/secrets"
import { Duration, Effect, Redacted, type Scope } from "effect"
import { isIP, type LookupFunction } from "node:net"
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

/** Value of an environment variable whose name is common in both cases; the small one counts first, as in curl. */
const variable = (environment: Readonly<Record<string, string | undefined>>, name: string): string =>
  environment[name.toLowerCase()]?.trim() || environment[name]?.trim() || ""

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
  const options = {
    connections: http.connections,
    pipelining: 1,
    allowH2: http.http2,
    connect: guardedConnector(guard, { timeout, allowH2: http.http2, ...secure }),
    connectTimeout: timeout,
    requestTls: { timeout, ...secure },
    headersTimeout: Duration.toMillis(http.headers_timeout),
    bodyTimeout: Duration.toMillis(http.body_timeout),
    keepAliveTimeout: 30_000
  }
  // What `http.proxy` names is meant, whatever the environment leaves out.
  const noProxy = own === undefined ? variable(environment, "NO_PROXY") : ""

  const open = Effect.fnUntraced(function* (proxy: string, name: string) {
    const setting = own === undefined ? name : "http.proxy"
    if (proxy !== "" && !(URL.canParse(proxy) && /^(https?|socks5?):$/u.test(new URL(proxy).protocol))) {
      const problem =
        "expected the address of a proxy that begins with http://, https:// or socks5:// (not shown, it may hold a password)."
      return yield* new BadSetting({ setting, problem })
    }
    if (own !== undefined && proxy !== "") {
      const host = new URL(proxy).hostname.replace(/^\[(.*)\]$/u, "$1")
      const refusal = isIP(host) === 0 ? undefined : guard.refusal(host, host)
      if (refusal !== undefined) return yield* new BadSetting({ setting, problem: refusal.message })
    }
    return yield* Effect.acquireRelease(
      Effect.sync((): Dispatcher => {
        if (proxy === "") return new Agent(options)
        const proxies = { ...options, httpProxy: proxy, httpsProxy: proxy, noProxy }
        if (own === undefined) return new EnvHttpProxyAgent(proxies)
        const guarded = { lookup: proxyLookup(guard) }
        // Given TLS options, it would speak TLS to the proxy.
        return new URL(proxy).protocol.startsWith("socks")
          ? new Socks5ProxyAgent(proxy, { ...options, connect: buildConnector({ timeout, ...guarded }) })
          : new EnvHttpProxyAgent({ ...proxies, proxyTls: guarded })
      }),
      (dispatcher) => Effect.promise(() => dispatcher.destroy())
    )
  })
  const plain = yield* open(proxyOf("HTTP_PROXY"), "HTTP_PROXY")
  const encrypted = yield* open(proxyOf("HTTPS_PROXY"), "HTTPS_PROXY")
  return { to: (target) => (target.protocol === "https:" ? encrypted : plain) }
})
