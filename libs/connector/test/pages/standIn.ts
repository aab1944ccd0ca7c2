import { serve } from "@tributary/testkit"
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { httpDateOf, millisOf } from "../harness.ts"
import { type Cell, isCapped, isDescending, type PaginatorKind } from "./cells.ts"
import { capOf, parentPaginator, type Variant } from "./settings.ts"
import type { Entry, Rng, World } from "./world.ts"

/** What can be done to one answer. */
export type Trick =
  | "429 in seconds"
  | "429 as a date"
  | "5xx"
  | "no headers"
  | "no end of body"
  | "cut off"
  | "dropped"
  | "cursor repeated"
  | "cursor forgotten"

interface Question {
  readonly path: string
  readonly params: ReadonlyMap<string, string>
  readonly url: URL
}

interface Found {
  readonly data: ReadonlyArray<string>
  /** Where the next page is; `undefined`: nowhere. */
  readonly next: string | undefined
  /** Where this page is. */
  readonly own: string | undefined
}

const readQuestion = async (request: IncomingMessage): Promise<Question> => {
  const url = new URL(request.url ?? "", `http://${request.headers.host ?? "x"}`)
  const params = new Map(url.searchParams)
  for (const name of ["after", "after_key", "page", "skip", "size", "limit", "since", "until"]) {
    const value = request.headers[name]
    if (typeof value === "string") params.set(name, value)
  }
  let body = ""
  for await (const chunk of request) body += String(chunk)
  if (body !== "") {
    const members: unknown = JSON.parse(body)
    if (typeof members === "object" && members !== null) {
      for (const [name, value] of Object.entries(members)) params.set(name, String(value))
    }
  }
  return { path: url.pathname, params, url }
}

const tokenOf = (key: string, era: number): string => Buffer.from(`${key}#${era}`).toString("base64url")
const keyIn = (token: string): string => Buffer.from(token, "base64url").toString().replace(/#\d+$/u, "")

/** The same for the same page, however its position is written. */
const nameOf = ({ params, path }: Question): string => {
  const after = params.get("after")
  return JSON.stringify([
    path,
    ...new Map([...params, ...(after === undefined ? [] : [["after", keyIn(after)] as const])])
  ])
}

/** A stand-in of an API whose pages are those of a cell. */
export interface StandIn {
  readonly url: string
  /** How often each trick was played. */
  readonly played: ReadonlyMap<Trick | "no connection", number>
  requests: number
  /** Called for each request with what it asks for; what it returns is done to its answer. */
  trick: (question: string) => Trick | undefined
  /** Called for each connection: whether it is closed at once. */
  refuses: () => boolean
  /** Positions that are named from now on differ from those before. */
  renew: () => void
}

/** How the records of a question are ordered, and by what they are found. */
const sorting = (cell: Cell, isParents: boolean): { key: (entry: Entry) => string; isDescending: boolean } => {
  const { cursor, parting } = cell
  if (isParents) {
    return { key: parting === "parent, incremental" ? (entry) => entry.key : (entry) => entry.id, isDescending: false }
  }
  if (cell.paginator === "last record" || isDescending(cell)) {
    return { key: (entry) => entry.key, isDescending: isDescending(cell) }
  }
  if (cursor === "everything" || cursor === "filter") return { key: (entry) => entry.id, isDescending: false }
  return { key: cursor === "number" ? (entry) => entry.seq : (entry) => entry.key, isDescending: false }
}

export const standIn = Effect.fnUntraced(function* (
  cell: Cell,
  variant: Variant,
  world: World,
  rng: Rng,
  now: () => number
) {
  const played = new Map<Trick | "no connection", number>()
  /** By path: positions that were named, to be named again. */
  const named = new Map<string, Array<string>>()
  const forgotten = new Set<string>()
  let era = 0
  const note = (trick: Trick | "no connection") => played.set(trick, (played.get(trick) ?? 0) + 1)

  const kindOf = (isParents: boolean): PaginatorKind => (isParents ? parentPaginator(cell) : cell.paginator)

  /** The answer to a question, or a status that refuses it. */
  const answer = ({ params, path }: Question): Found | number => {
    const part = /^\/parts\/(\w+)\/items$/u.exec(path)?.[1]
    const isParents = path === "/parents"
    if (part === undefined && !isParents && path !== "/items") return 404
    const kind = kindOf(isParents)
    const { isDescending: isDown, key } = sorting(cell, isParents)
    const since = params.get("since")
    const until = params.get("until")
    const isNumber = cell.cursor === "number" && !isParents
    const from = since === undefined ? Number.NEGATIVE_INFINITY : isNumber ? Number(since) : millisOf(since)
    const to = until === undefined ? Number.POSITIVE_INFINITY : millisOf(until)
    const found = world
      .entries(isParents ? "parents" : part)
      .filter((entry) => {
        const value = isNumber ? Number(entry.seq) : entry.at
        return value >= from && (variant.endIsIn ? value <= to : value < to)
      })
      .toSorted((a, b) => (key(a) < key(b) ? -1 : 1) * (isDown ? -1 : 1))
    const shown = isCapped(cell) && !isParents ? found.slice(0, capOf(variant)) : found
    const page = (rows: ReadonlyArray<Entry>, next: string | undefined, own: string | undefined): Found => ({
      data: rows.map(({ text }) => text),
      next,
      own
    })
    const { size } = variant
    switch (kind) {
      case "none":
        return page(shown, undefined, undefined)
      case "page":
      case "page, capped": {
        const at = (Number(params.get("page") ?? 1) - 1) * size
        return page(shown.slice(at, at + size), undefined, undefined)
      }
      case "offset":
      case "offset, capped": {
        const at = Number(params.get("skip") ?? 0)
        return page(shown.slice(at, at + size), undefined, undefined)
      }
      default: {
        const token = params.get("after")
        if (token !== undefined && forgotten.has(token)) return 410
        const after = token === undefined ? params.get("after_key") : keyIn(token)
        const rest =
          after === undefined ? shown : shown.filter((entry) => (isDown ? key(entry) < after : key(entry) > after))
        const rows = rest.slice(0, size)
        const last = rows.at(-1)
        const next = last === undefined || rest.length <= size ? undefined : tokenOf(key(last), era)
        if (next !== undefined) named.set(path, [...(named.get(path) ?? []), next])
        return page(rows, next, token)
      }
    }
  }

  /** A position that was named before, at or before `own`. */
  const again = (path: string, own: string): string => {
    const { isDescending: isDown } = sorting(cell, path === "/parents")
    const known = (named.get(path) ?? []).filter((token) =>
      isDown ? keyIn(token) >= keyIn(own) : keyIn(token) <= keyIn(own)
    )
    return rng.below(2) === 0 || known.length === 0 ? own : rng.pick(known)
  }
  /** The question for the page before, where the position is the asker's to make. */
  const before = (question: Question): Question => {
    const params = new Map(question.params)
    const page = Number(params.get("page") ?? 1)
    const skip = Number(params.get("skip") ?? 0)
    if (page > 1) params.set("page", String(page - 1))
    if (skip > 0) params.set("skip", String(Math.max(0, skip - variant.size)))
    params.delete("after_key")
    return { ...question, params }
  }

  const send = (question: Question, response: ServerResponse, trick: Trick | undefined): void => {
    const date = httpDateOf(now())
    // With connections that may be refused, each request has its own.
    const closing: Record<string, string> = cell.fault === "no connection" ? { connection: "close" } : {}
    const base = { "content-type": "application/json", date, ...closing }
    const refuse = (status: number, headers: Record<string, string> = {}) => {
      response.writeHead(status, { ...base, ...headers })
      response.end('{"error":"no"}')
    }
    switch (trick) {
      case "429 in seconds":
        return refuse(429, { "retry-after": String(rng.below(3)) })
      case "429 as a date":
        return refuse(429, { "retry-after": httpDateOf(now() + 1000 * rng.below(3)) })
      case "5xx":
        return refuse(rng.pick([500, 502, 503, 504]), rng.below(3) === 0 ? { "retry-after": "1" } : {})
      case "dropped":
        response.socket?.destroy()
        return
      case "no headers":
        // The client is to give up.
        return
      case "cursor forgotten": {
        const token = question.params.get("after")
        if (token !== undefined) forgotten.add(token)
        break
      }
      default:
    }
    const isRepeated = trick === "cursor repeated"
    const found = answer(isRepeated ? before(question) : question)
    if (typeof found === "number") return refuse(found)
    const { own } = found
    const next = isRepeated && own !== undefined ? again(question.path, own) : found.next
    const isParents = question.path === "/parents"
    const kind = kindOf(isParents)
    const link = new URL(question.url)
    if (next !== undefined) link.searchParams.set("after", next)
    const address = next === undefined ? null : variant.isRelative ? `${link.pathname}${link.search}` : link.href
    const body = Buffer.from(
      `{"data":[${found.data.join(",")}],"more":${found.next !== undefined},"next":${JSON.stringify(kind === "cursor" ? (next ?? null) : null)},"links":{"next":${JSON.stringify(kind === "next url" ? address : null)}}}`
    )
    const headers: Record<string, string | number> = { ...base }
    if (kind === "header" && next !== undefined) headers["x-next"] = next
    if (kind === "link" && address !== null) headers["link"] = `<${address}>; rel="next"`
    const isChunked = rng.below(2) === 0
    if (trick === "cut off" && rng.below(3) === 0) {
      // The body is whole by its length, and its JSON is not.
      response.writeHead(200, { ...headers, "content-length": body.length >> 1 })
      response.end(body.subarray(0, body.length >> 1))
      return
    }
    response.writeHead(200, isChunked ? headers : { ...headers, "content-length": body.length })
    if (trick === "cut off") {
      response.write(body.subarray(0, rng.below(body.length)), () => response.destroy())
      return
    }
    if (trick === "no end of body") {
      response.write(body.subarray(0, body.length >> 1))
      return
    }
    response.end(body)
  }

  const api: StandIn = {
    url: "",
    played,
    requests: 0,
    trick: () => undefined,
    refuses: () => false,
    renew: () => {
      era++
    }
  }
  const answerTo = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const question = await readQuestion(request)
    api.requests++
    world.during()
    const trick = api.trick(nameOf(question))
    if (trick !== undefined) note(trick)
    send(question, response, trick)
  }
  const url = yield* serve(
    (request, response) => {
      request.on("error", () => {})
      response.on("error", () => {})
      void answerTo(request, response).catch(() => response.destroy())
    },
    (socket) => {
      if (!api.refuses()) return
      note("no connection")
      socket.destroy()
    }
  )
  return Object.assign(api, { url })
})
