import { Effect, Redacted } from "effect"
import { Agent, request } from "undici"
import { PlaceError } from "./PlaceError.ts"

/** A request; its headers and body hold secrets. */
export interface HttpCall {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  readonly body?: Redacted.Redacted<string>
}

export interface HttpAnswer {
  readonly status: number
  /** Redacted: most answers are secrets. */
  readonly body: Redacted.Redacted<string>
}

/** Largest answer that is read, in bytes; those of secret stores have at most 64 KiB, those of HashiCorp Vault 1 MiB. */
const maxAnswerBytes = 2_097_152

class TooLarge extends Error {
  readonly code = "TOO_LARGE"
}

const codeOf = (error: unknown): string => {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  if (!(error instanceof Error)) return "unknown"
  return "code" in error && typeof error.code === "string" ? error.code : error.name
}

const failed = (place: string) => (error: unknown) => {
  const code = codeOf(error)
  if (code === "TOO_LARGE") {
    const problem = `it answered more than ${maxAnswerBytes} bytes. Check its address: this does not look like it.`
    return new PlaceError({ place, problem, failureClass: "misconfigured" })
  }
  if (/CERT|TLS|SSL|UNABLE_TO_/.test(code)) {
    const problem = `its certificate is not trusted (${code}). Correct its address, or name the authority: VAULT_CACERT for HashiCorp Vault, NODE_EXTRA_CA_CERTS for all servers.`
    return new PlaceError({ place, problem, failureClass: "misconfigured" })
  }
  const problem = `it cannot be reached (${code}). It is tried again; check its address and the network.`
  return new PlaceError({ place, problem, failureClass: "transient" })
}

/** Sends requests to one server: no redirects, answers of bounded size. `ca`: authorities to trust besides the well-known ones. */
export const makeHttp = Effect.fnUntraced(function* (ca: string | undefined) {
  const agent = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Agent({
          connect: { timeout: 5000, ...(ca === undefined ? {} : { ca }) },
          headersTimeout: 30_000,
          bodyTimeout: 30_000
        })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  )
  return (place: string, call: HttpCall): Effect.Effect<HttpAnswer, PlaceError> =>
    Effect.tryPromise({
      try: async (signal) => {
        const answer = await request(call.url, {
          dispatcher: agent,
          method: call.method,
          headers: { ...Redacted.value(call.headers), accept: "application/json" },
          body: call.body === undefined ? null : Redacted.value(call.body),
          signal
        })
        const chunks: Array<Buffer> = []
        let size = 0
        for await (const chunk of answer.body) {
          const bytes = Buffer.from(chunk)
          size += bytes.length
          if (size > maxAnswerBytes) throw new TooLarge()
          chunks.push(bytes)
        }
        return { status: answer.statusCode, body: Redacted.make(Buffer.concat(chunks).toString()) }
      },
      catch: failed(place)
    })
})
