import { type IncomingHttpHeaders, request as send, type ServerResponse } from "node:http"
import { setTimeout as delay } from "node:timers/promises"
import type { Fault, TokenQuota } from "./AuthState.ts"

/** A request as the gate read it, and an answer as the server gave it. */
export interface Passing {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What a gate does to token requests, beyond what the server behind it does. */
export interface GateRules {
  /** Milliseconds in which a refresh token that was just replaced brings the same answer once more. */
  graceMs: number
  /** Seconds before the end of an access token from which on it may be refreshed; earlier requests are refused. */
  refreshWindow: number | undefined
  quota: TokenQuota | undefined
  /** Milliseconds that each answer takes longer. */
  latencyMs: number
  /** Rewrites each answer with tokens. */
  shape: (body: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

/** Asks the server behind. */
export const forward = (port: number, { body, headers, method, path }: Passing): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = send({ host: "127.0.0.1", port, method, path, headers }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 500, headers: response.headers, body: Buffer.concat(chunks) })
      )
    })
    request.once("error", reject)
    request.end(body)
  })

export const reply = (response: ServerResponse, { body, headers, status }: Answer): void => {
  const { "content-length": _length, "transfer-encoding": _encoding, ...rest } = headers
  response.writeHead(status, { ...rest, "content-length": body.length }).end(body)
}

const refusal = (status: number, error: string, description: string, headers: IncomingHttpHeaders = {}): Answer => ({
  status,
  headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  body: Buffer.from(JSON.stringify({ error, error_description: description }))
})

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parsed = (answer: Answer): Readonly<Record<string, unknown>> | undefined => {
  if (answer.status !== 200) return undefined
  const json: unknown = JSON.parse(answer.body.toString())
  return isRecord(json) ? json : undefined
}

/** What is known of a refresh token that went through. */
interface Known {
  readonly family: { readonly issuedAt: Array<number> }
  readonly accessUntil: number
  spent: { readonly at: number; readonly answer: Answer } | undefined
}

/** What providers do at their token endpoint that the server behind does not: grace, bans, quotas, and faults. */
export class TokenGate {
  readonly queue: Array<Fault | "none"> = []
  readonly rules: GateRules
  tokenRequests = 0
  private readonly known = new Map<string, Known>()
  private readonly ask: (passing: Passing) => Promise<Answer>
  private readonly now: () => number

  constructor(rules: GateRules, ask: (passing: Passing) => Promise<Answer>, now: () => number) {
    this.rules = rules
    this.ask = ask
    this.now = now
  }

  /** Answers a token request, or does not, as the next fault wants it. */
  async handle(passing: Passing, response: ServerResponse): Promise<void> {
    this.tokenRequests++
    const fault = this.queue.shift() ?? "none"
    const wait = () => (this.rules.latencyMs > 0 ? delay(this.rules.latencyMs) : undefined)
    switch (fault) {
      case "reset":
        response.destroy()
        return
      case "drop":
        await this.carryOut(passing)
        await wait()
        response.destroy()
        return
      case "hang":
        await this.carryOut(passing)
        return
      case "truncated": {
        const { body } = await this.carryOut(passing)
        response.writeHead(200, { "content-type": "application/json" }).end(body.subarray(0, body.length >> 1))
        return
      }
      case "bad-gateway":
        await this.carryOut(passing)
        await wait()
        response.writeHead(502, { "content-type": "text/html" }).end("<html><h1>Bad Gateway</h1></html>")
        return
      case "internal-error":
        reply(response, refusal(500, "server_error", "an outage"))
        return
      case "throttled":
        reply(response, refusal(429, "too_many_requests", "slower, please", { "retry-after": "1" }))
        return
      case "error-200":
        reply(response, { ...refusal(200, "temporarily_unavailable", "an error with status 200"), status: 200 })
        return
      case "html":
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Sign in</title>")
        return
      case "empty":
        response.writeHead(200).end()
        return
      case "huge":
        response.writeHead(200, { "content-type": "application/json" }).end(`["${"x".repeat(4_194_304)}"]`)
        return
      case "duplicate":
        await this.carryOut(passing)
        reply(response, await this.carryOut(passing))
        return
      case "none": {
        const answer = await this.carryOut(passing)
        await wait()
        reply(response, answer)
      }
    }
  }

  private async carryOut(passing: Passing): Promise<Answer> {
    const form = new URLSearchParams(passing.body.toString())
    const token = form.get("grant_type") === "refresh_token" ? (form.get("refresh_token") ?? "") : undefined
    const before = token === undefined ? undefined : this.known.get(token)
    const early = before === undefined ? undefined : this.tooEarly(before)
    if (early !== undefined) return early
    const answer = await this.ask(passing)
    const json = parsed(answer)
    if (json === undefined || typeof json["access_token"] !== "string") return answer
    const shaped = { ...answer, body: Buffer.from(JSON.stringify(this.rules.shape(json))) }
    const now = this.now()
    const family = before?.family ?? { issuedAt: [] }
    family.issuedAt.push(now)
    const next = json["refresh_token"]
    if (typeof next === "string") {
      const accessUntil = now + Number(json["expires_in"] ?? 0) * 1000
      this.known.set(next, { family, accessUntil, spent: undefined })
      if (before !== undefined && next !== token) before.spent = { at: now, answer: shaped }
    }
    return shaped
  }

  /** The refusal of a request that comes too early or too often; or the answer that was given before. */
  private tooEarly({ accessUntil, family, spent }: Known): Answer | undefined {
    const { graceMs, quota, refreshWindow } = this.rules
    const now = this.now()
    if (spent !== undefined) return graceMs > 0 && now - spent.at <= graceMs ? spent.answer : undefined
    if (refreshWindow !== undefined && now < accessUntil - refreshWindow * 1000) {
      return refusal(400, "invalid_request", "the access token has not expired yet")
    }
    if (quota === undefined) return undefined
    const recent = family.issuedAt.filter((at) => now - at < quota.perMs)
    const [first = now] = recent
    if (recent.length < quota.tokens) return undefined
    const seconds = Math.ceil((first + quota.perMs - now) / 1000)
    return refusal(429, "too_many_requests", "too many tokens of this grant", { "retry-after": String(seconds) })
  }
}
