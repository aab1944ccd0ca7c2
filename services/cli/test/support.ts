// Runs the real command in a process of its own, against servers of this process.
import process from "node:process"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"

export const main = join(import.meta.dirname, "..", "src", "main.ts")

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
  /** Milliseconds from its start to its end. */
  readonly took: number
}

export interface Run {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  readonly ended: Promise<Ended>
  /** Waits until the condition holds; fails with everything that was written when it does not within the time. */
  readonly until: (what: string, condition: () => boolean | Promise<boolean>, seconds?: number) => Promise<void>
}

/** Waits until a condition holds. */
export const until = async (
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 90,
  context: () => string = () => ""
): Promise<void> => {
  const end = performance.now() + seconds * 1_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Not within ${seconds} s: ${what}.\n${context()}`)
    await delay(20)
  }
}

/** Secrets that tests plant; none may ever be seen in what the command writes. */
export const planted = { secret: "planted-secret-4f1c", salt: "planted-salt-77aa" }

const running = new Set<ChildProcess>()

interface Surroundings {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Starts `tributary`. What it finds in its environment is what is given here, and the path. */
export const tributary = (args: ReadonlyArray<string>, options: Surroundings = {}): Run => script(main, args, options)

/** Starts a module as a process of its own. */
export const script = (file: string, args: ReadonlyArray<string>, options: Surroundings = {}): Run => {
  const started = performance.now()
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.cwd,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      TMPDIR: tmpdir(),
      SECRET: planted.secret,
      SALT: planted.salt,
      ...options.env
    }
  })
  running.add(child)
  let out = ""
  let err = ""
  child.stdout.setEncoding("utf8").on("data", (part: string) => (out += part))
  child.stderr.setEncoding("utf8").on("data", (part: string) => (err += part))
  const ended = new Promise<Ended>((done, fail) => {
    child.once("error", fail)
    child.once("close", (code, signal) => {
      running.delete(child)
      done({ code, signal, out, err, took: performance.now() - started })
    })
  })
  return {
    child,
    out: () => out,
    err: () => err,
    ended,
    until: (what, condition, seconds = 90) =>
      until(what, condition, seconds, () => `code ${child.exitCode}\n${out}\n${err}`)
  }
}

/** Ends every command that a failed test left behind. */
export const endAll = async (): Promise<void> => {
  for (const child of running) child.kill("SIGKILL")
  await until("all commands have ended", () => running.size === 0)
}

/** A folder of its own, with connector files by name. */
export interface Folder {
  readonly path: string
  readonly connectors: string
  readonly data: string
  readonly write: (name: string, text: string) => void
  readonly remove: (name: string) => void
  readonly removeConnectors: () => void
  readonly run: (args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) => Run
}

const folders: Array<string> = []

export const folder = (files: Readonly<Record<string, string>> = {}): Folder => {
  const path = mkdtempSync(join(tmpdir(), "tributary-cli-"))
  folders.push(path)
  const connectors = join(path, "connectors")
  const data = join(path, "data")
  mkdirSync(connectors)
  const write = (name: string, text: string) => writeFileSync(join(connectors, name), text)
  for (const [name, text] of Object.entries(files)) write(name, text)
  return {
    path,
    connectors,
    data,
    write,
    remove: (name) => rmSync(join(connectors, name)),
    removeConnectors: () => rmSync(connectors, { recursive: true }),
    run: (args, env) => tributary([...args, "-c", connectors, "--data", data], env === undefined ? {} : { env })
  }
}

export const removeFolders = (): void => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true })
}

/** Parent of a process; `undefined` when there is no such process. */
const parentOf = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // Behind the name, which may have spaces: state, parent.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
  } catch {
    return undefined
  }
}

export const isAlive = (pid: number): boolean => parentOf(pid) !== undefined

/** Process ids of the children of a process, and theirs. */
export const descendants = (pid: number): ReadonlyArray<number> => {
  const parents = new Map<number, Array<number>>()
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/u.test(entry)) continue
    const parent = parentOf(Number(entry))
    if (parent !== undefined) parents.set(parent, [...(parents.get(parent) ?? []), Number(entry)])
  }
  const found: Array<number> = []
  const waiting = [pid]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const child of parents.get(next) ?? []) {
      found.push(child)
      waiting.push(child)
    }
  }
  return found
}

export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void

export interface Api {
  readonly url: string
  /** Every request that came, as `GET /path?query`. */
  readonly requests: Array<string>
  /** Changes how a path is answered, from the next request on. */
  readonly on: (path: string, handler: Handler) => void
  readonly stop: () => Promise<void>
}

export const json =
  (body: unknown, status = 200): Handler =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" })
    response.end(JSON.stringify(body))
  }

export const html =
  (text: string): Handler =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "text/html" })
    response.end(text)
  }

/** A page of so many megabytes, as fast as it is read. */
export const large =
  (megabytes: number): Handler =>
  (_request, response) => {
    const part = Buffer.from(`${JSON.stringify({ id: 1, text: "x".repeat(980) })},`.repeat(1_000))
    response.writeHead(200, { "content-type": "application/json" })
    response.write('{"data":[')
    let sent = 0
    const send = () => {
      while (sent++ < megabytes) {
        if (response.write(part)) continue
        response.once("drain", send)
        return
      }
      response.end('{"id":2}]}')
    }
    response.on("error", () => undefined)
    send()
  }

/** The file of a connector with the one stream `items`, authorized at the API's own token endpoint. */
export const connector = (
  id: string,
  api: { readonly url: string },
  settings: {
    readonly secret?: string
    readonly scopes?: string
    readonly base?: string
    readonly path?: string
    readonly poll?: string
  } = {}
): string => `connector: ${id}
auth:
  oauth2: client_credentials
  token_url: ${api.url}/token
  client_id: client
  client_secret: \${env:${settings.secret ?? "SECRET"}}
  scopes: ${settings.scopes ?? "[read]"}
http:
  base_url: ${settings.base ?? api.url}
  retries: 1
streams:
  items:
    path: ${settings.path ?? "/items"}
    records: $.data[*]
    primary_key: id
    poll: ${settings.poll ?? "every 1 minute"}
sink:
  clickhouse: { table: "${id.replaceAll("-", "_")}.{stream}", order_by: [id], flush_every: 50 millis }
`

export const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

const apis: Array<Api> = []

/**
 * An API that answers as it is told, path by path. `/token` issues tokens to `client` with the planted secret, for the scopes
 * `read` and `write`.
 */
export const startApi = async (handlers: Readonly<Record<string, Handler>> = {}): Promise<Api> => {
  const known = new Map(Object.entries(handlers))
  const requests: Array<string> = []
  const token: Handler = (request, response) => {
    let text = ""
    request.on("data", (part: Buffer) => (text += part.toString()))
    request.on("end", () => {
      const form = new URLSearchParams(text)
      const basic = decodeURIComponent(Buffer.from((request.headers.authorization ?? "").slice(6), "base64").toString())
      if (basic !== `client:${planted.secret}`)
        return json({ error: "invalid_client", error_description: `no such client: ${basic}` }, 401)(
          request,
          response,
          new URL("http://localhost")
        )
      const scopes = (form.get("scope") ?? "").split(" ").filter((scope) => scope !== "")
      const unknown = scopes.find((scope) => scope !== "read" && scope !== "write")
      if (unknown !== undefined)
        return json({ error: "invalid_scope", error_description: `unknown scope ${unknown}` }, 400)(
          request,
          response,
          new URL("http://localhost")
        )
      json({ access_token: "at_planted-token-93bd", token_type: "Bearer", expires_in: 3600 })(
        request,
        response,
        new URL("http://localhost")
      )
    })
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost")
    requests.push(`${request.method} ${request.url}`)
    const handler = known.get(url.pathname) ?? (url.pathname === "/token" ? token : json({ error: "not_found" }, 404))
    handler(request, response, url)
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const address = server.address()
  if (typeof address !== "object" || address === null) throw new Error("The server has no port.")
  const api: Api = {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    on: (path, handler) => void known.set(path, handler),
    stop: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      })
  }
  apis.push(api)
  return api
}

export const stopApis = async (): Promise<void> => {
  for (const api of apis.splice(0)) await api.stop()
}

/** A list that grows by itself; `/<name>?since=<id>` gives what is there from an id on, at most 200 records at once. */
export const growing = (api: Api, name: string, every = 20) => {
  let size = 0
  const timer = setInterval(() => size++, every)
  timer.unref()
  api.on(`/${name}`, (request, response, url) => {
    const since = Number(url.searchParams.get("since") ?? 0)
    const data = Array.from({ length: Math.min(200, size - since) }, (_, index) => ({ id: since + index, of: name }))
    json({ data })(request, response, url)
  })
  return { size: () => size, stop: () => clearInterval(timer) }
}

/** The file of a connector that polls a growing list. */
export const follower = (id: string, api: Api, extra = ""): string => `connector: ${id}
http: { base_url: "${api.url}" }
streams:
  items:
    path: /${id}
    records: $.data[*]
    primary_key: id
    incremental: { field: id, param: since, type: number }
    poll: every 100 millis
    jitter: 0 seconds
    schema: { id: int64 }
${extra}
sink:
  clickhouse: { table: "live.${id}", order_by: [id], flush_every: 50 millis }
`
