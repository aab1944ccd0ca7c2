import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as delay } from "node:timers/promises"
import { Offers, type SyntheticOffers } from "./SyntheticOffers.ts"
import { syntheticDefaults, type SyntheticSettings, type SyntheticStats } from "./SyntheticSettings.ts"
import { firstSince, sizeOfRecords, writeRecords } from "./SyntheticRecords.ts"

export interface SyntheticApi {
  readonly url: string
  readonly tokenUrl: string
  readonly stats: Readonly<SyntheticStats>
  /** Changes settings from the next request on. */
  readonly set: (settings: Partial<SyntheticSettings>) => void
  readonly revokeTokens: () => void
  readonly stop: () => Promise<void>
}

// oxlint-disable-next-line eslint/no-restricted-globals -- a server of its own, outside of any Effect
const now = (): number => Date.now()

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers
  })
  response.end(text)
}

const formOf = async (request: IncomingMessage): Promise<URLSearchParams> => {
  let text = ""
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > 65_536) break
  }
  return new URLSearchParams(text)
}

/** Client and secret of a token request, from its Basic header or its form (RFC 6749, section 2.3.1). */
const credentials = (
  request: IncomingMessage,
  form: URLSearchParams
): readonly [id: string | null, secret: string | null] => {
  const header = request.headers.authorization ?? ""
  if (!/^basic /iu.test(header)) return [form.get("client_id"), form.get("client_secret")]
  const [id = "", secret = ""] = Buffer.from(header.slice(6), "base64").toString().split(":")
  const decoded = (text: string) => decodeURIComponent(text.replaceAll("+", " "))
  return [decoded(id), decoded(secret)]
}

/**
 * Starts the API on a free port of 127.0.0.1 (or `port` of `host`):
 *
 * - `POST /oauth/token`: client credentials grant.
 * - `GET /records`, `/records/1`, ...: a page of the first stream, of the second, ..., chosen by `cursor` (opaque), `page` (from 1) or `offset`; `limit` is its size, `since` (RFC 3339)
 *   leaves out records with an earlier `updated_at`. The body has `data`, `next` (cursor) and `links.next`; so has the Link header.
 * - `GET /stats`: counters. `GET /offers`: what was offered when. `POST /settings`: changes settings (a JSON object of them, but
 *   `streams`). These are not protected: the API is for tests.
 */
export const startSyntheticApi = async (
  options: Partial<SyntheticSettings> & {
    readonly host?: string
    readonly port?: number
    readonly random?: () => number
  } = {}
): Promise<SyntheticApi> => {
  const { host = "127.0.0.1", port = 0, random = Math.random, ...given } = options
  let settings: SyntheticSettings = { ...syntheticDefaults, ...given }
  const stats: SyntheticStats = {
    requests: 0,
    pages: 0,
    records: 0,
    bytes: 0,
    unauthorized: 0,
    forbidden: 0,
    throttled: 0,
    early: 0,
    errors: 0,
    dropped: 0,
    cut: 0,
    badRequests: 0,
    tokenRequests: 0,
    tokensRefused: 0,
    mostAtOnce: 0,
    pagesOf: Array.from({ length: settings.streams }, () => 0)
  }
  const offers = new Offers(settings.streams, now(), settings.records, settings.rate)
  const tokens = new Map<string, { readonly end: number; readonly scopes: ReadonlyArray<string> }>()
  let blockedUntil = 0
  let atOnce = 0
  let url = ""
  /** Buffers of pages that have been sent, to be used again. */
  const pool: Array<Buffer> = []

  const token = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    stats.tokenRequests++
    const form = await formOf(request)
    if (settings.tokenLatency > 0) await delay(settings.tokenLatency)
    const refuse = (status: number, error: string, headers: Record<string, string> = {}) => {
      stats.tokensRefused++
      json(response, status, { error }, headers)
    }
    const [id, secret] = credentials(request, form)
    if (id !== settings.clientId || secret !== settings.clientSecret) {
      return refuse(401, "invalid_client", { "www-authenticate": 'Basic realm="synthetic"' })
    }
    if (form.get("grant_type") !== "client_credentials") return refuse(400, "unsupported_grant_type")
    const asked = (form.get("scope") ?? "").split(" ").filter((scope) => scope !== "")
    if (asked.some((scope) => !settings.scopes.includes(scope))) return refuse(400, "invalid_scope")
    const value = `at_${randomBytes(18).toString("base64url")}`
    for (const [old, { end }] of tokens) if (end < now()) tokens.delete(old)
    const scopes = asked.length === 0 ? settings.scopes : asked
    tokens.set(value, { end: now() + 1000 * Math.min(settings.tokenLife, settings.trueTokenLife), scopes })
    const scope = scopes.join(" ")
    json(
      response,
      200,
      { access_token: value, token_type: "Bearer", expires_in: settings.tokenLife, scope },
      { "cache-control": "no-store" }
    )
  }

  /** Refuses a request without a good token (RFC 6750, section 3.1); returns whether it did. */
  const isRefused = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (!settings.auth) return false
    const [, value = ""] = /^bearer (.+)$/iu.exec(request.headers.authorization ?? "") ?? []
    const known = tokens.get(value)
    const challenge = 'Bearer realm="synthetic", error='
    if (known === undefined || known.end <= now()) {
      stats.unauthorized++
      json(response, 401, { error: "invalid_token" }, { "www-authenticate": `${challenge}"invalid_token"` })
      return true
    }
    const needed = settings.scopes[0] ?? ""
    if (settings.scopes.length === 0 || known.scopes.includes(needed)) return false
    stats.forbidden++
    const headers = { "www-authenticate": `${challenge}"insufficient_scope", scope="${needed}"` }
    json(response, 403, { error: "insufficient_scope" }, headers)
    return true
  }

  /** Plays a fault, if it is its turn; returns whether the request is done with, or else whether its body is to be cut. */
  const fault = (request: IncomingMessage, response: ServerResponse): "done" | "cut" | "none" => {
    if (settings.revokeEvery > 0 && stats.requests % settings.revokeEvery === 0) tokens.clear()
    if (isRefused(request, response)) return "done"
    const chance = random()
    let below = settings.throttleRate
    const isEarly = now() < blockedUntil
    if (isEarly || chance < below) {
      if (isEarly) stats.early++
      else {
        // A date has whole seconds only, so the end is set to one.
        const end = now() + 1000 * settings.retryAfter
        blockedUntil = settings.retryAfterForm === "seconds" ? end : Math.ceil(end / 1000) * 1000
      }
      stats.throttled++
      const seconds = Math.ceil((blockedUntil - now()) / 1000)
      // oxlint-disable-next-line eslint/no-restricted-globals -- formats a given time
      const date = new Date(blockedUntil).toUTCString()
      const isDate =
        settings.retryAfterForm === "date" || (settings.retryAfterForm === "both" && stats.throttled % 2 === 0)
      const retryAfter = isDate ? date : String(Math.max(1, seconds))
      json(response, 429, { error: "rate_limited" }, { "retry-after": settings.retryAfter === 0 ? "0" : retryAfter })
      return "done"
    }
    if (chance < (below += settings.errorRate)) {
      stats.errors++
      json(response, 500, { error: "internal" })
      return "done"
    }
    if (chance < (below += settings.dropRate)) {
      stats.dropped++
      request.socket.destroy()
      return "done"
    }
    return chance < below + settings.cutRate ? "cut" : "none"
  }

  const page = (stream: number, query: URLSearchParams, response: ServerResponse, isCut: boolean): void => {
    const first = settings.first + stream * settings.span
    const available = offers.available(now())
    const refuse = (parameter: string) => {
      stats.badRequests++
      json(response, 400, { error: "bad_request", parameter })
    }
    const natural = (name: string, fallback: number): number => {
      const text = query.get(name)
      return text === null ? fallback : /^\d{1,15}$/u.test(text) ? Number(text) : Number.NaN
    }
    const since = query.get("since")
    // oxlint-disable-next-line eslint/no-restricted-globals -- parses a given time
    const base = since === null ? 0 : Math.max(0, firstSince(Date.parse(since)) - first)
    if (Number.isNaN(base)) return refuse("since")
    const limit = natural("limit", settings.pageSize)
    if (!(limit >= 1 && limit <= 10_000)) return refuse("limit")
    const cursor = query.get("cursor")
    let offset = natural("offset", 0)
    if (query.has("page")) offset = (natural("page", 1) - 1) * limit
    let start = base + offset
    if (cursor !== null) {
      const [, at] = /^c(\d{1,15})$/u.exec(Buffer.from(cursor, "base64url").toString()) ?? []
      start = at === undefined ? Number.NaN : Number(at)
    }
    if (!(start >= 0)) return refuse(cursor === null ? "offset" : "cursor")
    start = Math.min(start, available)
    const count = Math.min(limit, available - start)
    const isLast = start + count >= available

    const following = new URLSearchParams(query)
    let next: string | null = null
    if (!isLast) {
      next = Buffer.from(`c${start + count}`).toString("base64url")
      following.set("limit", String(limit))
      if (query.has("page")) following.set("page", String(natural("page", 1) + 1))
      else if (query.has("offset")) following.set("offset", String(offset + count))
      else following.set("cursor", next)
    }
    const link = isLast ? null : `/records${stream === 0 ? "" : `/${stream}`}?${following.toString()}`
    const head = '{"data":['
    const tail = `],"next":${JSON.stringify(next)},"links":{"next":${JSON.stringify(link)}}}`
    const size = head.length + sizeOfRecords(first + start, count, settings.recordSize) + tail.length
    const reused = pool.findIndex((buffer) => buffer.length >= size)
    const buffer = reused < 0 ? Buffer.allocUnsafeSlow(Math.ceil(size / 65_536) * 65_536) : pool.splice(reused, 1)[0]!
    buffer.write(head, 0, "latin1")
    const end = writeRecords(buffer, head.length, first + start, count, settings.recordSize)
    buffer.write(tail, end, "latin1")
    const body = buffer.subarray(0, size)
    const headers: Record<string, string | number> = { "content-type": "application/json", "content-length": size }
    if (link !== null) headers["link"] = `<${url}${link}>; rel="next"`
    response.writeHead(200, headers)
    if (isCut) {
      stats.cut++
      response.write(body.subarray(0, size >> 1), () => response.destroy())
      return
    }
    stats.pages++
    stats.pagesOf[stream] = (stats.pagesOf[stream] ?? 0) + 1
    offers.note(stream, now(), start + count)
    stats.records += count
    stats.bytes += size
    response.end(body, () => {
      if (pool.length < 8) pool.push(buffer)
    })
  }

  const records = async (
    stream: number,
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams
  ): Promise<void> => {
    stats.requests++
    atOnce++
    stats.mostAtOnce = Math.max(stats.mostAtOnce, atOnce)
    response.once("close", () => atOnce--)
    const outcome = fault(request, response)
    if (outcome === "done") return
    if (settings.latency > 0) await delay(settings.latency)
    page(stream, query, response, outcome === "cut")
  }

  const set = (changed: Partial<SyntheticSettings>): void => {
    settings = { ...settings, ...changed }
    if (changed.records !== undefined || changed.rate !== undefined) {
      offers.change(now(), settings.records, settings.rate)
    }
  }

  const change = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = ""
    for await (const chunk of request) text += String(chunk)
    set(JSON.parse(text) as Partial<SyntheticSettings>)
    json(response, 200, { ...settings, clientSecret: undefined })
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = "", query = ""] = (request.url ?? "").split("?")
    const found = /^\/records(?:\/(\d{1,4}))?$/u.exec(path)
    if (found !== null && Number(found[1] ?? 0) < settings.streams) {
      return records(Number(found[1] ?? 0), request, response, new URLSearchParams(query))
    }
    if (path === "/oauth/token" && request.method === "POST") return token(request, response)
    if (path === "/stats") return json(response, 200, stats)
    if (path === "/offers") {
      const offered: SyntheticOffers = {
        segments: offers.segments,
        sent: offers.sent,
        records: offers.available(now())
      }
      return json(response, 200, offered)
    }
    if (path === "/settings" && request.method === "POST") return change(request, response)
    json(response, 404, { error: "not_found", path })
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) json(response, 400, { error: "bad_request", message: String(error) })
      else response.destroy()
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, resolve)
  })
  const address = server.address()
  if (typeof address !== "object" || address === null) throw new Error("The server has no port.")
  const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  url = `http://${reached.includes(":") ? `[${reached}]` : reached}:${address.port}`
  return {
    url,
    tokenUrl: `${url}/oauth/token`,
    stats,
    set,
    revokeTokens: () => tokens.clear(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
