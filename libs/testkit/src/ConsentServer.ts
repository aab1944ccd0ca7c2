// oxlint-disable-next-line typescript/triple-slash-reference -- declares the types of a package that has none, also for those who import this
/// <reference path="./oidc-provider.d.ts" />
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, randomUUID, sign } from "node:crypto"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Provider } from "oidc-provider"
import type { Fault, TokenQuota } from "./AuthState.ts"
import { type Consents, devicePages, interact } from "./ConsentPages.ts"
import { memoryAdapter } from "./MemoryAdapter.ts"
import { type Answer, forward, type Passing, reply, TokenGate } from "./TokenGate.ts"

type Json = Readonly<Record<string, unknown>>

export interface ConsentServerOptions {
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number
  /** Seconds that an access token lives. Default: 300. */
  readonly tokenLife?: number
  /** Whether each use of a refresh token replaces it; a second use then revokes all that came from the consent. Default: yes. */
  readonly rotate?: boolean
  /** Milliseconds in which a refresh token that was just replaced brings the same answer once more. Default: 0. */
  readonly graceMs?: number
  /** Seconds before the end of an access token from which on it may be refreshed. Default: any time. */
  readonly refreshWindow?: number
  readonly quota?: TokenQuota
  /** Milliseconds that token answers take longer. */
  readonly latencyMs?: number
  /** Seconds that a device's code lives. Default: 300. */
  readonly deviceCodeLife?: number
  /** Whether authorization requests have to be pushed first (RFC 9126). Default: they may be. */
  readonly requirePushed?: boolean
}

/** Changes what the server does from the next request on. */
export interface ConsentControl {
  /** Faults of the next token requests, one each; `none` lets one pass. */
  readonly next: (...faults: ReadonlyArray<Fault | "none">) => void
  /** Rewrites each successful token answer. */
  readonly shape: (rewrite: (body: Json) => Json) => void
  /** Rewrites the claims of ID tokens, which are then signed anew; the header with them where it is given. */
  readonly idToken: (rewrite: (claims: Json) => Json, header?: Json) => void
  /** Lets the server's clock go ahead (or, below 0, behind) in what ID tokens say. Seconds. */
  readonly clockSkew: (seconds: number) => void
  /** Replaces the signing key. What was signed before cannot be verified any more. */
  readonly rotateKeys: () => Promise<void>
  /** Rewrites the metadata document. */
  readonly metadata: (rewrite: (document: Json) => Json) => void
  readonly graceMs: (milliseconds: number) => void
  readonly latencyMs: (milliseconds: number) => void
  /** Withdraws all consents: their tokens are refused from now on. */
  readonly revokeConsents: () => Promise<void>
  /** Refuses all requests with 503, or ends that. */
  readonly outage: (isOut: boolean) => void
}

/** A client that the server knows. */
export interface ConsentClient {
  readonly id: string
  /** `undefined`: it is a public one. */
  readonly secret: string | undefined
}

/** A running authorization server with pages for a browser, and an API that takes its tokens. */
export interface ConsentServer {
  readonly issuer: string
  /** An API at the same address: `/orders` needs a token for it with the scope api:read, `/orders/all` api:write. */
  readonly api: string
  /** `app` (public), `web` (secret, HTTP Basic), `other` (as `web`), `service` (client credentials). */
  readonly clients: Readonly<Record<"app" | "web" | "other" | "service", ConsentClient>>
  readonly control: ConsentControl
  readonly stats: {
    readonly tokenRequests: number
    readonly keyReads: number
    readonly pushed: number
    readonly revocations: number
  }
  readonly stop: () => Promise<void>
}

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      if (address === null || typeof address === "string") reject(new Error("The server has no port."))
      else resolve(address.port)
    })
  })

const close = async (server: Server): Promise<void> => {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}

const newKey = (): JsonWebKey & { readonly kid: string } => ({
  ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }),
  kid: randomUUID(),
  use: "sig",
  alg: "RS256"
})

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

const read = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

const badTarget = () =>
  Object.assign(new Error("invalid_target"), {
    statusCode: 400,
    status: 400,
    expose: true,
    error: "invalid_target",
    error_description: "unknown resource"
  })

/**
 * Starts the npm package oidc-provider with what a person needs (pages to sign in and to allow or deny), and what providers do
 * beside the standard: grace for replaced refresh tokens, bans on early refreshes, quotas, key rotation, a wrong clock, outages, and
 * answers that are lost, late or odd. Code grant with PKCE (S256 alone), device grant, PAR, RFC 8707, revocation, introspection.
 */
export const startConsentServer = async (options: ConsentServerOptions = {}): Promise<ConsentServer> => {
  const { Provider: Made } = await import("oidc-provider")
  const { rotate = true, tokenLife = 300 } = options
  // oxlint-disable-next-line eslint/no-restricted-globals -- a server of its own, outside of any Effect
  const now = () => Date.now()
  const outer = createServer()
  const port = await listen(outer, options.port ?? 0)
  const issuer = `http://127.0.0.1:${port}`
  const api = `${issuer}/api`
  const clients = {
    app: { id: "app", secret: undefined },
    web: { id: "web", secret: "web-secret: with+odd/characters & =" },
    other: { id: "other", secret: "other-secret: with+odd/characters & =" },
    service: { id: "service", secret: "service-secret: with+odd/characters & =" }
  } as const
  const personal = {
    application_type: "native",
    grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    response_types: ["code"],
    redirect_uris: ["http://127.0.0.1/callback", "http://localhost/callback", "http://[::1]/callback"],
    scope: "openid offline_access api:read api:write"
  }
  const confidential = ({ id, secret }: ConsentClient) => ({
    ...personal,
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: "client_secret_basic"
  })
  const adapter = memoryAdapter()
  const consents: Consents = { grants: new Set() }
  const stats = { keyReads: 0, pushed: 0, revocations: 0 }
  const cookies = [randomUUID()]

  const makeProvider = (key: JsonWebKey): Provider =>
    new Made(issuer, {
      adapter,
      jwks: { keys: [key] },
      cookies: { keys: cookies },
      scopes: ["openid", "offline_access", "api:read", "api:write"],
      claims: { openid: ["sub"] },
      clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
      interactions: { url: (_context: unknown, { uid }: { readonly uid: string }) => `/interaction/${uid}` },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        deviceFlow: { enabled: true, ...devicePages },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: {
          enabled: true,
          allowedPolicy: (_context: unknown, client: { clientId: string }, token: { clientId: string }) =>
            client.clientId === token.clientId
        },
        pushedAuthorizationRequests: {
          enabled: true,
          requirePushedAuthorizationRequests: options.requirePushed ?? false
        },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => undefined,
          useGrantedResource: () => true,
          getResourceServerInfo: (_context: unknown, resource: string) => {
            if (resource !== api && resource !== "https://elsewhere.example/") throw badTarget()
            return {
              scope: "api:read api:write",
              audience: resource,
              accessTokenTTL: tokenLife,
              accessTokenFormat: "opaque"
            }
          }
        },
        userinfo: { enabled: true }
      },
      pkce: { required: () => true },
      rotateRefreshToken: rotate,
      ttl: {
        AccessToken: tokenLife,
        AuthorizationCode: 60,
        ClientCredentials: tokenLife,
        DeviceCode: options.deviceCodeLife ?? 300,
        RefreshToken: 86_400,
        IdToken: 300,
        Grant: 86_400,
        Interaction: 600,
        Session: 3600
      },
      renderError: (context: { body: string; type: string }, out: Readonly<Record<string, string>>) => {
        context.type = "text"
        context.body = `${out["error"] ?? "error"}: ${out["error_description"] ?? ""}`
      },
      findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
      clients: [
        { ...personal, client_id: clients.app.id, token_endpoint_auth_method: "none" },
        confidential(clients.web),
        confidential(clients.other),
        {
          client_id: clients.service.id,
          client_secret: clients.service.secret,
          grant_types: ["client_credentials"],
          response_types: [],
          redirect_uris: [],
          scope: "api:read api:write"
        }
      ]
    })

  let key = newKey()
  let provider = makeProvider(key)
  let answer = provider.callback()
  const inner = createServer((request, response) => {
    if (request.url?.startsWith("/interaction/") !== true) return void answer(request, response)
    interact(provider, consents, request, response).catch((error: unknown) => {
      response
        .writeHead(400, { "content-type": "text/plain" })
        .end(error instanceof Error ? error.message : "The page is not known.")
    })
  })
  const innerPort = await listen(inner, 0)

  let rewriteClaims: ((claims: Json) => Json) | undefined
  let header: Json = {}
  let skew = 0
  let rewriteMetadata = (document: Json): Json => document
  let isOut = false
  let shape = (body: Json): Json => body

  /** An ID token with other claims, signed by the same key. */
  const resigned = (idToken: string): string => {
    const [first = "", second = ""] = idToken.split(".")
    const before: unknown = JSON.parse(Buffer.from(second, "base64url").toString())
    const was: unknown = JSON.parse(Buffer.from(first, "base64url").toString())
    const claims: Record<string, unknown> = typeof before === "object" && before !== null ? { ...before } : {}
    for (const name of ["iat", "exp", "auth_time"]) {
      const time = claims[name]
      if (typeof time === "number") claims[name] = time + skew
    }
    const head = { ...(typeof was === "object" ? was : {}), ...header }
    const text = `${base64(head)}.${base64(rewriteClaims?.(claims) ?? claims)}`
    const signature = sign("sha256", Buffer.from(text), createPrivateKey({ key, format: "jwk" }))
    return `${text}.${signature.toString("base64url")}`
  }
  const gate = new TokenGate(
    {
      graceMs: options.graceMs ?? 0,
      refreshWindow: options.refreshWindow,
      quota: options.quota,
      latencyMs: options.latencyMs ?? 0,
      shape: (body) => {
        const idToken = body["id_token"]
        const isChanged = typeof idToken === "string" && (rewriteClaims !== undefined || skew !== 0)
        return shape(isChanged ? { ...body, id_token: resigned(idToken) } : body)
      }
    },
    (passing) => forward(innerPort, passing),
    now
  )

  const orders = async (request: IncomingMessage, path: string): Promise<Answer> => {
    const value = /^Bearer (\S+)$/iu.exec(request.headers.authorization ?? "")?.[1]
    const refuse = (status: number, challenge: string): Answer => ({
      status,
      headers: { "www-authenticate": `Bearer ${challenge}`, "content-type": "application/json" },
      body: Buffer.from("{}")
    })
    if (value === undefined) return refuse(401, 'realm="api"')
    const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value))
    const audience = token?.aud === undefined ? [] : [token.aud].flat()
    if (token === undefined || !audience.includes(api)) return refuse(401, 'error="invalid_token"')
    const needed = path === "/api/orders/all" ? "api:write" : "api:read"
    if (!(token.scope ?? "").split(" ").includes(needed)) {
      return refuse(403, `error="insufficient_scope", scope="${needed}"`)
    }
    return {
      status: 200,
      headers: { "content-type": "application/json" },
      body: Buffer.from(
        JSON.stringify({ data: [1, 2, 3].map((id) => ({ id, total: id * 10, client: token.clientId })) })
      )
    }
  }

  const route = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? "/", issuer).pathname
    const body = await read(request)
    if (isOut) {
      response.writeHead(503, { "content-type": "text/plain" }).end("An outage.")
      return
    }
    if (path.startsWith("/api/orders")) return reply(response, await orders(request, path))
    const { headers, method = "GET", url = "/" } = request
    const passing: Passing = { method, path: url, headers, body }
    if (path === "/token") return gate.handle(passing, response)
    if (path === "/jwks") stats.keyReads++
    if (path === "/request") stats.pushed++
    if (path === "/token/revocation") stats.revocations++
    const found = await forward(innerPort, passing)
    if (path !== "/.well-known/openid-configuration") return reply(response, found)
    const document: unknown = JSON.parse(found.body.toString())
    const changed = typeof document === "object" && document !== null ? rewriteMetadata({ ...document }) : {}
    reply(response, { ...found, body: Buffer.from(JSON.stringify(changed)) })
  }
  outer.on("request", (request, response) => {
    route(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  })

  return {
    issuer,
    api,
    clients,
    stats: {
      get tokenRequests() {
        return gate.tokenRequests
      },
      get keyReads() {
        return stats.keyReads
      },
      get pushed() {
        return stats.pushed
      },
      get revocations() {
        return stats.revocations
      }
    },
    control: {
      next: (...faults) => void gate.queue.push(...faults),
      shape: (rewrite) => {
        shape = rewrite
      },
      idToken: (rewrite, head = {}) => {
        rewriteClaims = rewrite
        header = head
      },
      clockSkew: (seconds) => {
        skew = seconds
      },
      rotateKeys: async () => {
        key = newKey()
        provider = makeProvider(key)
        answer = provider.callback()
      },
      metadata: (rewrite) => {
        rewriteMetadata = rewrite
      },
      graceMs: (milliseconds) => {
        gate.rules.graceMs = milliseconds
      },
      latencyMs: (milliseconds) => {
        gate.rules.latencyMs = milliseconds
      },
      revokeConsents: async () => {
        for (const id of consents.grants) {
          for (const model of ["AccessToken", "RefreshToken", "AuthorizationCode", "DeviceCode"]) {
            await adapter(model).revokeByGrantId(id)
          }
          await adapter("Grant").destroy(id)
        }
        consents.grants.clear()
      },
      outage: (now) => {
        isOut = now
      }
    },
    stop: async () => {
      await close(outer)
      await close(inner)
    }
  }
}
