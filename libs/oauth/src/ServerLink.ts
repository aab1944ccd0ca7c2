import { Secrets } from "@tributary/secrets"
import type { Rate } from "@tributary/vault"
import { Clock, Duration, Effect, Option, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { clean } from "./clean.ts"
import { clientAuthentication, clientTls, secretReferences, type ServerNames } from "./ClientAuthentication.ts"
import { defectProblem } from "./defectProblem.ts"
import { makeProver } from "./Dpop.ts"
import { fromSecretError, isAcceptable, misconfigured, type Settings } from "./Settings.ts"
import { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"
import { retryAfter } from "./TokenResponse.ts"
import type { TokenWatch } from "./watch/TokenWatch.ts"
import { maxAnswerBytes, TokenTransport, type TransportError, type WireRequest } from "./TokenTransport.ts"

/** A refused or failed request. `isUncertain`: the server may have carried it out, and its answer was lost. */
export interface ExchangeFailure {
  readonly error: TokenError
  readonly isUncertain: boolean
  /** The server refused the client, not what it asked for: another secret may do. */
  readonly isClientRefused?: boolean
  /** The server's `error` code, where it gave one. */
  readonly code?: string | undefined
}

/** What a link learnt of its server. */
export interface LinkMemory {
  /** The reference to the secret that the server took last. */
  current: string | undefined
  discovered: { readonly server: oauth.AuthorizationServer; readonly at: number } | undefined
}

/** Limits of requests to authorization servers. */
export interface EndpointLimits {
  /** Longest time for one request, the answer included. */
  readonly timeout: Duration.Duration
  /** Permits plain HTTP to other hosts than this one. */
  readonly allowHttp: boolean
  /** Largest rate of token requests to one endpoint, by all processes together; without it only what the server asks for is obeyed. */
  readonly rate?: Rate
  /** What is known of the server; outlives the link. */
  readonly memory?: LinkMemory
  /** Takes note of token requests. */
  readonly watch?: TokenWatch
}

/** Why metadata could not be had. `isUnusable`: the server answered, and what it publishes is not the metadata of this issuer. */
interface DiscoveryFailure {
  readonly error: TokenError
  readonly isUnusable: boolean
}

/** How long metadata of a server is used before it is read again. */
const metadataLife = 3_600_000

/** The part of a fetch function that oauth4webapi uses. */
type CustomFetch = (
  url: string,
  options: { readonly method: string; readonly headers: Record<string, string>; readonly body?: unknown }
) => Promise<Response>

/** What the library is told for each request: where to send it, and that addresses are judged in Settings. */
export interface RequestOptions {
  readonly [oauth.customFetch]: CustomFetch
  readonly [oauth.allowInsecureRequests]: true
}

/** What it means that a proxy does not lead to the server. */
const describeProxy = (code: string): readonly [TokenError["failureClass"], string, string] => {
  const where = "`auth.proxy`, or HTTPS_PROXY and HTTP_PROXY of the environment"
  if (code === "setting") {
    return [
      "misconfigured",
      "the proxy's address is none (not shown, it may hold a password).",
      `Correct ${where}: http://, https:// or socks5://, a host and a port, and no path; in a name or password %25 for a percent sign (and %40, %3A, %2F for @, : and /), and for SOCKS at most 255 bytes of each. \`auth.proxy: none\` goes without.`
    ]
  }
  if (code === "407" || code === "credentials") {
    return [
      "misconfigured",
      code === "407"
        ? "the proxy asks for credentials (407)."
        : "the proxy does not take the credentials, or wants some.",
      `Write them into its address, as in http://user:password@host, where it is named: ${where}.`
    ]
  }
  if (code.endsWith("address")) {
    return [
      "misconfigured",
      `nothing is sent through the proxy of auth.proxy: ${code}.`,
      "Correct its host; if it is meant, allow it with TRIBUTARY_ALLOW_PRIVATE_ADDRESSES (docs/guides/token-operations.md)."
    ]
  }
  return [
    "transient",
    // Codes of Node are of the way to the proxy, others are what it answered.
    /^(?:[A-Z_][A-Z_\d]*|timeout)$/u.test(code)
      ? `its proxy cannot be reached (${code}).`
      : `the proxy did not connect to it (${code}).`,
    `It is tried again; check the proxy, which is named by ${where}.`
  ]
}

const describe = (error: TransportError): readonly [TokenError["failureClass"], string, string] => {
  switch (error.reason) {
    case "timeout":
      return ["transient", `no answer in time (${error.code}).`, "It is tried again; check the server and the network."]
    case "certificate":
      return [
        "misconfigured",
        `its certificate is not trusted (${error.code}).`,
        "Correct the address, or give the authority: `tls.ca`, or NODE_EXTRA_CA_CERTS for all servers."
      ]
    case "tls":
      return [
        "misconfigured",
        `no TLS connection can be made with it (${error.code}).`,
        "Check the address and its port: what listens there may speak plain http, or only versions of TLS that are not safe any more."
      ]
    case "client-certificate":
      return [
        "misconfigured",
        `it refuses the client's certificate, or wants one (${error.code}).`,
        "Check auth.tls: the certificate has to be valid, and known to the server."
      ]
    case "too-large":
      return [
        "misconfigured",
        `an answer of more than ${maxAnswerBytes} bytes (status ${error.code}).`,
        "Check token_url (or issuer): this does not look like a token endpoint."
      ]
    case "address":
      return [
        "misconfigured",
        `its host has no address but a ${error.code} one, where nothing is sent to.`,
        "Correct the address; if it is meant, allow it with TRIBUTARY_ALLOW_PRIVATE_ADDRESSES (docs/guides/token-operations.md)."
      ]
    case "proxy":
      return describeProxy(error.code)
    case "withdrawn":
      return [
        "transient",
        "nothing was sent, because the lease of this process on the authorization was running out.",
        "It is tried again; if this stays, check whether Redis answers in time."
      ]
    case "unreachable":
      return [
        "transient",
        `it cannot be reached (${error.code}).`,
        "It is tried again; check the address and the network."
      ]
  }
}

/** The issuer that metadata names, fit to be shown. */
const issuerIn = (metadata: string): string | undefined => {
  const parsed = Option.getOrUndefined(Option.liftThrowable((text: string): unknown => JSON.parse(text))(metadata))
  const named: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, "issuer") : undefined
  return typeof named === "string" && named !== "" ? clean(named, []).slice(0, 200) : undefined
}

/** Makes the way to the authorization server of an authorization. Discovery happens with the first request, not before. */
export const makeServerLink = Effect.fnUntraced(function* (
  authorization: Authorization,
  settings: Settings,
  limits: EndpointLimits
) {
  const secrets = yield* Secrets
  const transport = yield* TokenTransport
  const prover = makeProver(secrets, authorization)
  const { id, oauth2 } = authorization
  const client: oauth.Client = {
    // The library wants one; where there is none, nothing is sent of it.
    client_id: settings.clientId === "" ? "-" : settings.clientId,
    use_mtls_endpoint_aliases: oauth2.tls?.certificate !== undefined
  }
  const references = secretReferences(oauth2)
  const memory: LinkMemory = limits.memory ?? { current: undefined, discovered: undefined }
  memory.current ??= references[0]

  const failure = (endpoint: URL, parts: Pick<TokenError, "failureClass" | "problem" | "advice">, wait?: number) =>
    new TokenError({ authorization: id, endpoint: endpoint.host, retryAfter: wait, ...parts })

  const send = Effect.fnUntraced(function* (endpoint: URL, request: WireRequest) {
    const tls = yield* Effect.mapError(clientTls(secrets, authorization), (error): ExchangeFailure => ({
      error,
      isUncertain: false
    }))
    const proxy =
      oauth2.proxy === undefined
        ? undefined
        : yield* secrets.text(oauth2.proxy, authorization.base).pipe(
            Effect.map((address) => Redacted.make(address)),
            Effect.mapError(fromSecretError(id)),
            Effect.mapError((error): ExchangeFailure => ({ error, isUncertain: false }))
          )
    const way = { ...(tls === undefined ? {} : { tls }), ...(proxy === undefined ? {} : { proxy }) }
    return yield* transport.send({ ...request, ...way }).pipe(
      Effect.mapError((error): ExchangeFailure => {
        const [failureClass, problem, general] = describe(error)
        // With TLS 1.3 a client learns that its certificate was refused when it waits for the answer, or not at all.
        const advice =
          error.code === "UND_ERR_SOCKET" && oauth2.tls?.certificate !== undefined
            ? `${general} If this stays, the server may be refusing the certificate of auth.tls.`
            : general
        return { error: failure(endpoint, { failureClass, problem, advice }), isUncertain: error.isUncertain }
      }),
      // Inside of any span, which would record the defect as it is: its message may quote what was to be sent.
      Effect.catchDefect((defect) =>
        Effect.fail<ExchangeFailure>({
          error: failure(endpoint, {
            failureClass: "defect",
            problem: defectProblem(defect),
            advice: "Please report it."
          }),
          isUncertain: true
        })
      ),
      Effect.timeoutOrElse({
        duration: limits.timeout,
        orElse: () =>
          Effect.fail<ExchangeFailure>({
            error: failure(endpoint, {
              failureClass: "transient",
              problem: `no answer within ${Duration.toSeconds(limits.timeout)} seconds.`,
              advice: "It is tried again; check the server and the network."
            }),
            isUncertain: true
          })
      })
    )
  })

  /**
   * The request that oauth4webapi would send. The library builds requests and judges answers; what goes over the wire
   * stays an effect that can be timed and interrupted.
   */
  const capture = (build: (options: RequestOptions) => Promise<unknown>, endpoint: URL) =>
    Effect.tryPromise({
      try: async () => {
        let captured: WireRequest | undefined
        await build({
          [oauth.allowInsecureRequests]: true,
          [oauth.customFetch]: async (url, { body, headers, method }) => {
            captured = {
              method: method === "POST" ? "POST" : "GET",
              url,
              contents: Redacted.make({ headers, body: body instanceof URLSearchParams ? body.toString() : undefined })
            }
            return new Response()
          }
        })
        if (captured === undefined) throw new TypeError("No request was built.")
        return captured
      },
      catch: (error) =>
        failure(endpoint, {
          failureClass: "misconfigured",
          problem: `no request can be made (${error instanceof Error && "code" in error ? String(error.code) : "unknown"}).`,
          advice: "Check the settings of `auth`."
        })
    })

  const readMetadata = Effect.fnUntraced(function* (issuer: URL, algorithm: "oidc" | "oauth2") {
    const passing = (error: TokenError): DiscoveryFailure => ({ error, isUnusable: false })
    const request = yield* Effect.mapError(
      capture((options) => oauth.discoveryRequest(issuer, { algorithm, ...options }), issuer),
      passing
    )
    const answer = yield* Effect.mapError(send(issuer, request), ({ error }) => passing(error))
    if (answer.status === 429 || answer.status >= 500) {
      const now = yield* Clock.currentTimeMillis
      return yield* Effect.fail(
        passing(
          failure(
            issuer,
            {
              failureClass: answer.status === 429 ? "throttled" : "transient",
              problem: `the server answered ${answer.status} when asked for its metadata.`,
              advice: "It is tried again."
            },
            retryAfter(answer.headers["retry-after"], now)
          )
        )
      )
    }
    if (answer.status !== 200) return undefined
    const response = new Response(answer.body, { headers: { "content-type": "application/json" } })
    return yield* Effect.tryPromise({
      try: () => oauth.processDiscoveryResponse(issuer, response),
      catch: (error): DiscoveryFailure => {
        const isOther = error instanceof Error && "code" in error && error.code === oauth.JSON_ATTRIBUTE_COMPARISON
        const other = isOther ? issuerIn(answer.body) : undefined
        const problem = !isOther
          ? "its metadata is not what RFC 8414 prescribes."
          : other === undefined
            ? "its metadata names another issuer."
            : `its metadata names another issuer: ${other}.`
        return {
          error: failure(issuer, {
            failureClass: "misconfigured",
            problem,
            advice: "Write `issuer` exactly as the metadata names it, or give token_url instead."
          }),
          isUnusable: true
        }
      }
    })
  })

  /** What the server publishes of itself, checked to be that of the issuer. */
  const discover = Effect.fnUntraced(function* (issuer: URL) {
    const now = yield* Clock.currentTimeMillis
    if (memory.discovered !== undefined && now - memory.discovered.at < metadataLife) return memory.discovered.server
    const unusable = (problem: string, advice: string): DiscoveryFailure => ({
      error: failure(issuer, { failureClass: "misconfigured", problem, advice }),
      isUnusable: true
    })
    const found = (yield* readMetadata(issuer, "oidc")) ?? (yield* readMetadata(issuer, "oauth2"))
    if (found?.token_endpoint === undefined || !URL.canParse(found.token_endpoint)) {
      return yield* Effect.fail(
        unusable(
          found === undefined
            ? "there is no metadata under /.well-known/openid-configuration or /.well-known/oauth-authorization-server."
            : "its metadata names no token endpoint.",
          "Check issuer, or give token_url instead."
        )
      )
    }
    if (!isAcceptable(new URL(found.token_endpoint), limits.allowHttp)) {
      return yield* Effect.fail(
        unusable(
          "its metadata names a token endpoint without https.",
          "Let the server publish an https address, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true."
        )
      )
    }
    memory.discovered = { server: found, at: now }
    return found
  })

  const server = Effect.fnUntraced(function* () {
    if (settings.tokenUrl !== undefined) {
      return {
        issuer: settings.tokenUrl.origin,
        token_endpoint: settings.tokenUrl.href,
        ...(settings.revocationUrl === undefined ? {} : { revocation_endpoint: settings.revocationUrl.href }),
        ...(settings.introspectionUrl === undefined ? {} : { introspection_endpoint: settings.introspectionUrl.href })
      } satisfies oauth.AuthorizationServer
    }
    if (settings.issuer === undefined)
      return yield* misconfigured(id, "no issuer is given.", "Give issuer or token_url.")
    return yield* Effect.mapError(discover(settings.issuer), ({ error }) => error)
  })

  /**
   * The server as its issuer's metadata has it, with the configured endpoints in place of those there: what a person's consent is
   * judged by. `isDiscovered`: there is such metadata; else `iss` and ID tokens have nothing to be compared with.
   */
  const described = Effect.fnUntraced(function* () {
    const configured: oauth.AuthorizationServer = yield* server()
    const { issuer, tokenUrl } = settings
    if (issuer === undefined || tokenUrl === undefined) return { as: configured, isDiscovered: issuer !== undefined }
    const found = yield* discover(issuer).pipe(
      // Such as the issuer of any tenant, which names none. An answer that did not come, or is not to be trusted, is an error.
      Effect.catchIf(
        ({ isUnusable }) => isUnusable,
        () => Effect.undefined
      ),
      Effect.mapError(({ error }) => error)
    )
    if (found === undefined) return { as: configured, isDiscovered: false }
    // What was configured counts for a client with a certificate, too; and nothing is pushed where the server can do without.
    const { mtls_endpoint_aliases: _aliases, pushed_authorization_request_endpoint: pushed, ...rest } = found
    const as: oauth.AuthorizationServer = {
      ...rest,
      ...configured,
      issuer: found.issuer,
      ...(pushed === undefined || found.require_pushed_authorization_requests !== true
        ? {}
        : { pushed_authorization_request_endpoint: pushed })
    }
    return { as, isDiscovered: true }
  })

  /**
   * Where an endpoint of the server is, with what the client shows: its certificate's endpoints may be elsewhere (RFC 8705,
   * section 5).
   */
  const endpointOf = Effect.fnUntraced(function* (
    as: oauth.AuthorizationServer,
    name:
      | "token_endpoint"
      | "revocation_endpoint"
      | "introspection_endpoint"
      | "pushed_authorization_request_endpoint"
      | "device_authorization_endpoint"
  ) {
    const alias = client.use_mtls_endpoint_aliases === true ? as.mtls_endpoint_aliases?.[name] : undefined
    const address = alias ?? as[name]
    const at = settings.issuer ?? settings.tokenUrl ?? new URL(as.issuer)
    if (address === undefined || !URL.canParse(address)) {
      return yield* failure(at, {
        failureClass: "misconfigured",
        problem: `it has no ${name.replaceAll("_", " ")}${settings.issuer === undefined ? " that is known" : " in its metadata"}.`,
        advice:
          settings.issuer === undefined
            ? "Give its address, or `issuer`."
            : "Check issuer; the server may not offer this."
      })
    }
    const endpoint = new URL(address)
    if (isAcceptable(endpoint, limits.allowHttp)) return endpoint
    return yield* failure(at, {
      failureClass: "misconfigured",
      problem: `its metadata names a ${name.replaceAll("_", " ")} without https.`,
      advice: "Let the server publish an https address, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true."
    })
  })

  /** The names that assertions are made for. */
  const namesOf = (as: oauth.AuthorizationServer): ServerNames => ({
    issuer: settings.tokenUrl === undefined ? as.issuer : undefined,
    tokenEndpoint: as.token_endpoint ?? as.issuer
  })

  return {
    client,
    prover,
    failure,
    send,
    capture,
    server,
    described,
    endpointOf,
    namesOf,
    authentication: (as: oauth.AuthorizationServer, reference: string | undefined) =>
      clientAuthentication(secrets, authorization, settings, namesOf(as), reference),
    /** References to the client's secrets, the one that the server took last first. */
    secretsToTry: (): readonly [string | undefined, string | undefined] => [
      memory.current,
      references.find((reference) => reference !== memory.current)
    ],
    /** Lets this secret be the first one that is tried from now on. */
    prefer: (reference: string | undefined) => {
      memory.current = reference
    },
    /** Lets the metadata be read again: a server that moved is found. */
    forget: () => {
      memory.discovered = undefined
    }
  }
})
