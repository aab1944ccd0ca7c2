/** The synthetic API that both runners ask, and what it was asked. */
import { createServer, type IncomingMessage } from "node:http"
import { once } from "node:events"
import { gzipSync } from "node:zlib"
import { isPlainDict, parseJson, type PlainDict, type Value, writeJson } from "../../src/index.ts"
import type { Synthetic } from "./synthetic/synthetic.ts"
import { hashOf } from "./synthetic/values.ts"

/** An answer, and which requests get it: the first route that fits does. */
export interface Route {
  readonly path: string
  readonly method?: string
  /** Parameters that the request must have; null: must not. */
  readonly query?: PlainDict
  readonly headers?: PlainDict
  /** Text that the body must hold. */
  readonly body?: string
  /** Only for so many requests. */
  readonly times?: number
  readonly status?: number
  readonly answerHeaders?: PlainDict
  readonly json?: Value
  readonly text?: string
  readonly base64?: string
  readonly gzip?: boolean
  /** Without a content type. */
  readonly untyped?: boolean
}

/** A request as it is compared: what does not matter is left out, and order where it means nothing. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly query: ReadonlyArray<string>
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

const ignored = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-length",
  "host",
  "user-agent",
  "x-meant-url",
  "transfer-encoding",
  "keep-alive"
])

const sortKeys = (value: Value): Value =>
  Array.isArray(value)
    ? value.map(sortKeys)
    : value !== null && isPlainDict(value)
      ? Object.fromEntries(
          Object.entries(value)
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, item]): [string, Value] => [key, sortKeys(item)])
        )
      : value

/** A value as text, with sorted keys. */
export const canonical = (value: Value): string => writeJson(sortKeys(value))

/** A signed token without the time that it was made. */
const withoutTime = (text: string): string =>
  text.replace(/([\w-]{10,})\.([\w-]{10,})\.([\w-]{10,})/, (whole, head: string, claims: string) => {
    try {
      const parsed = parseJson(Buffer.from(claims, "base64url").toString("utf8"))
      if (parsed === null || !isPlainDict(parsed)) return whole
      const { exp, iat, jti, nbf, ...rest } = parsed
      const header = parseJson(Buffer.from(head, "base64url").toString("utf8"))
      return `jwt ${canonical(header)} ${canonical(rest)} ${Number(exp) - Number(iat)} ${Number(nbf) - Number(iat)} ${typeof jti}`
    } catch {
      return whole
    }
  })

const canonicalBody = (type: string, body: string): string => {
  if (body === "") return ""
  if (type.includes("json")) {
    try {
      return canonical(parseJson(body))
    } catch {
      return body
    }
  }
  if (!type.includes("form")) return body
  const pairs = [...new URLSearchParams(body)].map((pair) => withoutTime(pair.join("=")))
  return pairs.toSorted().join("&")
}

const textOf = (value: Value | undefined): string => (typeof value === "string" ? value : writeJson(value ?? null))

const fits = (route: Route, method: string, url: URL, headers: Record<string, string>, body: string): boolean => {
  if (route.path !== url.pathname && route.path !== url.origin + url.pathname && route.path !== "*") return false
  if (route.method !== undefined && route.method !== method) return false
  if (route.body !== undefined && !body.includes(route.body)) return false
  for (const [name, value] of Object.entries(route.query ?? {})) {
    const found = url.searchParams.get(name)
    if (value === null ? found !== null : found !== textOf(value)) return false
  }
  return Object.entries(route.headers ?? {}).every(([name, value]) => headers[name.toLowerCase()] === textOf(value))
}

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString("utf8")
}

const bytesOf = (route: Route): Buffer => {
  const plain =
    route.base64 !== undefined
      ? Buffer.from(route.base64, "base64")
      : Buffer.from(route.text ?? (route.json === undefined ? "" : writeJson(route.json)))
  return route.gzip === true ? gzipSync(plain) : plain
}

/**
 * Requests that a run may make of a synthetic API, and how often the same one: a walk that does not end must not go on. The CDK asks for
 * the same parents many times where several streams read for them at once.
 */
const mostRequests = 6000
const mostRepeats = 100

/** What goes wrong with a request of a synthetic API: a few fail once, fewer for good. Always the same for the same request. */
const faultOf = (key: string, count: number): { readonly status: number; readonly retryAfter?: string } | undefined => {
  const hash = hashOf(key)
  if (hash % 19 === 0) return { status: [400, 403, 404][hash % 3] ?? 400 }
  if (count > 1 || hash % 4 !== 0) return undefined
  return hash % 3 === 0 ? { status: 429, retryAfter: "1" } : { status: hash % 2 === 0 ? 503 : 500 }
}

/** The address that was asked most. */
const mostAsked = (asked: ReadonlyArray<Asked>): string => {
  const counts = new Map<string, number>()
  for (const { method, url } of asked) counts.set(`${method} ${url}`, (counts.get(`${method} ${url}`) ?? 0) + 1)
  const [first] = [...counts].toSorted(([, a], [, b]) => b - a)
  return first === undefined ? "" : `${first[0]} ${first[1]} times, as in ?${asked.at(-1)?.query.join("&") ?? ""}`
}

/** Starts the API; `use` begins a new count of everything. With faults some requests of a synthetic API fail. */
export const startApi = async (hasFaults = false) => {
  let routes: ReadonlyArray<Route> = []
  let synthetic: Synthetic["answer"] | undefined
  /** Logins may be asked for as often as there are streams. */
  let isLogin: Synthetic["isLogin"] = () => false
  let used = new Map<Route, number>()
  let repeats = new Map<string, number>()
  let asked: Array<Asked> = []
  /** What was asked for most, once more is asked than is answered. */
  let overrun: string | undefined
  /** What was asked for again and again, once it is not answered any more. */
  let repeated: string | undefined
  const server = createServer((request, response) => {
    const answer = async () => {
      const body = await readBody(request)
      const url = new URL(String(request.headers["x-meant-url"]))
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      if (headers["x-mark"] !== undefined) {
        // What was asked before belongs to the discovery of the streams.
        asked = []
        used = new Map()
        repeats = new Map()
        response.end("{}")
        return
      }
      const method = request.method ?? "GET"
      asked.push({
        method,
        url: url.origin + url.pathname,
        query: [...url.searchParams].map((pair) => withoutTime(pair.join("="))).toSorted(),
        headers: Object.entries(headers)
          .filter(([name]) => !ignored.has(name))
          .map(([name, value]) => `${name}: ${withoutTime(value)}`)
          .toSorted(),
        body: canonicalBody(headers["content-type"] ?? "", body)
      })
      if (synthetic !== undefined) {
        // Whatever the order of its parameters: it is the same request to both.
        const pairs = [...url.searchParams].map((pair) => pair.join("=")).toSorted()
        const key = `${method} ${url.origin}${url.pathname} ${pairs.join("&")} ${canonicalBody(headers["content-type"] ?? "", body)}`
        const count = (repeats.get(key) ?? 0) + 1
        repeats.set(key, count)
        if (count > mostRepeats && !isLogin({ method, url, headers, body })) repeated ??= `${method} ${url.href}`
        if (asked.length > mostRequests) overrun ??= mostAsked(asked)
        const isOverrun = overrun !== undefined
        if (isOverrun || (count > mostRepeats && !isLogin({ method, url, headers, body }))) {
          response.writeHead(isOverrun ? 400 : 200, { "content-type": "application/json" }).end("{}")
          return
        }
        const fault = hasFaults ? faultOf(key, count) : undefined
        if (fault !== undefined) {
          const after = fault.retryAfter === undefined ? {} : { "retry-after": fault.retryAfter }
          response.writeHead(fault.status, { "content-type": "application/json", ...after })
          response.end('{"message":"synthetic fault","error":{"code":"fault","message":"synthetic fault"}}')
          return
        }
        const reply = synthetic({ method, url, headers, body })
        response.writeHead(reply.status, reply.headers).end(reply.body)
        return
      }
      const route = routes.find(
        (candidate) =>
          fits(candidate, method, url, headers, body) && (used.get(candidate) ?? 0) < (candidate.times ?? Infinity)
      )
      if (route === undefined) {
        response.writeHead(404, { "content-type": "application/json" }).end('{"message":"no such route"}')
        return
      }
      used.set(route, (used.get(route) ?? 0) + 1)
      const own = Object.entries(route.answerHeaders ?? {}).flatMap(([name, value]) => [name, textOf(value)])
      const names = Object.keys(route.answerHeaders ?? {}).map((name) => name.toLowerCase())
      const type = route.untyped === true || names.includes("content-type")
      response.writeHead(route.status ?? 200, [...own, ...(type ? [] : ["content-type", "application/json"])])
      response.end(bytesOf(route))
    }
    answer().catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return {
    base: `http://127.0.0.1:${port}`,
    use: (next: ReadonlyArray<Route> | Synthetic) => {
      routes = "answer" in next ? [] : next
      synthetic = "answer" in next ? next.answer : undefined
      isLogin = "answer" in next ? next.isLogin : () => false
      used = new Map()
      repeats = new Map()
      asked = []
      overrun = undefined
      repeated = undefined
    },
    /** What the last run asked for most, when it asked for more than is answered. */
    overrun: (): string | undefined => overrun,
    /** What the last run asked for again and again until it was not answered any more: a walk that does not end by itself. */
    repeated: (): string | undefined => repeated,
    /** The different requests since the last call. */
    take: (): ReadonlyArray<string> => {
      const texts = new Set(
        asked.map(({ body, headers, method, query, url }) =>
          [`${method} ${url}?${query.join("&")}`, ...headers, body].filter((part) => part !== "").join("\n    ")
        )
      )
      asked = []
      used = new Map()
      repeats = new Map()
      return [...texts].toSorted()
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}
