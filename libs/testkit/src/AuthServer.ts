import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as delay } from "node:timers/promises"
import {
  type AuthClient,
  AuthState,
  type AuthStats,
  type Fault,
  type FaultRates,
  type TokenQuota,
  type TokenReply,
  type Validity
} from "./AuthState.ts"
import { hear, type ProviderManner, say } from "./ProviderManner.ts"

export interface AuthServerOptions {
  /** Default: one client `client` with the secret `client-secret` and every grant and scope. */
  readonly clients?: ReadonlyArray<AuthClient>
  /** Seconds that an access token lives. Default: 3600. */
  readonly tokenLife?: number
  /** Seconds that a refresh token lives. Default: for ever. */
  readonly refreshTokenLife?: number
  /** Whether each use of a refresh token replaces it. Default: yes. */
  readonly rotate?: boolean
  /** Milliseconds in which a refresh token that was just replaced may be used again. Default: 0. */
  readonly graceMs?: number
  /** Seconds before the end of an access token from which on it may be refreshed; earlier requests are refused. Default: any time. */
  readonly refreshWindow?: number
  /** Access tokens that are issued for one refresh token's family in a time. Default: any number. */
  readonly quota?: TokenQuota
  readonly faults?: Partial<FaultRates>
  /** Discovery documents to serve. Default: both. */
  readonly discovery?: "oidc" | "oauth2" | "both" | "none"
  /** How the token endpoint differs from what RFC 6749 prescribes, as a provider's does. Default: not at all. */
  readonly manner?: ProviderManner
  /** The server's clock, in milliseconds since 1970. Default: the real one. */
  readonly now?: () => number
  /** Port on 127.0.0.1. Default: a free one. */
  readonly port?: number
  /** Chance, for faults. Default: `Math.random`. */
  readonly random?: () => number
}

/** Changes what the server does from the next request on. */
export interface AuthControl {
  readonly faults: (faults: Partial<FaultRates>) => void
  /** Faults of the next token requests, one each, before the rates apply; `none` lets one pass. */
  readonly next: (...faults: ReadonlyArray<Fault | "none">) => void
  /** Rewrites each successful token answer: other names, types, missing fields. */
  readonly shape: (rewrite: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>) => void
  /** Seconds that tokens issued from now on live. */
  readonly tokenLife: (seconds: number) => void
  readonly graceMs: (milliseconds: number) => void
  readonly setClient: (client: AuthClient) => void
  /** A first refresh token, as a person's consent would give it. */
  readonly issueRefreshToken: (client?: string, scope?: ReadonlyArray<string>) => string
  /** Makes `validate` refuse every access token that is out. */
  readonly revokeAccessTokens: () => void
  /** Withdraws consent: refresh tokens are refused from now on. */
  readonly revokeFamilies: () => void
}

/** A running authorization server on loopback. */
export interface AuthServer {
  readonly url: string
  readonly issuer: string
  readonly tokenUrl: string
  readonly stats: Readonly<AuthStats>
  readonly control: AuthControl
  /** What a resource server asks for each request it gets. */
  readonly validate: (token: string) => Validity
  readonly stop: () => Promise<void>
}

/** The client that a server without `clients` knows. */
export const defaultClient: AuthClient = { id: "client", secret: "client-secret" }

const maxRequestBytes = 65_536

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > maxRequestBytes) throw new Error("The request is too large.")
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString()
}

const sendJson = (response: ServerResponse, reply: TokenReply) => {
  response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers })
  response.end(JSON.stringify(reply.body))
}

/** Sends chunks until the client has enough. */
const sendWithoutEnd = async (response: ServerResponse) => {
  response.writeHead(200, { "content-type": "application/json" })
  const chunk = `"${"x".repeat(65_536)}",`
  response.write("[")
  while (!response.destroyed) {
    if (!response.write(chunk)) await Promise.race([delay(50), new Promise((done) => response.once("drain", done))])
  }
}

/**
 * Starts a strict authorization server for tests on 127.0.0.1: client credentials and rotating refresh tokens by the
 * rules of `AuthState`, discovery (RFC 8414 and OIDC), introspection (RFC 7662), and faults on demand or by chance.
 */
export const startAuthServer = async (options: AuthServerOptions = {}): Promise<AuthServer> => {
  // oxlint-disable-next-line eslint/no-restricted-globals -- a server of its own, outside of any Effect
  const now = options.now ?? (() => Date.now())
  const { manner } = options
  const state = new AuthState({
    clients: options.clients ?? [defaultClient],
    tokenLife: options.tokenLife ?? 3600,
    refreshTokenLife: options.refreshTokenLife,
    rotate: options.rotate ?? true,
    graceMs: options.graceMs ?? 0,
    refreshWindow: options.refreshWindow,
    quota: options.quota,
    now
  })
  const random = options.random ?? Math.random
  const discovery = options.discovery ?? "both"
  let faults: FaultRates = { latencyMs: 0, rates: {}, retryAfter: "1", ...options.faults }
  let shape = (body: Readonly<Record<string, unknown>>) => body
  const queue: Array<Fault | "none"> = []
  let issuer = ""

  const byChance = (): Fault | "none" => {
    let dice = random()
    const kinds: ReadonlyArray<Fault> = [
      "reset",
      "drop",
      "hang",
      "truncated",
      "bad-gateway",
      "duplicate",
      "internal-error",
      "throttled",
      "error-200",
      "html",
      "empty",
      "huge"
    ]
    for (const kind of kinds) {
      dice -= faults.rates[kind] ?? 0
      if (dice < 0) return kind
    }
    return "none"
  }

  const token = async (request: IncomingMessage, response: ServerResponse) => {
    state.stats.tokenRequests++
    state.stats.inFlight++
    state.stats.maxInFlight = Math.max(state.stats.maxInFlight, state.stats.inFlight)
    response.once("close", () => state.stats.inFlight--)
    const fault = queue.shift() ?? byChance()
    if (fault !== "none") state.stats.faults++
    const body = await readBody(request)
    const carryOut = () => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://loopback")
      const { authorization, "content-type": contentType } = request.headers
      const heard =
        manner === undefined
          ? { authorization, contentType, body }
          : hear(manner, { path: pathname, query: searchParams, headers: request.headers, body })
      if ("status" in heard) {
        state.stats.refused++
        return heard
      }
      const plain = state.token(heard.authorization, heard.contentType, heard.body)
      const reply = manner === undefined ? plain : say(manner, plain, now())
      return reply.status === 200 ? { ...reply, body: shape(reply.body) } : reply
    }
    const wait = () => (faults.latencyMs > 0 ? delay(faults.latencyMs) : undefined)
    switch (fault) {
      case "reset":
        response.destroy()
        return
      case "drop":
        carryOut()
        await wait()
        response.destroy()
        return
      case "hang":
        carryOut()
        return
      case "truncated": {
        const text = JSON.stringify(carryOut().body)
        response.writeHead(200, { "content-type": "application/json" })
        response.end(text.slice(0, text.length >> 1))
        return
      }
      case "bad-gateway":
        carryOut()
        await wait()
        response.writeHead(502, { "content-type": "text/html" }).end("<html><h1>Bad Gateway</h1></html>")
        return
      case "duplicate": {
        carryOut()
        const reply = carryOut()
        await wait()
        sendJson(response, reply)
        return
      }
      case "internal-error":
        await wait()
        sendJson(response, { status: 500, headers: {}, body: { error: "server_error" } })
        return
      case "throttled": {
        const headers: Record<string, string> =
          faults.retryAfter === undefined ? {} : { "retry-after": faults.retryAfter }
        sendJson(response, { status: 429, headers, body: { error: "too_many_requests" } })
        return
      }
      case "error-200":
        sendJson(response, { status: 200, headers: {}, body: { error: "temporarily_unavailable" } })
        return
      case "html":
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Sign in</title>")
        return
      case "empty":
        response.writeHead(200).end()
        return
      case "huge":
        await sendWithoutEnd(response)
        return
      default: {
        const reply = carryOut()
        await wait()
        sendJson(response, reply)
      }
    }
  }

  const metadata = () => ({
    issuer,
    token_endpoint: `${issuer}/token`,
    introspection_endpoint: `${issuer}/introspect`,
    grant_types_supported: ["client_credentials", "refresh_token"],
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
    response_types_supported: []
  })

  const tokenPath = manner?.tokenPath ?? "/token"
  const tokenPaths = new Set([tokenPath, manner?.refreshPath ?? tokenPath])

  const route = async (request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? "/", "http://loopback").pathname
    const isOidc = path === "/.well-known/openid-configuration" && (discovery === "oidc" || discovery === "both")
    const isOAuth2 =
      path === "/.well-known/oauth-authorization-server" && (discovery === "oauth2" || discovery === "both")
    if (isOidc || isOAuth2) {
      state.stats.discoveries++
      sendJson(response, { status: 200, headers: {}, body: metadata() })
    } else if (tokenPaths.has(path) && request.method === "POST") {
      await token(request, response)
    } else if (path === "/introspect" && request.method === "POST") {
      sendJson(response, state.introspect(request.headers.authorization, await readBody(request)))
    } else {
      const status = tokenPaths.has(path) || path === "/introspect" ? 405 : 404
      response.writeHead(status, { "content-type": "text/html" }).end(`<html><h1>${status}</h1></html>`)
    }
  }

  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port ?? 0, "127.0.0.1", resolve)
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port.")
  issuer = `http://127.0.0.1:${address.port}`

  return {
    url: issuer,
    issuer,
    tokenUrl: `${issuer}/token`,
    stats: state.stats,
    validate: (value) => state.validate(value),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
    control: {
      faults: (patch) => {
        faults = { ...faults, ...patch }
      },
      next: (...kinds) => {
        queue.push(...kinds)
      },
      shape: (rewrite) => {
        shape = rewrite
      },
      tokenLife: (seconds) => {
        state.tokenLife = seconds
      },
      graceMs: (milliseconds) => {
        state.graceMs = milliseconds
      },
      setClient: (client) => state.setClient(client),
      issueRefreshToken: (client = defaultClient.id, scope = []) => state.issueRefreshToken(client, scope),
      revokeAccessTokens: () => state.revokeAccessTokens(),
      revokeFamilies: () => state.revokeFamilies()
    }
  }
}
