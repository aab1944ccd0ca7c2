import { Catalog } from "@tributary/catalog"
import { type Log, SqliteLog } from "@tributary/log"
import { Health } from "@tributary/telemetry"
import type { ConfigProblem } from "@tributary/domain"
import type { ConnectorDetail, ConnectorSummary, ProcessReport, StreamReport } from "@tributary/domain/control"
import { ConfigProvider, type Context, Effect, Layer, References, type Scope } from "effect"
import { HttpClient, HttpClientRequest, type HttpClientResponse, type HttpServer } from "effect/http"
import { assert } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { baseUrl } from "../src/Listen.ts"
import { controlServer } from "../src/RunControl.ts"

/** A new folder, removed at the end. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-control-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** Log, catalog and health of a new engine. */
export const engine = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Layer.mergeAll(Catalog.layer, Health.layer).pipe(Layer.provideMerge(SqliteLog.layer({ directory })))
  )
)

/** Whatever an answer may hold; what it does not hold is `undefined`, and fails the test that looks at it. */
interface Body extends ConnectorDetail {
  readonly code: string
  readonly message: string
  readonly problems: ReadonlyArray<ConfigProblem>
  readonly outcome: string
  readonly dryRun: boolean
  readonly connectors: ReadonlyArray<ConnectorSummary>
  readonly streams: ReadonlyArray<StreamReport>
  readonly processes: ReadonlyArray<ProcessReport>
  readonly unreadable: ReadonlyArray<string>
  readonly openapi: string
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly text: string
  readonly json: Body
  /** The same, of no type: for comparing as a whole. */
  readonly body: unknown
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface Server {
  readonly url: string
  readonly send: (
    request: HttpClientRequest.HttpClientRequest,
    /** Sent in place of the server's own token; `""` for none. */
    token?: string
  ) => Effect.Effect<Answer>
}

const answerOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<Answer> =>
  Effect.map(Effect.orDie(response.text), (text) => {
    const body = text.startsWith("{") ? JSON.parse(text) : {}
    return { status: response.status, text, json: body, body, headers: response.headers }
  })

export const quiet = Layer.succeed(References.MinimumLogLevel, "None")

/** A control server on a free port of 127.0.0.1, for as long as the scope is open. */
export const startControl = Effect.fnUntraced(function* (environment: Record<string, string> = {}) {
  const built = yield* Layer.build(
    controlServer({ host: "127.0.0.1", port: 0 }).pipe(
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))
    )
  )
  const url = yield* Effect.provideContext(baseUrl, built as Context.Context<HttpServer.HttpServer>)
  const client = yield* HttpClient.HttpClient
  const own = environment["TRIBUTARY_CONTROL_TOKEN"] ?? ""
  return {
    url,
    send: (request, token = own) =>
      client
        .execute(
          request.pipe(
            HttpClientRequest.prependUrl(url),
            token === "" ? (same) => same : HttpClientRequest.bearerToken(token)
          )
        )
        .pipe(Effect.flatMap(answerOf), Effect.orDie)
  } satisfies Server
})

/** What a test of the server runs in. */
export const surroundings = Layer.mergeAll(engine, NodeHttpClient.layerUndici, quiet)
export type Surroundings = Catalog | Health | Log | HttpClient.HttpClient

/** A connector file that is right. */
export const file = (connector: string, path = "/orders"): string =>
  [
    `connector: ${connector}`,
    "http: { base_url: https://api.example }",
    "streams:",
    `  orders: { path: ${path}, primary_key: id }`,
    ""
  ].join("\n")

export const putText = (connector: string, text: string, query = "") =>
  HttpClientRequest.put(`/v1/connectors/${connector}${query}`).pipe(HttpClientRequest.bodyText(text, "text/plain"))

export const putJson = (connector: string, body: unknown) =>
  HttpClientRequest.put(`/v1/connectors/${connector}`).pipe(
    HttpClientRequest.bodyText(JSON.stringify(body), "application/json")
  )

export const { get } = HttpClientRequest

/** An error as every one has to be: JSON with code and message. */
export const isError = (answer: Answer, status: number, code: string, message: RegExp) => {
  assert.strictEqual(answer.status, status, answer.text)
  assert.strictEqual(answer.json.code, code)
  assert.match(answer.json.message ?? "", message)
}

/** Runs a test on an engine of its own. */
export const on = <E>(
  work: Effect.Effect<void, E, Layer.Success<typeof surroundings> | Scope.Scope>
): Effect.Effect<void, E | Layer.Error<typeof surroundings>> => work.pipe(Effect.scoped, Effect.provide(surroundings))
