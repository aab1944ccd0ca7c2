import type { PlainAuth } from "@tributary/domain"
import { Secrets } from "@tributary/secrets"
import { Effect, Redacted, type Scope } from "effect"
import { type ClientTls, clientTls } from "./ClientAuthentication.ts"
import { makeProver } from "./Dpop.ts"
import { fromSecretError, misconfigured, secretOf } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { AccessToken, Authorization, AuthorizationStatus } from "./TokenManager.ts"
import { Tokens } from "./Tokens.ts"

/** What one request to an API carries. */
export interface AuthorizedRequest {
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** Query parameters. */
  readonly parameters: Redacted.Redacted<Readonly<Record<string, string>>>
  /** What must never be shown. */
  readonly secrets: Redacted.Redacted<ReadonlyArray<string>>
  /**
   * Learns from the answer; to be called with each one, for a success may bring the nonce that the next request needs. True: the
   * request was refused only for want of a nonce, which is there now (RFC 9449, section 9), so it is worth being authorized and
   * sent once more.
   */
  readonly answered: (status: number, headers: Readonly<Record<string, string | undefined>>) => Effect.Effect<boolean>
  /** Says that the API answered 401; returns when there is a newer token to try. */
  readonly rejected: Effect.Effect<void, TokenError>
}

/** Authorizes requests to an API: with tokens, bearer or bound to a key, or with credentials as they are. */
export interface RequestAuthorizer {
  /** Made anew for each request that is sent: a proof is good for one. */
  readonly authorize: (method: string, url: URL) => Effect.Effect<AuthorizedRequest, TokenError>
  /** What connections to the API have to show: tokens may be bound to the client's certificate (RFC 8705, section 3). Read anew. */
  readonly tls: Effect.Effect<Redacted.Redacted<ClientTls> | undefined, TokenError>
  /** How the authorization is; `undefined`: nobody issues anything anew. */
  readonly status: Effect.Effect<AuthorizationStatus | undefined>
}

/** Makes the authorizer of an OAuth2 authorization, for a connector that uses it. Makes no request. */
export const makeRequestAuthorizer = Effect.fnUntraced(function* (
  authorization: Authorization,
  connector?: string
): Effect.fn.Return<RequestAuthorizer, TokenError, Tokens | Secrets | Scope.Scope> {
  const secrets = yield* Secrets
  const manager = yield* (yield* Tokens).manager(authorization, connector)
  const prover = makeProver(secrets, authorization)
  const { header = "authorization", prefix } = authorization.oauth2
  const name = header.toLowerCase()
  /** Without settings of its own the header is that of RFC 6750, section 2.1. */
  const sent = ({ tokenType }: AccessToken, value: string): Readonly<Record<string, string>> => {
    const before = prefix ?? (name === "authorization" ? tokenType : "")
    return { [name]: before === "" ? value : `${before} ${value}` }
  }
  const authorize = Effect.fnUntraced(function* (token: AccessToken, method: string, url: URL) {
    const value = Redacted.value(token.value)
    const bound = yield* prover.headers(method, url, token.value)
    const proof = bound === undefined ? undefined : Redacted.value(bound)
    return {
      headers: Redacted.make(proof ?? sent(token, value)),
      parameters: Redacted.make({}),
      secrets: Redacted.make([value, ...(proof === undefined ? [] : [proof["dpop"] ?? ""])]),
      answered: (status: number, headers: Readonly<Record<string, string | undefined>>) =>
        prover.learn(url, headers, status),
      rejected: manager.rejected(token)
    }
  })
  return {
    authorize: (method, url) => Effect.flatMap(manager.get, (token) => authorize(token, method, url)),
    tls: clientTls(secrets, authorization),
    status: manager.status
  }
})

/** What credentials as they are add to a request. */
interface Additions {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
  readonly secrets: ReadonlyArray<string>
}

/**
 * Makes the authorizer of credentials that no server issues anew. They are read for each request, so that one which was replaced is
 * used at once; after a 401 the caller tries once more with what is there then.
 */
export const makePlainAuthorizer = Effect.fnUntraced(function* (authorization: {
  /** Names the connector in errors. */
  readonly id: string
  readonly plain: PlainAuth
  /** Folder that file references are relative to. */
  readonly base: string
}): Effect.fn.Return<RequestAuthorizer, never, Secrets> {
  const secrets = yield* Secrets
  const { base, id, plain } = authorization
  const text = (template: string) => Effect.mapError(secrets.text(template, base), fromSecretError(id))
  const secret = (reference: string) => Effect.map(secretOf(secrets, authorization, reference), Redacted.value)

  const additions = Effect.gen(function* (): Effect.fn.Return<Additions, TokenError> {
    if ("api_key" in plain) {
      const key = yield* secret(plain.api_key)
      if (plain.query !== undefined) return { headers: {}, parameters: { [plain.query]: key }, secrets: [key] }
      const value = plain.prefix === undefined ? key : `${plain.prefix} ${key}`
      return { headers: { [(plain.header ?? "x-api-key").toLowerCase()]: value }, parameters: {}, secrets: [key] }
    }
    if ("bearer" in plain) {
      const token = yield* secret(plain.bearer)
      return { headers: { authorization: `${plain.scheme} ${token}` }, parameters: {}, secrets: [token] }
    }
    if ("basic" in plain) {
      const user = yield* text(plain.basic)
      const password = plain.password === undefined ? "" : yield* secret(plain.password)
      if (user.includes(":")) {
        return yield* misconfigured(
          id,
          "the user of HTTP Basic has a colon, which none may have (RFC 7617).",
          "Correct `basic`."
        )
      }
      const encoded = Buffer.from(`${user}:${password}`).toString("base64")
      return {
        headers: { authorization: `Basic ${encoded}` },
        parameters: {},
        secrets: password === "" ? [encoded] : [encoded, password]
      }
    }
    const headers: Record<string, string> = {}
    const hidden: Array<string> = []
    for (const [name, template] of Object.entries(plain.headers)) {
      const value = yield* text(template)
      headers[name.toLowerCase()] = value
      if (value !== template) hidden.push(value)
    }
    return { headers, parameters: {}, secrets: hidden }
  })

  const authorize: RequestAuthorizer["authorize"] = Effect.fnUntraced(function* () {
    const { headers, parameters, secrets } = yield* additions
    const wrong = Object.entries(headers).find(([, value]) => !/^[\t\x20-\x7e\x80-\xff]*$/u.test(value))
    if (wrong !== undefined) {
      return yield* misconfigured(
        id,
        `the value of the header ${wrong[0]} has characters that no header may hold, such as a line break.`,
        "Correct the secret that it refers to."
      )
    }
    return {
      headers: Redacted.make(headers),
      parameters: Redacted.make(parameters),
      secrets: Redacted.make(secrets),
      answered: () => Effect.succeed(false),
      rejected: Effect.void
    }
  })
  return { authorize, tls: Effect.undefined, status: Effect.undefined }
})
