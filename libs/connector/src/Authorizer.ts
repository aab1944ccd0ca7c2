import { type Auth, isConsentGrant } from "@tributary/domain"
import {
  type AuthorizationStatus,
  authorizationOf,
  type AuthorizedRequest,
  makePlainAuthorizer,
  makeRequestAuthorizer,
  type RequestAuthorizer,
  type TokenError,
  type Tokens
} from "@tributary/oauth"
import type { Secrets } from "@tributary/secrets"
import { Effect, Redacted, type Scope } from "effect"
import { NoToken } from "./SourceError.ts"

/** How one request is authorized. */
export interface Authorized {
  /** Header fields, names in lower case. */
  readonly headers: AuthorizedRequest["headers"]
  /** What must never be shown. */
  readonly secrets: AuthorizedRequest["secrets"]
  /** Learns from the answer; true: it was refused for want of a nonce that is there now, and is worth being sent again. */
  readonly answered: AuthorizedRequest["answered"]
  /** Says that the API answered 401; returns when there is something newer to try. */
  readonly rejected: Effect.Effect<void, NoToken>
}

/** Authorizes requests of a connector. */
export interface Authorizer {
  readonly authorize: (method: string, url: URL) => Effect.Effect<Authorized, NoToken>
  readonly scopes: ReadonlyArray<string>
  /** A 401 with a fresh token is mended by a person's consent rather than by settings. */
  readonly needsPerson: boolean
  /** Whether the credentials stand in the connector file's secrets, and no server issues new ones. */
  readonly isPlain: boolean
  /** How the authorization is, and until when; `undefined`: nobody issues anything anew. Asks nobody. */
  readonly status: Effect.Effect<AuthorizationStatus | undefined>
  /** What connections to the API have to show. */
  readonly tls:
    | Redacted.Redacted<{
        readonly certificate: string | undefined
        readonly key: string | undefined
      }>
    | undefined
}

/**
 * Adds nothing. For what gets no credentials, and in place of an authorizer where nothing goes out: what is answered was recorded, the
 * refusals of tokens too.
 */
export const offlineAuthenticator: Authorizer = {
  authorize: () =>
    Effect.succeed({
      headers: Redacted.make({}),
      secrets: Redacted.make([]),
      answered: () => Effect.succeed(false),
      rejected: Effect.void
    }),
  scopes: [],
  needsPerson: false,
  isPlain: false,
  status: Effect.undefined,
  tls: undefined
}

/** A `TokenError` as a reason of the engine. */
const noToken = (error: TokenError): NoToken =>
  new NoToken({
    problem: error.message,
    failureClass: error.failureClass,
    retryAfter: error.retryAfter
  })

const made = Effect.fnUntraced(function* (
  { authorize, status, tls }: RequestAuthorizer,
  rest: Pick<Authorizer, "scopes" | "needsPerson" | "isPlain">
): Effect.fn.Return<Authorizer, NoToken> {
  return {
    ...rest,
    status,
    authorize: (method, url) =>
      authorize(method, url).pipe(
        Effect.map((request) => ({
          ...request,
          rejected: Effect.mapError(request.rejected, noToken)
        })),
        Effect.mapError(noToken)
      ),
    tls: yield* Effect.mapError(tls, noToken)
  }
})

/** The authorizer of a connector. Makes no request. */
export const makeAuthorizer = Effect.fnUntraced(function* (
  id: string,
  auth: Auth,
  base: string
): Effect.fn.Return<Authorizer, NoToken, Tokens | Secrets | Scope.Scope> {
  if (!("oauth2" in auth)) {
    const plain = yield* makePlainAuthorizer({ id, plain: auth, base })
    return yield* made(plain, { scopes: [], needsPerson: false, isPlain: true })
  }
  const requests = yield* Effect.mapError(makeRequestAuthorizer(authorizationOf(id, auth, base), id), noToken)
  return yield* made(requests, {
    scopes: auth.scopes,
    needsPerson: auth.oauth2 === "refresh_token" || isConsentGrant(auth.oauth2),
    isPlain: false
  })
})
