import { type Dispatcher, EnvHttpProxyAgent, request as send } from "undici"
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib"
import { Context, Effect, Layer } from "effect"
import type { PreparedRequest } from "../component/Requests.ts"
import { Response } from "../component/Response.ts"
import type { NoAnswer } from "../component/ErrorHandler.ts"
import type { RunError } from "../component/RunError.ts"

/** Milliseconds; those that the manifest does not set are the same for every connector. */
export interface Timeouts {
  readonly connect?: number | undefined
  readonly read?: number | undefined
  /** Largest answer, in bytes; 256 MB unless it is given. */
  readonly bytes?: number | undefined
}

/** Largest answer that is read, in bytes, before and after decoding. */
const mostBytes = 268_435_456
const mostRedirects = 30
const redirects = new Set([301, 302, 303, 307, 308])
/** The longest wait for one answer, however steadily it trickles. */
const longestExchange = 15 * 60_000

/** What ends an exchange although the server answers; its message may be shown. */
class Unfit extends Error {}

const codeOf = (error: unknown): string => {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error)) return "unknown"
  return "code" in error && typeof error.code === "string" ? error.code : error.name
}

const pairsOf = (raw: unknown): Array<readonly [string, string]> => {
  const pairs: Array<readonly [string, string]> = []
  if (!Array.isArray(raw)) return pairs
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const value: unknown = raw[index + 1]
    for (const one of Array.isArray(value) ? value : [value]) pairs.push([String(raw[index]), String(one)])
  }
  return pairs
}

/** The body without its content encodings. */
const decoded = (body: Buffer, encodings: string): Buffer => {
  let result = body
  const limit = { maxOutputLength: mostBytes }
  for (const encoding of encodings
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .toReversed()) {
    if (result.length === 0) return result
    if (encoding === "gzip" || encoding === "x-gzip") {
      // Some servers name the type of a file as its encoding; a second layer is the decoder's.
      if (result[0] === 0x1f && result[1] === 0x8b) result = gunzipSync(result, limit)
    } else if (encoding === "deflate") result = inflateSync(result, limit)
    else if (encoding === "br") result = brotliDecompressSync(result, limit)
  }
  return result
}

const credentialHeaders = new Set(["authorization", "cookie", "proxy-authorization"])

/** One exchange and the redirects it leads to; credentials stay with the origin they were meant for. */
const exchange = async (agent: Dispatcher, request: PreparedRequest, timeouts: Timeouts, signal: AbortSignal) => {
  let { body, method, url } = request
  let headers: Record<string, string> = { ...request.headers }
  for (let hop = 0; ; hop++) {
    const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
    const answer = await send(url, {
      dispatcher: agent,
      method,
      headers: {
        ...(names.has("accept") ? {} : { Accept: "*/*" }),
        ...(names.has("accept-encoding") ? {} : { "Accept-Encoding": "gzip, deflate" }),
        ...(names.has("user-agent") ? {} : { "User-Agent": "tributary" }),
        ...headers
      },
      body: body ?? null,
      headersTimeout: timeouts.read ?? 300_000,
      bodyTimeout: timeouts.read ?? 300_000,
      responseHeaders: "raw",
      signal
    })
    const chunks: Array<Buffer> = []
    const most = timeouts.bytes ?? mostBytes
    let size = 0
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > most) throw new Unfit(`the answer has more than ${most} bytes; ask for smaller pages`)
      chunks.push(bytes)
    }
    const pairs = pairsOf(answer.headers)
    const raw = Buffer.concat(chunks)
    const find = (name: string) => pairs.find(([key]) => key.toLowerCase() === name)?.[1]
    const location = find("location")
    if (redirects.has(answer.statusCode) && location !== undefined && URL.canParse(location, url)) {
      if (hop >= mostRedirects) throw new Unfit(`it redirects more than ${mostRedirects} times`)
      const next = new URL(location, url)
      if (next.origin !== new URL(url).origin) {
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !credentialHeaders.has(name.toLowerCase()))
        )
      }
      if (answer.statusCode === 303 || (answer.statusCode <= 302 && method === "POST")) {
        method = method === "HEAD" ? "HEAD" : "GET"
        body = undefined
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => !/^content-(?:type|length)$/i.test(name))
        )
      }
      url = next.href
      continue
    }
    return new Response(answer.statusCode, pairs, decoded(raw, find("content-encoding") ?? ""), url, {
      url: request.url,
      method: request.method,
      headers: { ...request.headers },
      body: request.body ?? null
    })
  }
}

/** Carries requests of manifests. */
export class ManifestHttp extends Context.Service<
  ManifestHttp,
  {
    /**
     * One request with its redirects. What prevented an answer is a value, for the manifest's error handler; an error is what no
     * handler may decide, such as that there is no token.
     */
    readonly send: (request: PreparedRequest, timeouts: Timeouts) => Effect.Effect<Response | NoAnswer, RunError>
  }
>()("@tributary/airbyte/ManifestHttp") {
  /** HTTP by undici, through the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name. Connections end with the scope. */
  static readonly layer = Layer.effect(
    ManifestHttp,
    Effect.gen(function* () {
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new EnvHttpProxyAgent({ connections: 16, pipelining: 1, connect: { timeout: 30_000 } })),
        (agent) => Effect.promise(() => agent.destroy())
      )
      return ManifestHttp.of({
        send: (request, timeouts) =>
          Effect.tryPromise({
            try: (signal) =>
              exchange(agent, request, timeouts, AbortSignal.any([signal, AbortSignal.timeout(longestExchange)])),
            catch: (error): NoAnswer => ({
              // Messages of undici may quote what was sent; codes do not.
              problem: URL.canParse(request.url)
                ? `no answer from ${new URL(request.url).host} (${error instanceof Unfit ? error.message : codeOf(error)})`
                : "the request's url_base and path make no address (expected https://host/path)"
            })
          }).pipe(Effect.catch((failed) => Effect.succeed<NoAnswer>(failed)))
      })
    })
  )
}
