import { createHash, randomBytes, timingSafeEqual } from "node:crypto"

/** A client that the server knows. */
export interface AuthClient {
  readonly id: string
  readonly secret: string
  /** How the client must authenticate. Default: either way, but never both at once (RFC 6749, section 2.3). */
  readonly auth?: "basic" | "post" | "any"
  readonly grants?: ReadonlyArray<"client_credentials" | "refresh_token">
  /** Scopes it may ask for. */
  readonly scopes?: ReadonlyArray<string>
}

/** What may go wrong with one token request. */
export type Fault =
  /** The connection is closed before the request is looked at. */
  | "reset"
  /** The request is carried out, then the connection is closed without an answer: its outcome is unknown. */
  | "drop"
  /** The request is carried out and never answered. */
  | "hang"
  /** The request is carried out, the answer is cut in the middle. */
  | "truncated"
  /** The request is carried out and answered with 502. */
  | "bad-gateway"
  /** The request is carried out twice, as behind a proxy that repeats it, and answered with the second answer. */
  | "duplicate"
  | "internal-error"
  | "throttled"
  /** An error with status 200, as some servers send it. */
  | "error-200"
  /** A login page with status 200. */
  | "html"
  | "empty"
  /** An answer without end. */
  | "huge"

/** Shares (0 to 1) of token requests that fail by chance, and waiting times. */
export interface FaultRates {
  readonly latencyMs: number
  readonly rates: Partial<Record<Fault, number>>
  /** `Retry-After` of throttled answers, in seconds or as a date. */
  readonly retryAfter: string | undefined
}

/** So many access tokens of one family in so many milliseconds. */
export interface TokenQuota {
  readonly tokens: number
  readonly perMs: number
}

export interface AuthStateOptions {
  readonly clients: ReadonlyArray<AuthClient>
  /** Seconds that an access token lives. */
  readonly tokenLife: number
  /** Seconds that a refresh token lives, counted anew with each rotation. Default: for ever. */
  readonly refreshTokenLife: number | undefined
  /** Whether each use of a refresh token replaces it. */
  readonly rotate: boolean
  /** Milliseconds in which a refresh token that was just replaced may be used again. */
  readonly graceMs: number
  /** Seconds before the end of an access token from which on it may be refreshed. Default: any time. */
  readonly refreshWindow?: number | undefined
  readonly quota?: TokenQuota | undefined
  readonly now: () => number
}

/** What a token is worth to a resource server (RFC 7662). */
export interface Validity {
  readonly active: boolean
  readonly clientId?: string
  readonly scope?: string
  readonly expiresAt?: number
}

export interface AuthStats {
  /** Requests that reached the token endpoint, with or without success. */
  tokenRequests: number
  issued: number
  refused: number
  faults: number
  discoveries: number
  introspections: number
  /** Uses of a refresh token that had been replaced: each one revokes its family. */
  reuses: number
  /** Replays inside the grace window. */
  replays: number
  inFlight: number
  maxInFlight: number
}

interface Family {
  readonly client: string
  readonly scope: ReadonlyArray<string>
  revoked: boolean
  /** When its last access token ends. */
  accessUntil: number
  /** When its last access tokens were issued. */
  issuedAt: Array<number>
}
interface RefreshToken {
  readonly family: Family
  readonly expiresAt: number
  spentAt: number | undefined
  successor: string | undefined
}
interface Access {
  readonly client: string
  readonly scope: string
  readonly expiresAt: number
  readonly family: Family | undefined
  revoked: boolean
}

/** An answer of the token endpoint as data. */
export interface TokenReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

const refusal = (status: number, error: string, description: string, headers: Record<string, string> = {}) =>
  ({ status, headers, body: { error, error_description: description } }) satisfies TokenReply

const same = (left: string, right: string) =>
  timingSafeEqual(createHash("sha256").update(left).digest(), createHash("sha256").update(right).digest())

const formDecode = (text: string) => decodeURIComponent(text.replaceAll("+", " "))

/**
 * The rules of a strict OAuth2 authorization server (RFC 6749, RFC 9700) without any IO: client credentials and refresh
 * tokens with rotation. Using a refresh token that was replaced, outside the grace window or after its successor was
 * used, revokes the whole family, access tokens included.
 */
export class AuthState {
  readonly stats: AuthStats = {
    tokenRequests: 0,
    issued: 0,
    refused: 0,
    faults: 0,
    discoveries: 0,
    introspections: 0,
    reuses: 0,
    replays: 0,
    inFlight: 0,
    maxInFlight: 0
  }
  tokenLife: number
  graceMs: number
  private readonly options: AuthStateOptions
  private readonly clients: Map<string, AuthClient>
  private readonly access = new Map<string, Access>()
  private readonly refresh = new Map<string, RefreshToken>()

  constructor(options: AuthStateOptions) {
    this.options = options
    this.tokenLife = options.tokenLife
    this.graceMs = options.graceMs
    this.clients = new Map(options.clients.map((client) => [client.id, client]))
  }

  setClient(client: AuthClient): void {
    this.clients.set(client.id, client)
  }

  /** A first refresh token, as a person's consent would give it. */
  issueRefreshToken(client: string, scope: ReadonlyArray<string> = []): string {
    return this.newRefreshToken({ client, scope, revoked: false, accessUntil: 0, issuedAt: [] })
  }

  /** Makes the resource server refuse every access token that is out. */
  revokeAccessTokens(): void {
    for (const access of this.access.values()) access.revoked = true
  }

  /** Withdraws consent: every refresh token and what came from it. */
  revokeFamilies(): void {
    for (const token of this.refresh.values()) token.family.revoked = true
  }

  validate(token: string): Validity {
    const access = this.access.get(token)
    if (access === undefined || access.revoked || access.family?.revoked === true) return { active: false }
    if (this.options.now() >= access.expiresAt) return { active: false }
    return { active: true, clientId: access.client, scope: access.scope, expiresAt: access.expiresAt }
  }

  /** Answers one request to the token endpoint. */
  token(authorization: string | undefined, contentType: string | undefined, body: string): TokenReply {
    const reply = this.decide(authorization, contentType, body)
    if (reply.status === 200) this.stats.issued++
    else this.stats.refused++
    return { ...reply, headers: { "cache-control": "no-store", ...reply.headers } }
  }

  /** Answers one request to the introspection endpoint (RFC 7662). */
  introspect(authorization: string | undefined, body: string): TokenReply {
    const form = new URLSearchParams(body)
    const client = this.authenticate(authorization, form)
    if ("status" in client) return client
    this.stats.introspections++
    const { active, clientId, expiresAt, scope } = this.validate(form.get("token") ?? "")
    return {
      status: 200,
      headers: {},
      body: active ? { active, client_id: clientId, scope, exp: Math.floor((expiresAt ?? 0) / 1000) } : { active }
    }
  }

  private decide(authorization: string | undefined, contentType: string | undefined, body: string): TokenReply {
    if (contentType?.split(";")[0]?.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
      return refusal(400, "invalid_request", "the body must be a form")
    }
    const form = new URLSearchParams(body)
    for (const name of new Set(form.keys())) {
      if (name !== "resource" && form.getAll(name).length > 1) {
        return refusal(400, "invalid_request", `${name} is given twice`)
      }
    }
    const client = this.authenticate(authorization, form)
    if ("status" in client) return client
    const grant = form.get("grant_type")
    if (grant !== "client_credentials" && grant !== "refresh_token") {
      return refusal(400, "unsupported_grant_type", "client_credentials and refresh_token are supported")
    }
    if (client.grants !== undefined && !client.grants.includes(grant)) {
      return refusal(400, "unauthorized_client", `this client may not use ${grant}`)
    }
    const scope = (form.get("scope") ?? "").split(" ").filter((word) => word !== "")
    if (grant === "refresh_token") return this.refreshGrant(client, form.get("refresh_token"), scope)
    const unknown = scope.find((word) => client.scopes !== undefined && !client.scopes.includes(word))
    if (unknown !== undefined) return refusal(400, "invalid_scope", `unknown scope ${unknown}`)
    return { status: 200, headers: {}, body: this.newAccessToken(client.id, scope, undefined) }
  }

  private authenticate(authorization: string | undefined, form: URLSearchParams): AuthClient | TokenReply {
    const denied = (why: string) =>
      refusal(401, "invalid_client", why, { "www-authenticate": 'Basic realm="token endpoint"' })
    const posted = form.get("client_secret")
    if (authorization !== undefined && posted !== null) {
      return refusal(400, "invalid_request", "the client authenticates in two ways at once")
    }
    const way = authorization === undefined ? "post" : "basic"
    let id = form.get("client_id") ?? ""
    let secret = posted ?? ""
    if (authorization !== undefined) {
      const [scheme, credentials = ""] = authorization.split(" ")
      if (scheme?.toLowerCase() !== "basic") return denied("Basic authentication was expected")
      const pair = Buffer.from(credentials, "base64").toString()
      const colon = pair.indexOf(":")
      if (colon < 0) return denied("malformed credentials")
      id = formDecode(pair.slice(0, colon))
      secret = formDecode(pair.slice(colon + 1))
    }
    const client = this.clients.get(id)
    if (client === undefined || !same(client.secret, secret)) return denied("unknown client or wrong secret")
    if (client.auth !== undefined && client.auth !== "any" && client.auth !== way) {
      return denied(`this client authenticates by ${client.auth}`)
    }
    return client
  }

  private refreshGrant(client: AuthClient, value: string | null, wanted: ReadonlyArray<string>): TokenReply {
    const token = value === null ? undefined : this.refresh.get(value)
    if (value === null || token === undefined || token.family.client !== client.id) {
      return refusal(400, "invalid_grant", "unknown refresh token")
    }
    const now = this.options.now()
    const { family } = token
    if (family.revoked) return refusal(400, "invalid_grant", "the grant was revoked")
    if (now >= token.expiresAt) return refusal(400, "invalid_grant", "the refresh token has expired")
    const early = this.tooEarly(family, now)
    if (early !== undefined) return early
    if (token.spentAt !== undefined) {
      const successor = token.successor === undefined ? undefined : this.refresh.get(token.successor)
      // Without a grace not even in the same millisecond.
      const isInGrace = this.graceMs > 0 && now - token.spentAt <= this.graceMs
      const replay = isInGrace && successor !== undefined && successor.spentAt === undefined
      if (!replay) {
        this.stats.reuses++
        family.revoked = true
        return refusal(400, "invalid_grant", "the refresh token was used before; the grant is revoked")
      }
      // The successor got lost on its way; a new one takes its place.
      this.stats.replays++
      if (token.successor !== undefined) this.refresh.delete(token.successor)
    }
    if (wanted.some((word) => !family.scope.includes(word))) {
      return refusal(400, "invalid_scope", "more scope than was granted")
    }
    const body = this.newAccessToken(client.id, wanted.length > 0 ? wanted : family.scope, family)
    if (!this.options.rotate) return { status: 200, headers: {}, body }
    const next = this.newRefreshToken(family)
    token.spentAt ??= now
    token.successor = next
    return { status: 200, headers: {}, body: { ...body, refresh_token: next } }
  }

  /** The refusal of a request that comes too early, or one too often. */
  private tooEarly(family: Family, now: number): TokenReply | undefined {
    const { quota, refreshWindow } = this.options
    if (refreshWindow !== undefined && now < family.accessUntil - refreshWindow * 1000) {
      return refusal(400, "invalid_request", "the access token has not expired yet")
    }
    if (quota === undefined) return undefined
    family.issuedAt = family.issuedAt.filter((at) => now - at < quota.perMs)
    const [first = now] = family.issuedAt
    if (family.issuedAt.length < quota.tokens) return undefined
    const seconds = Math.ceil((first + quota.perMs - now) / 1000)
    return refusal(429, "too_many_requests", "too many tokens of this grant", { "retry-after": String(seconds) })
  }

  private newAccessToken(client: string, scope: ReadonlyArray<string>, family: Family | undefined) {
    const value = `at-${randomBytes(24).toString("base64url")}`
    const text = scope.join(" ")
    const expiresAt = this.options.now() + this.tokenLife * 1000
    if (family !== undefined) {
      family.accessUntil = expiresAt
      if (this.options.quota !== undefined) family.issuedAt.push(this.options.now())
    }
    this.access.set(value, { client, scope: text, expiresAt, family, revoked: false })
    return {
      access_token: value,
      token_type: "Bearer",
      expires_in: this.tokenLife,
      ...(text === "" ? {} : { scope: text })
    }
  }

  private newRefreshToken(family: Family): string {
    const value = `rt-${randomBytes(24).toString("base64url")}`
    const life = this.options.refreshTokenLife
    const expiresAt = life === undefined ? Infinity : this.options.now() + life * 1000
    this.refresh.set(value, { family, expiresAt, spentAt: undefined, successor: undefined })
    return value
  }
}
