import type { OAuth2 } from "@tributary/domain"
import type { Secrets } from "@tributary/secrets"
import { Clock, Duration, Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { createSecureContext } from "node:tls"
import { fromSecretError, misconfigured, secretOf, type Settings } from "./Settings.ts"
import { certificateThumbprint, readSigningKey } from "./SigningKey.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

/** What connections show and trust; PEM. */
export interface ClientTls {
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly ca: string | undefined
}

/** The names of a server that assertions are made for. */
export interface ServerNames {
  /** `undefined`: the server was not discovered. */
  readonly issuer: string | undefined
  readonly tokenEndpoint: string
}

/** Encodes a value as application/x-www-form-urlencoded does, which leaves letters, digits and `*-._` as they are. */
const formEncoded = (value: string): string => new URLSearchParams({ v: value }).toString().slice(2)

/**
 * HTTP Basic, form-encoded (RFC 6749, section 2.3.1) or raw. The library's own also encodes `-`, `.` and `_`, which a
 * server that compares the header as it comes does not recognise; most secrets have one of them.
 */
const basic =
  (secret: string, encoded: (value: string) => string): oauth.ClientAuth =>
  (_as, client, _body, headers) => {
    const credentials = `${encoded(client.client_id)}:${encoded(secret)}`
    headers.set("authorization", `Basic ${Buffer.from(credentials).toString("base64")}`)
  }

/** How long a client's assertion is valid, in seconds. */
const clientAssertionLife = 60

/** Reads a setting that may hold references, for a request. */
const textOf = (
  secrets: Secrets["Service"],
  { base, id }: Authorization,
  template: string | undefined
): Effect.Effect<string | undefined, TokenError> =>
  template === undefined ? Effect.undefined : Effect.mapError(secrets.text(template, base), fromSecretError(id))

const readKey = Effect.fnUntraced(function* (
  secrets: Secrets["Service"],
  authorization: Authorization,
  setting: string,
  given: Pick<NonNullable<OAuth2["client_key"]>, "key" | "key_id" | "algorithm">
) {
  const key = yield* readSigningKey(yield* secretOf(secrets, authorization, given.key), given.algorithm).pipe(
    Effect.mapError((problem) => misconfigured(authorization.id, `auth.${setting}.key (${given.key}) ${problem}`, ""))
  )
  return { key, keyId: (yield* textOf(secrets, authorization, given.key_id)) ?? key.keyId }
})

const withKey = ({ key, keyId }: { readonly key: oauth.CryptoKey; readonly keyId: string | undefined }) =>
  keyId === undefined ? key : { key, kid: keyId }

/** Writes the times of an assertion by the clock of the program. Without `nbf`: clocks of servers run behind. */
const timed = (payload: Record<string, oauth.JsonValue | undefined>, now: number, life: number) => {
  payload["iat"] = now
  payload["exp"] = now + life
  delete payload["nbf"]
}

/** References to the client's secrets: one, or while it is being replaced the new and the old one. */
export const secretReferences = ({ client_secret }: Pick<OAuth2, "client_secret">): ReadonlyArray<string> =>
  client_secret === undefined ? [] : typeof client_secret === "string" ? [client_secret] : client_secret

/**
 * How the client of an authorization proves who it is to a server, with the secret that `reference` names; made anew for each request so that rotated secrets and keys
 * are used; and the secrets that it sends, which no message may repeat.
 */
export const clientAuthentication = Effect.fnUntraced(function* (
  secrets: Secrets["Service"],
  authorization: Authorization,
  settings: Settings,
  server: ServerNames,
  reference: string | undefined
) {
  const { id, oauth2 } = authorization
  const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const of = (authenticate: oauth.ClientAuth, secret?: string) => ({
    authenticate,
    secrets: secret === undefined ? [] : [secret, `${settings.clientId}:${secret}`]
  })
  switch (settings.clientAuth) {
    case "none":
      // A grant may say by itself who asks (RFC 7523, section 2.1).
      return of(settings.clientId === "" ? () => {} : oauth.None())
    case "tls_client_auth":
    case "self_signed_tls_client_auth":
      return of(oauth.TlsClientAuth())
    case "private_key_jwt": {
      if (oauth2.client_key === undefined) {
        return yield* misconfigured(id, "private_key_jwt needs a key.", "Give `client_key`.")
      }
      const { audience, certificate } = oauth2.client_key
      const { key, keyId } = yield* readKey(secrets, authorization, "client_key", oauth2.client_key)
      const to = (yield* textOf(secrets, authorization, audience)) ?? server.issuer ?? server.tokenEndpoint
      const thumbprint =
        certificate === undefined
          ? undefined
          : yield* certificateThumbprint(yield* secretOf(secrets, authorization, certificate)).pipe(
              Effect.mapError((problem) =>
                misconfigured(id, `auth.client_key.certificate (${certificate}) ${problem}`, "")
              )
            )
      return of(
        oauth.PrivateKeyJwt(withKey({ key: key.key, keyId }), {
          [oauth.modifyAssertion]: (header, payload) => {
            header["alg"] = key.algorithm
            header["typ"] = "JWT"
            if (thumbprint !== undefined) header["x5t#S256"] = thumbprint
            payload["aud"] = to
            timed(payload, now, clientAssertionLife)
          }
        })
      )
    }
    case "basic":
    case "basic_raw":
    case "post":
    case "client_secret_jwt": {
      if (reference === undefined) {
        return yield* misconfigured(id, `client_auth ${settings.clientAuth} needs a secret.`, "Give `client_secret`.")
      }
      const secret = Redacted.value(yield* secretOf(secrets, authorization, reference))
      if (settings.clientAuth === "basic") return of(basic(secret, formEncoded), secret)
      if (settings.clientAuth === "basic_raw")
        return of(
          basic(secret, (value) => value),
          secret
        )
      if (settings.clientAuth === "post") return of(oauth.ClientSecretPost(secret), secret)
      return of(
        oauth.ClientSecretJwt(secret, {
          [oauth.modifyAssertion]: (header, payload) => {
            header["typ"] = "JWT"
            payload["aud"] = server.issuer ?? server.tokenEndpoint
            timed(payload, now, clientAssertionLife)
          }
        }),
        secret
      )
    }
  }
})

/** The assertion of the grant jwt_bearer (RFC 7523, section 2.1), signed. */
export const grantAssertion = Effect.fnUntraced(function* (
  secrets: Secrets["Service"],
  authorization: Authorization,
  settings: Settings,
  server: ServerNames
) {
  const { id, oauth2 } = authorization
  if (oauth2.assertion === undefined) {
    return yield* misconfigured(id, "the grant jwt_bearer needs an assertion.", "Give `assertion`.")
  }
  const { audience, claims, issuer, lifetime, subject } = oauth2.assertion
  const { key, keyId } = yield* readKey(secrets, authorization, "assertion", oauth2.assertion)
  const iss = (yield* textOf(secrets, authorization, issuer)) ?? key.owner ?? settings.clientId
  if (iss === "") {
    return yield* misconfigured(id, "the assertion has no issuer.", "Give `assertion.issuer`, or `client_id`.")
  }
  const sub = (yield* textOf(secrets, authorization, subject)) ?? iss
  const aud = (yield* textOf(secrets, authorization, audience)) ?? server.tokenEndpoint
  const others: Record<string, string> = {}
  for (const [name, value] of Object.entries(claims)) {
    others[name] = (yield* textOf(secrets, authorization, value)) ?? ""
  }
  const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  // The library signs assertions of clients; with other claims the same is one of a grant.
  const sign = oauth.PrivateKeyJwt(withKey({ key: key.key, keyId }), {
    [oauth.modifyAssertion]: (header, payload) => {
      header["alg"] = key.algorithm
      header["typ"] = "JWT"
      Object.assign(payload, others, { iss, sub, aud })
      timed(payload, now, Math.floor(Duration.toSeconds(lifetime)))
    }
  })
  const body = new URLSearchParams()
  yield* Effect.tryPromise({
    try: async () => sign({ issuer: aud }, { client_id: iss }, body, new Headers()),
    catch: () => misconfigured(id, "the assertion cannot be signed with auth.assertion.key.", "Give another key.")
  })
  return body.get("client_assertion") ?? ""
})

/** A DPoP key (RFC 9449) of an authorization, as it is now; `undefined`: tokens are not bound. */
export const dpopKey = Effect.fnUntraced(function* (secrets: Secrets["Service"], authorization: Authorization) {
  const { dpop } = authorization.oauth2
  if (dpop === undefined) return undefined
  const { key } = yield* readKey(secrets, authorization, "dpop", dpop)
  return key
})

/** What connections to the servers of an authorization show and trust; `undefined`: nothing of their own. */
export const clientTls = Effect.fnUntraced(function* (secrets: Secrets["Service"], authorization: Authorization) {
  const { id, oauth2 } = authorization
  if (oauth2.tls === undefined) return undefined
  const pem = (reference: string | undefined) =>
    reference === undefined
      ? Effect.undefined
      : Effect.map(secretOf(secrets, authorization, reference), (value) => Redacted.value(value))
  const certificate = yield* pem(oauth2.tls.certificate)
  const key = yield* pem(oauth2.tls.key)
  const ca = yield* pem(oauth2.tls.ca)
  yield* Effect.try({
    try: () =>
      createSecureContext({
        ...(certificate === undefined ? {} : { cert: certificate }),
        ...(key === undefined ? {} : { key }),
        ...(ca === undefined ? {} : { ca })
      }),
    catch: (error) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
      return misconfigured(
        id,
        code.includes("MISMATCH")
          ? "the key of auth.tls does not belong to its certificate."
          : `the certificate, key or ca of auth.tls cannot be read (${code}).`,
        "Give PEM without a passphrase; the certificate and the key have to be a pair."
      )
    }
  })
  return Redacted.make<ClientTls>({ certificate, key, ca })
})
