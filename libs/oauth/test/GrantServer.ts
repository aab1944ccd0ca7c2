import { Effect } from "effect"
import { Provider } from "oidc-provider"
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { TLSSocket } from "node:tls"
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose"
import type { Pair } from "@tributary/testkit"

interface Context {
  readonly req: IncomingMessage
  body: unknown
  readonly oidc: {
    readonly params: Readonly<Record<string, string | undefined>>
    readonly client: { readonly clientId: string }
  }
}

declare module "oidc-provider" {
  interface Provider {
    registerGrantType(
      name: string,
      handler: (context: Context) => Promise<void>,
      parameters: ReadonlyArray<string>
    ): void
  }
}

export interface GrantServerOptions {
  readonly clients: ReadonlyArray<Readonly<Record<string, unknown>>>
  /** With TLS, the server asks for a certificate; the rules of each client say which. */
  readonly tls?: Pair & { readonly ca: string }
  /** Public keys of those whose assertions are trusted (RFC 7523), by issuer. */
  readonly trusted?: Readonly<Record<string, JSONWebKeySet>>
  readonly requireNonce?: boolean
}

/** A request to the token endpoint as it came. */
export interface SeenRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: URLSearchParams
  /** Fingerprint of the certificate that the connection showed. */
  readonly certificate: string | undefined
}

export const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
export const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

export const jwk = (key: KeyObject, more: Readonly<Record<string, unknown>> = {}) => ({
  ...key.export({ format: "jwk" }),
  ...more
})

export const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 })
export const ec = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve })
export const ed25519 = () => generateKeyPairSync("ed25519")
export const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString()

const peer = ({ req }: Pick<Context, "req">) =>
  req.socket instanceof TLSSocket ? req.socket.getPeerX509Certificate() : undefined

/** The npm package oidc-provider with every way of client authentication, DPoP, mTLS, PAR and the grants of RFC 7523 and RFC 8693. */
const start = async ({ clients, requireNonce = false, tls, trusted = {} }: GrantServerOptions) => {
  const http =
    tls === undefined
      ? createServer()
      : createTlsServer({
          cert: tls.certificate,
          key: tls.key,
          ca: tls.ca,
          requestCert: true,
          // The rules of each client decide.
          rejectUnauthorized: false
        })
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject)
    http.listen(0, "127.0.0.1", resolve)
  })
  const address = http.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port.")
  const issuer = `${tls === undefined ? "http" : "https"}://127.0.0.1:${address.port}`
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk(rsa().privateKey, { kid: "server", use: "sig", alg: "RS256" })] },
    cookies: { keys: ["cookie"] },
    scopes: ["openid", "offline_access", "api:read", "api:write"],
    clientAuthMethods: [
      "client_secret_basic",
      "client_secret_post",
      "client_secret_jwt",
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth",
      "none"
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: ["HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"],
      dPoPSigningAlgValues: ["ES256", "RS256", "EdDSA", "Ed25519"]
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      userinfo: { enabled: true },
      dPoP: {
        enabled: true,
        ...(requireNonce ? { nonceSecret: randomBytes(32), requireNonce: () => true } : {})
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: peer,
        certificateAuthorized: ({ req }: Context) => req.socket instanceof TLSSocket && req.socket.authorized,
        certificateSubjectMatches: (context: Context, _property: string, expected: string) =>
          peer(context)?.subject === expected
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => {
          if (resource !== "https://api.example/")
            throw Object.assign(new Error("invalid_target"), {
              statusCode: 400,
              status: 400,
              expose: true,
              error: "invalid_target",
              error_description: "unknown resource"
            })
          return { scope: "api:read api:write", audience: resource, accessTokenFormat: "opaque" }
        }
      }
    },
    ttl: { AccessToken: 60, ClientCredentials: 60, RefreshToken: 3600, IdToken: 60, Grant: 3600 },
    rotateRefreshToken: true,
    findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    extraParams: [],
    clients: clients.map((client) => ({
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
      scope: "openid offline_access api:read api:write",
      ...client
    }))
  })
  const refuse = (error: string, description: string): never => {
    throw Object.assign(new Error(error), {
      statusCode: 400,
      status: 400,
      expose: true,
      error,
      error_description: description
    })
  }
  const issue = async (context: Context, scope: string | undefined) => {
    const client = await provider.Client.find(context.oidc.client.clientId)
    const Token: unknown = provider.ClientCredentials
    if (typeof Token !== "function") throw new TypeError("oidc-provider has changed.")
    const token: { save(): Promise<string> } = Reflect.construct(Token, [{ client, scope }])
    const value = await token.save()
    return { access_token: value, token_type: "Bearer", expires_in: 60, ...(scope === undefined ? {} : { scope }) }
  }
  const assertions: Array<Readonly<Record<string, unknown>>> = []
  provider.registerGrantType(
    jwtBearer,
    async (context) => {
      const { assertion = "", scope } = context.oidc.params
      const claimed: unknown = JSON.parse(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString())
      const keys = trusted[String(typeof claimed === "object" && claimed !== null ? Reflect.get(claimed, "iss") : "")]
      if (keys === undefined) return refuse("invalid_grant", "unknown issuer of the assertion")
      const { payload } = await jwtVerify(assertion, createLocalJWKSet(keys), { audience: `${issuer}/token` }).catch(
        (error: unknown) => refuse("invalid_grant", error instanceof Error ? error.message : "invalid")
      )
      assertions.push(payload)
      context.body = await issue(context, typeof payload["scope"] === "string" ? payload["scope"] : scope)
    },
    ["assertion", "scope"]
  )
  provider.registerGrantType(
    tokenExchange,
    async (context) => {
      const { actor_token, audience, subject_token = "", subject_token_type } = context.oidc.params
      if (subject_token_type !== "urn:ietf:params:oauth:token-type:access_token") {
        return refuse("invalid_request", "unknown subject_token_type")
      }
      const subject = await provider.ClientCredentials.find(subject_token)
      if (subject === undefined) return refuse("invalid_grant", "unknown subject token")
      if (audience !== undefined && audience !== "backend") return refuse("invalid_target", "unknown audience")
      context.body = {
        ...(await issue(context, "api:read")),
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
        ...(actor_token === undefined ? {} : { acted: true })
      }
    },
    [
      "subject_token",
      "subject_token_type",
      "actor_token",
      "actor_token_type",
      "requested_token_type",
      "audience",
      "resource",
      "scope"
    ]
  )
  const seen: Array<SeenRequest> = []
  const answer = provider.callback()
  http.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Array<Buffer> = []
    const shown = peer({ req: request })?.fingerprint256
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      seen.push({
        path: request.url ?? "",
        headers: request.headers,
        body: new URLSearchParams(Buffer.concat(chunks).toString()),
        certificate: shown
      })
    })
    answer(request, response)
  })
  return {
    issuer,
    tokenUrl: `${issuer}/token`,
    seen,
    /** Claims of assertions that were taken. */
    assertions,
    tokenRequests: () => seen.filter(({ path }) => path === "/token"),
    isValid: async (token: string) =>
      (await provider.ClientCredentials.find(token)) !== undefined ||
      (await provider.AccessToken.find(token)) !== undefined,
    issueRefreshToken: async (clientId: string, more: Readonly<Record<string, unknown>> = {}) => {
      const grant = new provider.Grant({ accountId: "person", clientId })
      grant.addOIDCScope("openid offline_access")
      const grantId = await grant.save()
      const token = new provider.RefreshToken({
        accountId: "person",
        client: await provider.Client.find(clientId),
        grantId,
        gty: "authorization_code",
        scope: "openid offline_access",
        ...more
      })
      return token.save()
    },
    stop: async () => {
      const closed = new Promise((resolve) => http.close(resolve))
      http.closeAllConnections()
      await closed
    }
  }
}
export type GrantServer = Awaited<ReturnType<typeof start>>

/** Runs the server for the time of the scope. */
export const grantServer = (options: GrantServerOptions) =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (server) => Effect.promise(() => server.stop())
  )

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url")
