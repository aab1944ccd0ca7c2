import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { setTimeout as delay } from "node:timers/promises"
import { type AuthServer, startAuthServer } from "@tributary/testkit"
import { Faults } from "./Faults.ts"
import type { Call, Reply, Row, StandIn, World } from "./StandIn.ts"
import { Table } from "./Table.ts"

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface RunningStandIn {
  /** A proxy: whatever host a connection through it is for, the stand-in answers. */
  readonly proxy: string
  /** What the file's references stand for, with the proxy. */
  readonly env: Readonly<Record<string, string>>
  readonly faults: Faults
  readonly auth: AuthServer | undefined
  /** Requests that no rule of the stand-in was for, and that its real API would refuse. */
  readonly wrong: ReadonlyArray<string>
  /** Where a token request goes in place of its real address. */
  readonly tokenAddress: (url: string) => string
  readonly table: (stream: string) => Table
  readonly stop: () => Promise<void>
}

const read = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

const bytesOf = ({ body }: Reply): Buffer => Buffer.from(typeof body === "string" ? body : JSON.stringify(body))

const start = (reply: Reply, response: ServerResponse, length: number): void => {
  const type = typeof reply.body === "string" ? "text/plain" : "application/json"
  response.writeHead(reply.status, { "content-type": type, ...reply.headers, "content-length": length })
}

/** Starts a stand-in on a free port of this machine. `now` is in milliseconds since 1970. */
export const startStandIn = async (
  api: StandIn,
  { certificate, key }: Certificate,
  seed: number | "no faults",
  now: () => number
): Promise<RunningStandIn> => {
  const oauth = "oauth" in api.access ? api.access.oauth : undefined
  const auth =
    oauth === undefined
      ? undefined
      : await startAuthServer({
          clients: [{ id: "client", secret: "client-secret", auth: oauth.client ?? "any" }],
          manner: { tokenPath: `/${oauth.token}`, ...oauth.manner },
          rotate: oauth.rotate ?? false,
          // Who does not say how long a token lives is asked for a new one when it is refused: those die by being withdrawn only.
          ...(oauth.manner?.answer?.isSilent === true ? { tokenLife: 1e9 } : {}),
          graceMs: oauth.graceMs ?? 0,
          now
        })
  const faults = new Faults(seed === "no faults" ? undefined : seed, [
    "broken",
    "throttled",
    "dropped",
    "cut",
    "slow",
    ...(auth === undefined ? [] : (["withdrawn"] as const))
  ])
  const tables = new Map(Object.entries(api.streams).map(([name, { table }]) => [name, new Table(table)]))
  const table: World["table"] = (name) => {
    const found = tables.get(name)
    if (found === undefined) throw new Error(`${api.file} has no table ${name}`)
    return found
  }
  const answer = api.open({ table, now })
  const wrong: Array<string> = []

  const isLetIn = ({ headers, query }: Call): boolean => {
    const { access } = api
    if ("open" in access) return true
    if ("header" in access) return headers[access.header[0]] === access.header[1]
    if ("query" in access) return Object.entries(access.query).every(([name, value]) => query.get(name) === value)
    return auth?.validate((headers["authorization"] ?? "").replace(/^Bearer /u, "")).active === true
  }

  const replyTo = (call: Call): Reply => {
    const note = (problem: string) =>
      wrong.push(`${call.method} ${call.host}${call.path}?${call.query.toString()}: ${problem}`)
    if (!api.hosts.includes(call.host)) note("another host")
    if ((call.headers["user-agent"] ?? "") === "") note("no user agent")
    if (!isLetIn(call)) {
      // A token may be withdrawn; other credentials are right from the beginning.
      if (auth === undefined) note("wrong credentials")
      return api.errors.denied
    }
    const reply = answer(call)
    if (reply !== undefined) return reply
    note("no such address")
    return { status: 404, body: { error: "no such address" } }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { host = "" } = request.headers
    const url = new URL(request.url ?? "/", `https://${host}`)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined) headers[name] = String(value)
    }
    const body = await read(request)
    const call: Call = {
      method: request.method ?? "GET",
      host,
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers,
      body
    }
    const fault = faults.next()
    if (fault === "withdrawn") auth?.control.revokeAccessTokens()
    const reply = fault === "broken" ? api.errors.broken : fault === "throttled" ? api.errors.throttled : replyTo(call)
    if (fault === "dropped") {
      request.socket.destroy()
      return
    }
    const bytes = bytesOf(reply)
    start(reply, response, bytes.length)
    if (fault === "cut") {
      response.write(bytes.subarray(0, bytes.length >> 1))
      await delay(5)
      request.socket.destroy()
      return
    }
    if (fault === "slow") {
      const third = Math.ceil(bytes.length / 3)
      for (let from = 0; from < bytes.length; from += third) {
        response.write(bytes.subarray(from, from + third))
        await delay(3)
      }
      response.end()
      return
    }
    response.end(bytes)
  }

  const server = createTlsServer({ cert: certificate, key }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      wrong.push(String(error))
      response.destroy()
    })
  })
  const proxy = createServer((_request, response) => response.writeHead(405).end())
  const sockets = new Set<{ destroy: () => void }>()
  proxy.on("connect", (_request, socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
    server.emit("connection", socket)
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  const address = proxy.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const url = `http://127.0.0.1:${port}`
  const first =
    oauth?.refreshToken === undefined || auth === undefined
      ? {}
      : { [oauth.refreshToken]: auth.control.issueRefreshToken("client", oauth.scopes ?? []) }

  return {
    proxy: url,
    env: { ...api.env, ...first, HTTPS_PROXY: url },
    faults,
    auth,
    wrong,
    table,
    tokenAddress: (address) => {
      const { host, pathname, search } = new URL(address)
      return `${auth?.url}/${host}${pathname}${search}`
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      const closed = new Promise((resolve) => proxy.close(resolve))
      proxy.closeAllConnections()
      await Promise.all([closed, auth?.stop()])
    }
  }
}

/** The records that a stream has to bring in all, in the form in which they are published. */
export const recordsOf = (api: StandIn, stream: string, rows: ReadonlyArray<Row>): ReadonlyArray<unknown> => {
  const found = api.streams[stream]
  return found === undefined ? [] : rows.map((row) => found.record(row))
}
