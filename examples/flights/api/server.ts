import process from "node:process"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { access, authorizationServer } from "./authorization.ts"
import { type ApiRecord, readRecords } from "./data.ts"
import { type Fault, faults } from "./faults.ts"
import type { ApiSettings } from "./settings.ts"
import { now, seconds } from "./time.ts"

/** What has happened since the start. */
export interface Stats {
  requests: number
  token_requests: number
  tokens_issued: number
  /** Requests without a valid token (401), and with one of too small a scope (403). */
  unauthorized: number
  forbidden: number
  /** Faults that were injected. */
  throttled: number
  errors: number
  token_errors: number
  cut: number
  /** Requests that were wrong (400, 404, 405). */
  bad_requests: number
  /** Pages that were answered in full, per path. */
  pages: Record<string, number>
}

export interface FlightsApi {
  readonly url: string
  readonly issuer: string
  readonly stats: () => Stats
  readonly close: () => Promise<void>
}

/** An answer that is ready to be sent. */
interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

const problem = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer =>
  json(status, { error: message }, headers)

/** A wrong parameter; the message is for the client. */
class BadRequest extends Error {}

const wholeNumber = (query: URLSearchParams, name: string, fallback: number, least: number, most: number): number => {
  const text = query.get(name)
  if (text === null) return fallback
  const value = Number(text)
  if (!/^\d{1,9}$/u.test(text) || value < least || value > most) {
    throw new BadRequest(`Parameter ${name}: found "${text}", expected a whole number from ${least} to ${most}.`)
  }
  return value
}

const largestPage = 1000

const list = (records: ReadonlyArray<ApiRecord>, from: number, to: number): string => {
  let text = "["
  for (let i = from; i < to && i < records.length; i++) text += (i === from ? "" : ",") + records[i]!.json
  return `${text}]`
}

/** First index whose record was updated at `time` or later. */
const firstSince = (records: ReadonlyArray<ApiRecord>, time: number): number => {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.updatedAt < time) low = middle + 1
    else high = middle
  }
  return low
}

const cursorOf = (next: number, end: number): string => Buffer.from(`${next}-${end}`).toString("base64url")

const readCursor = (text: string, length: number): readonly [next: number, end: number] => {
  const match = /^(\d{1,9})-(\d{1,9})$/u.exec(Buffer.from(text, "base64url").toString("latin1"))
  const [next, end] = [Number(match?.[1] ?? Number.NaN), Number(match?.[2] ?? Number.NaN)]
  if (!(next <= end && end <= length)) throw new BadRequest(`Parameter cursor: "${text}" is not a cursor of this API.`)
  return [next, end]
}

/** The endpoints; `today` is the moment up to which flights are known. */
const endpoints = (settings: ApiSettings, today: () => number) => {
  const flights = readRecords("flights")
  const weather = readRecords("weather")
  const airlines = readRecords("airlines")
  const planes = readRecords("planes")
  const airports = readRecords("airports")
  const size = settings.pageSize

  return new Map<string, (query: URLSearchParams, url: string) => Answer>([
    [
      "/v1/flights",
      (query) => {
        const limit = wholeNumber(query, "limit", size, 1, largestPage)
        const cursor = query.get("cursor")
        const since = query.get("updated_since")
        const time = since === null ? Number.NEGATIVE_INFINITY : seconds(since)
        if (time === undefined)
          throw new BadRequest(`Parameter updated_since: found "${since}", expected an RFC 3339 time.`)
        // A walk ends where the data ended when it began: what appears meanwhile is for the next one.
        const [from, end] =
          cursor === null
            ? [firstSince(flights, time), firstSince(flights, today() + 1)]
            : readCursor(cursor, flights.length)
        const to = Math.min(from + limit, end)
        return json(200, `{"data":${list(flights, from, to)},"next":${to < end ? `"${cursorOf(to, end)}"` : "null"}}`)
      }
    ],
    [
      "/v1/weather",
      (query) => {
        const page = wholeNumber(query, "page", 1, 1, 1_000_000)
        const per = wholeNumber(query, "per_page", size, 1, largestPage)
        const pages = Math.ceil(weather.length / per)
        return json(200, `{"page":${page},"pages":${pages},"weather":${list(weather, (page - 1) * per, page * per)}}`)
      }
    ],
    ["/v1/airlines", () => json(200, list(airlines, 0, airlines.length))],
    [
      "/v1/planes",
      (query) => {
        const offset = wholeNumber(query, "offset", 0, 0, 1_000_000)
        const limit = wholeNumber(query, "limit", size, 1, largestPage)
        return json(200, `{"total":${planes.length},"planes":${list(planes, offset, offset + limit)}}`)
      }
    ],
    [
      "/v1/airports",
      (query, url) => {
        const page = wholeNumber(query, "page", 1, 1, 1_000_000)
        const per = wholeNumber(query, "per_page", size, 1, largestPage)
        const next = `<${url}/v1/airports?page=${page + 1}&per_page=${per}>; rel="next"`
        const first = `<${url}/v1/airports?page=1&per_page=${per}>; rel="first"`
        return json(200, list(airports, (page - 1) * per, page * per), {
          link: page * per < airports.length ? `${first}, ${next}` : first
        })
      }
    ]
  ])
}

const send = (response: ServerResponse, { body, headers, status }: Answer, share = 1): void => {
  const bytes = Buffer.from(body)
  response.writeHead(status, { ...headers, "content-length": bytes.length })
  if (share === 1) response.end(bytes)
  else response.write(bytes.subarray(0, Math.floor(bytes.length * share)), () => response.destroy())
}

const issuerPath = "/oidc"
const metadata = `${issuerPath}/.well-known/openid-configuration`

/** Starts API and authorization server on one port. */
export const startApi = async (settings: ApiSettings): Promise<FlightsApi> => {
  const stats: Stats = {
    requests: 0,
    token_requests: 0,
    tokens_issued: 0,
    unauthorized: 0,
    forbidden: 0,
    throttled: 0,
    errors: 0,
    token_errors: 0,
    cut: 0,
    bad_requests: 0,
    pages: {}
  }
  const began = now()
  const historyEnd = seconds("2013-01-01T05:00:00Z")! + settings.historyDays * 86_400
  const today = () => (settings.once ? Number.POSITIVE_INFINITY : historyEnd + (now() - began) * settings.speed)
  const paths = endpoints(settings, today)
  const injected = faults(settings)

  const server = createServer()
  await new Promise<void>((listening, failed) => {
    server.once("error", failed)
    server.listen(settings.port, settings.host, listening)
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port.")
  const url = settings.url ?? `http://127.0.0.1:${address.port}`
  const issuer = url + issuerPath
  const { clientId, clientSecret, tokenLife } = settings
  const onIssued = () => void stats.tokens_issued++
  const provider = authorizationServer({ issuer, clientId, clientSecret, tokenLife, onIssued })
  const authorize = provider.callback()

  const answerApi = async (
    request: IncomingMessage,
    path: string,
    query: URLSearchParams
  ): Promise<[Answer, Fault?]> => {
    stats.requests++
    const fault = injected.forApi()
    if (fault?.kind === "throttled") {
      stats.throttled++
      return [problem(429, "Too many requests.", { "retry-after": String(fault.retryAfter) })]
    }
    if (fault?.kind === "error") {
      stats.errors++
      return [problem(500, "An error was injected.")]
    }
    const allowed = await access(provider, request.headers.authorization)
    if (!allowed.granted) {
      if (allowed.status === 401) stats.unauthorized++
      else stats.forbidden++
      return [problem(allowed.status, allowed.problem, { "www-authenticate": allowed.challenge })]
    }
    const endpoint = paths.get(path)
    if (endpoint === undefined) return [problem(404, `There is no ${path}.`)]
    if (request.method !== "GET") return [problem(405, `${path} is for GET.`, { allow: "GET" })]
    const answer = endpoint(query, url)
    if (fault?.kind === "cut") {
      stats.cut++
      return [answer, fault]
    }
    stats.pages[path] = (stats.pages[path] ?? 0) + 1
    return [answer]
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = new URL(request.url ?? "/", url)
    const path = target.pathname === `/.well-known/oauth-authorization-server${issuerPath}` ? metadata : target.pathname
    if (path.startsWith(`${issuerPath}/`)) {
      if (path === `${issuerPath}/token`) {
        stats.token_requests++
        if (injected.forToken() !== undefined) {
          stats.token_errors++
          return send(response, problem(500, "An error was injected."))
        }
      }
      // How a provider that is mounted under a path is told so.
      Object.assign(request, { originalUrl: path + target.search, url: path.slice(issuerPath.length) + target.search })
      return authorize(request, response)
    }
    if (path === "/stats") return send(response, json(200, stats))
    const [answer, fault] = await answerApi(request, path, target.searchParams).catch((error: unknown): [Answer] => {
      if (error instanceof BadRequest) return [problem(400, error.message)]
      throw error
    })
    if (answer.status >= 400 && answer.status < 500 && ![401, 403, 429].includes(answer.status)) stats.bad_requests++
    if (fault?.kind !== "cut") send(response, answer)
    else if (fault.share === 0) response.destroy()
    else send(response, answer, fault.share)
  }
  server.on("request", (request, response) => {
    handle(request, response).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      if (response.headersSent) response.destroy()
      else send(response, problem(500, "The server failed."))
    })
  })
  return {
    url,
    issuer,
    stats: () => structuredClone(stats),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      })
  }
}
