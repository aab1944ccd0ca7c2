import { Clock, Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import type { WireRequest } from "../TokenTransport.ts"
import type { WireResponse } from "../TokenResponse.ts"

/** Who consented, as the ID token says (OIDC Core, section 2). */
export interface Identity {
  readonly subject: string
  /** The name that the person knows their account by, where the server tells it. */
  readonly account: string | undefined
}

/** Seconds that the server's clock may differ from ours. */
const skew = 60

const reasons: Readonly<Record<string, string>> = {
  [oauth.JWT_TIMESTAMP_CHECK]: `it has expired, or begins later, by the clock of this machine (${skew} seconds are forgiven)`,
  [oauth.JWT_CLAIM_COMPARISON]: "it is that of another server, client or request (iss, aud, azp or nonce)",
  [oauth.KEY_SELECTION]: "no key of the server fits it",
  [oauth.UNSUPPORTED_OPERATION]: "it is signed in a way that is not supported",
  [oauth.INVALID_RESPONSE]: "a claim is missing, or its signature is wrong"
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown"

/** The claim that an error is about; its value is not shown. */
const claimOf = (error: unknown): string | undefined => {
  const cause = error instanceof Error ? error.cause : undefined
  const claim: unknown = typeof cause === "object" && cause !== null ? Reflect.get(cause, "claim") : undefined
  return typeof claim === "string" && /^[a-z_]{1,20}$/u.test(claim) ? claim : undefined
}

const describe = (error: unknown): string => {
  const claim = claimOf(error)
  return `${reasons[codeOf(error)] ?? "it cannot be read"}${claim === undefined ? "" : ` (claim ${claim})`}`
}

/** Keys of a server, and when they were read. */
interface Keys {
  readonly jwks: oauth.JWKS
  readonly at: number
}

/** How long keys are used without looking whether there are others, in milliseconds (the library takes no older ones). */
const keysLife = 240_000

const isJwks = (value: unknown): value is oauth.JWKS =>
  typeof value === "object" && value !== null && Array.isArray(Reflect.get(value, "keys"))

/**
 * Validates ID tokens by the rules of OIDC Core, section 3.1.3.7: signature by a key of the server, algorithm, `iss`, `aud`, `azp`,
 * `nonce`, times with a minute's skew. Keys are kept for a few minutes, and read again when a token names one that is not among
 * them: the server may have rotated its keys.
 */
export const makeIdTokens = (options: {
  readonly client: oauth.Client
  readonly send: (endpoint: URL, request: WireRequest) => Effect.Effect<WireResponse, string>
}) => {
  let keys: Keys | undefined
  const client: oauth.Client = { ...options.client, [oauth.clockTolerance]: skew }

  const readKeys = Effect.fnUntraced(function* (as: oauth.AuthorizationServer) {
    if (as.jwks_uri === undefined || !URL.canParse(as.jwks_uri)) {
      return yield* Effect.fail("the server's metadata names no keys (jwks_uri)")
    }
    const endpoint = new URL(as.jwks_uri)
    const answer = yield* options.send(endpoint, {
      method: "GET",
      url: endpoint.href,
      contents: Redacted.make({ headers: { accept: "application/json" }, body: undefined })
    })
    const jwks = yield* Effect.try({
      try: (): unknown => JSON.parse(answer.body),
      catch: () => "the server's keys (jwks_uri) are no JSON"
    })
    if (answer.status !== 200 || !isJwks(jwks)) {
      return yield* Effect.fail(`the server's keys cannot be read (status ${answer.status})`)
    }
    keys = { jwks, at: yield* Clock.currentTimeMillis }
    return keys
  })

  /** Checks a signature with the keys that are there; the library never fetches any itself. */
  const verify = (as: oauth.AuthorizationServer, response: Response, { jwks }: Keys) =>
    Effect.tryPromise({
      try: () =>
        oauth.validateApplicationLevelSignature({ ...as }, response, {
          // As if read just now, for a server that the library has not seen: how old they may be is decided here.
          [oauth.jwksCache]: { jwks, uat: Math.floor((performance.timeOrigin + performance.now()) / 1000) },
          [oauth.customFetch]: () => Promise.reject(new TypeError("Keys are read elsewhere."))
        }),
      catch: (error) => ({ problem: describe(error), isKeyMissing: codeOf(error) === oauth.KEY_SELECTION })
    })

  return {
    /** Fails with what is wrong, as the part of a sentence. `nonce`: what the request had; `undefined` for a device's. */
    validate: Effect.fn("IdTokens.validate")(function* (
      as: oauth.AuthorizationServer,
      idToken: Redacted.Redacted<string>,
      nonce: string | undefined
    ): Effect.fn.Return<Identity, string> {
      const response = new Response(
        JSON.stringify({ access_token: "-", token_type: "bearer", id_token: Redacted.value(idToken) }),
        { headers: { "content-type": "application/json" } }
      )
      const body = yield* Effect.tryPromise({
        try: () =>
          nonce === undefined
            ? oauth.processDeviceCodeResponse(as, client, response)
            : oauth.processAuthorizationCodeResponse(as, client, response, {
                expectedNonce: nonce,
                requireIdToken: true
              }),
        catch: describe
      })
      const claims = oauth.getValidatedIdTokenClaims(body)
      if (claims === undefined) return yield* Effect.fail("it cannot be read")
      const now = yield* Clock.currentTimeMillis
      const known = keys !== undefined && now - keys.at < keysLife ? keys : undefined
      const first = known ?? (yield* readKeys(as))
      const verified = yield* Effect.result(verify(as, response, first))
      if (verified._tag === "Failure") {
        const { isKeyMissing, problem } = verified.failure
        if (!isKeyMissing || known === undefined) return yield* Effect.fail(problem)
        yield* Effect.mapError(verify(as, response, yield* readKeys(as)), (second) => second.problem)
      }
      const account = claims["email"] ?? claims["preferred_username"] ?? claims["name"]
      return { subject: claims.sub, account: typeof account === "string" ? account : undefined }
    })
  }
}
