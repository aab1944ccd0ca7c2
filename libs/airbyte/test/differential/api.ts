/** The synthetic API that both runners ask, and what it was asked. */
import { createServer, type IncomingMessage } from "node:http"
import { once } from "node:events"
import { gzipSync } from "node:zlib"
import { isPlainDict, parseJson, type PlainDict, type Value, writeJson } from "../../src/index.ts"

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
      const { exp, iat, nbf, ...rest } = parsed
      const header = parseJson(Buffer.from(head, "base64url").toString("utf8"))
      return `jwt ${canonical(header)} ${canonical(rest)} ${Number(exp) - Number(iat)} ${Number(nbf) - Number(iat)}`
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

/** Starts the API; `reset` begins a new count of everything. */
export const startApi = async () => {
  let routes: ReadonlyArray<Route> = []
  let used = new Map<Route, number>()
  let asked: Array<Asked> = []
  const server = createServer((request, response) => {
    const answer = async () => {
      const body = await readBody(request)
      const url = new URL(String(request.headers["x-meant-url"]))
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      if (headers["x-mark"] !== undefined) {
        // What was asked before belongs to the discovery of the streams.
        asked = []
        used = new Map()
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
      const type = Object.keys(route.answerHeaders ?? {}).some((name) => name.toLowerCase() === "content-type")
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
    use: (next: ReadonlyArray<Route>) => {
      routes = next
      used = new Map()
      asked = []
    },
    /** The different requests since the last call. */
    take: (): ReadonlyArray<string> => {
      const texts = new Set(
        asked.map(({ body, headers, method, query, url }) =>
          [`${method} ${url}?${query.join("&")}`, ...headers, body].filter((part) => part !== "").join("\n    ")
        )
      )
      asked = []
      used = new Map()
      return [...texts].toSorted()
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}
