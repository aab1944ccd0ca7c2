import type { PreparedRequest } from "../component/Requests.ts"
import type { Response } from "../component/Response.ts"

/** Bytes of bodies that are kept; the answers used least recently go first. */
const mostBytes = 64 * 1024 * 1024

const keyOf = (request: PreparedRequest): string =>
  JSON.stringify([request.method, request.url, Object.entries(request.headers).toSorted(), request.body ?? null])

/** Answers of parent streams, which are asked for once for all their children. */
export class ResponseCache {
  private readonly answers = new Map<string, Response>()
  private bytes = 0

  get(request: PreparedRequest): Response | undefined {
    const key = keyOf(request)
    const known = this.answers.get(key)
    if (known === undefined) return undefined
    this.answers.delete(key)
    this.answers.set(key, known)
    return known
  }

  put(request: PreparedRequest, response: Response): void {
    if (request.method !== "GET" || response.status !== 200 || response.body.length > mostBytes / 4) return
    this.answers.set(keyOf(request), response)
    this.bytes += response.body.length
    for (const [key, oldest] of this.answers) {
      if (this.bytes <= mostBytes) return
      this.answers.delete(key)
      this.bytes -= oldest.body.length
    }
  }
}
