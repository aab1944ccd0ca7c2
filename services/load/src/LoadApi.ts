import type { SyntheticOffers, SyntheticSettings } from "@tributary/testkit"
import { Data, Effect, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { env, execPath } from "node:process"
import { fileURLToPath } from "node:url"
import { hasEnded, inherited, withParent } from "./Workers.ts"

/** The synthetic API did not start, or does not answer any more. */
export class ApiFailed extends Data.TaggedError("ApiFailed")<{ readonly problem: string }> {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The synthetic API ${this.problem}`
  }
}

const Stats = Schema.Struct({
  requests: Schema.Finite,
  pages: Schema.Finite,
  records: Schema.Finite,
  bytes: Schema.Finite,
  unauthorized: Schema.Finite,
  throttled: Schema.Finite,
  errors: Schema.Finite,
  dropped: Schema.Finite,
  cut: Schema.Finite,
  tokenRequests: Schema.Finite,
  pagesOf: Schema.Array(Schema.Finite)
})
export type ApiStats = typeof Stats.Type

const OffersAnswer = Schema.Struct({
  segments: Schema.Array(Schema.Struct({ at: Schema.Finite, from: Schema.Finite, rate: Schema.Finite })),
  sent: Schema.Array(Schema.Struct({ at: Schema.Array(Schema.Finite), records: Schema.Array(Schema.Finite) })),
  records: Schema.Finite
})

const Ready = Schema.fromJsonString(Schema.Struct({ url: Schema.String }))

/** The synthetic API in a process of its own. */
export interface LoadApi {
  /** Its address on this machine. */
  readonly url: string
  readonly pid: number | undefined
  readonly stats: Effect.Effect<ApiStats, ApiFailed>
  readonly offers: Effect.Effect<SyntheticOffers, ApiFailed>
  readonly set: (settings: Partial<SyntheticSettings>) => Effect.Effect<void, ApiFailed>
}

const startTimeout = "20 seconds"
const answerTimeout = "10 seconds"

const optionOf = (name: string): string => `--${name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`

const advice = (text: string, host: string, port: number): string => {
  if (text.includes("EADDRINUSE")) {
    return `cannot listen on ${host}:${port}: another process does. Name another place with --listen, or port 0 for a free one.`
  }
  if (text.includes("EACCES")) return `may not listen on ${host}:${port}. Name a port above 1023 with --listen.`
  if (text.includes("EADDRNOTAVAIL") || text.includes("ENOTFOUND")) {
    return `cannot listen on ${host}:${port}: this machine has no such address. Name one that it has with --listen.`
  }
  return `did not start: ${text.trim().split("\n").at(-1) ?? "it said nothing"}`
}

const ready = (child: ChildProcess, host: string, port: number): Effect.Effect<string, ApiFailed> =>
  Effect.callback<string, ApiFailed>((resume) => {
    let said = ""
    child.stderr?.on("data", (part: Buffer) => (said += part.toString()))
    const fail = (text: string) => resume(Effect.fail(new ApiFailed({ problem: advice(text, host, port) })))
    child.once("error", (error) => fail(error.message))
    child.once("close", () => fail(said))
    if (child.stdout === null) return fail("it has no output")
    createInterface({ input: child.stdout }).once("line", (line) => resume(Effect.succeed(line)))
  })

/** Starts the API; it ends with the scope, or when this process does. */
export const startLoadApi = Effect.fn("load.startApi")(function* (options: {
  readonly host: string
  readonly port: number
  readonly secret: string
  readonly settings: Partial<SyntheticSettings>
}) {
  const { host, port, secret, settings } = options
  const main = fileURLToPath(import.meta.resolve("@tributary/testkit/synthetic-api"))
  const args = Object.entries(settings).flatMap(([name, value]) => [optionOf(name), String(value)])
  const [command = execPath, ...rest] = [...withParent, execPath, main, "--host", host, "--port", String(port), ...args]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(command, rest, {
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
        env: { ...inherited(env), SYNTHETIC_CLIENT_SECRET: secret }
      })
    ),
    (child) => Effect.sync(() => void (hasEnded(child) || child.kill("SIGKILL")))
  )
  const line = yield* ready(child, host, port).pipe(
    Effect.timeoutOrElse({
      duration: startTimeout,
      orElse: () => Effect.fail(new ApiFailed({ problem: `was not ready within ${startTimeout}.` }))
    })
  )
  const { url } = yield* Schema.decodeEffect(Ready)(line).pipe(
    Effect.mapError(() => new ApiFailed({ problem: `said ${line}, where its address was expected.` }))
  )
  const client = yield* HttpClient.HttpClient.pipe(Effect.provide(FetchHttpClient.layer))
  const ask = <A, E extends { readonly message: string }>(answer: Effect.Effect<A, E>) =>
    answer.pipe(
      Effect.timeout(answerTimeout),
      Effect.mapError(
        ({ message }) =>
          new ApiFailed({ problem: hasEnded(child) ? "ended before the test did." : `does not answer: ${message}` })
      )
    )
  return {
    url,
    pid: child.pid,
    stats: ask(Effect.flatMap(client.get(`${url}/stats`), HttpClientResponse.schemaBodyJson(Stats))),
    offers: ask(Effect.flatMap(client.get(`${url}/offers`), HttpClientResponse.schemaBodyJson(OffersAnswer))),
    set: (settings) =>
      HttpClientRequest.post(`${url}/settings`).pipe(
        HttpClientRequest.bodyJson(settings),
        Effect.flatMap(client.execute),
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        ask,
        Effect.asVoid
      )
  } satisfies LoadApi
})
