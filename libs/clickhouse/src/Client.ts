import { Readable } from "node:stream"
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
  type ResponseHeaders
} from "@clickhouse/client"
import { Duration, Effect, Redacted, type Scope, Stream } from "effect"
import type { Endpoint } from "./Endpoint.ts"
import type { QueryParams } from "./QueryParams.ts"
import { reasonOf } from "./ServerCode.ts"
import { Unavailable, WarehouseError } from "./WarehouseError.ts"

/** Settings of one request: names and values of ClickHouse. */
export type Settings = Readonly<Record<string, string | number>>

/** Longest wait for the answer to a statement. */
const statementTimeout = Duration.seconds(60)
/** Longest wait for an insert; ends sooner when the socket is silent for as long. */
const insertTimeout = Duration.minutes(3)

/**
 * Settings of every statement. The answer is held back until the statement has ended, so that a failure has its code and is
 * not a broken stream: in memory, because on a disk that is full the server loses it; integers and decimals come as text, so that no
 * digit is lost.
 */
const statementSettings = {
  wait_end_of_query: 1,
  buffer_size: "16777216",
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  output_format_json_quote_denormals: 1,
  // A replica answers from what it has; this makes it have what was acknowledged.
  select_sequential_consistency: "1"
} as const

/** The few calls that this package makes on ClickHouse's client. All fail with `WarehouseError`. */
export interface Client {
  readonly rows: (
    action: string,
    sql: string,
    params?: QueryParams
  ) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, WarehouseError>
  readonly command: (action: string, sql: string, params?: QueryParams) => Effect.Effect<void, WarehouseError>
  /** Sends `body` behind an INSERT statement. */
  readonly insert: (
    action: string,
    sql: string,
    body: Uint8Array,
    settings: Settings
  ) => Effect.Effect<void, WarehouseError>
  readonly stream: (action: string, sql: string, params?: QueryParams) => Stream.Stream<Uint8Array, WarehouseError>
}

const failureOf =
  (action: string) =>
  (cause: unknown): WarehouseError => {
    if (cause instanceof ClickHouseError && /^\d+$/u.test(cause.code)) {
      const detail = cause.message.trim().slice(0, 2000)
      return new WarehouseError({
        action,
        reason: reasonOf({ code: Number(cause.code), name: cause.type ?? "ERROR", detail })
      })
    }
    const name = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "no answer"
    const detail = cause instanceof Error ? cause.message : String(cause)
    return new WarehouseError({ action, reason: new Unavailable({ code: 0, name, detail, cause }) })
  }

const timedOut = (action: string, duration: Duration.Duration) => () =>
  Effect.fail(
    new WarehouseError({
      action,
      reason: new Unavailable({ code: 0, name: "no answer", detail: `no answer within ${Duration.format(duration)}` })
    })
  )

/** How many rows the server says that it sent, where it says so (proxies may take the header away). */
const rowsSent = ({ response_headers }: { readonly response_headers: ResponseHeaders }): number | undefined => {
  const header = response_headers["x-clickhouse-summary"]
  const found = typeof header === "string" ? /"result_rows":"?(\d+)/u.exec(header) : null
  return found === null ? undefined : Number(found[1])
}

/** Opens a client; its sockets are closed with the scope. */
export const makeClient = Effect.fnUntraced(function* (
  endpoint: Endpoint
): Effect.fn.Return<Client, WarehouseError, Scope.Scope> {
  const client: ClickHouseClient = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        createClient({
          url: endpoint.url,
          username: endpoint.user,
          password: Redacted.value(endpoint.password),
          application: "tributary",
          // How long a socket may be silent. Longer than any pause of a server at work, shorter than for ever.
          request_timeout: Duration.toMillis(insertTimeout),
          max_open_connections: 32,
          compression: { request: false, response: false },
          // Servers close idle sockets after 1 (embedded), 3 or more seconds; one reused just then fails the request.
          keep_alive: { enabled: true, idle_socket_ttl: 500, eagerly_destroy_stale_sockets: true },
          log: { level: ClickHouseLogLevel.OFF }
        }),
      catch: failureOf("connect")
    }),
    (client) => Effect.promise(() => client.close())
  )

  const rows = (action: string, sql: string, params?: QueryParams) =>
    Effect.tryPromise({
      try: async (signal) => {
        const result = await client.query({
          query: sql,
          format: "JSONEachRow",
          abort_signal: signal,
          clickhouse_settings: statementSettings,
          ...(params === undefined ? {} : { query_params: params })
        })
        return { rows: await result.json<Record<string, unknown>>(), sent: rowsSent(result) }
      },
      catch: failureOf(action)
    }).pipe(
      Effect.flatMap(({ rows, sent }) => {
        // More than it says are no loss: servers and proxies that do not count say 0.
        if (sent === undefined || rows.length >= sent) return Effect.succeed(rows)
        // What could not be held back on a full disk is missing from an answer that looks like a success: no rows, or some of them.
        const detail = `an answer with ${rows.length} of ${sent} rows; the server's disk may be full`
        return Effect.fail(
          new WarehouseError({ action, reason: new Unavailable({ code: 0, name: "cut off", detail }) })
        )
      }),
      Effect.timeoutOrElse({ duration: statementTimeout, orElse: timedOut(action, statementTimeout) })
    )

  const command = (action: string, sql: string, params?: QueryParams) =>
    Effect.tryPromise({
      try: (signal) =>
        client.command({
          query: sql,
          abort_signal: signal,
          clickhouse_settings: { wait_end_of_query: 1 },
          ...(params === undefined ? {} : { query_params: params })
        }),
      catch: failureOf(action)
    }).pipe(
      Effect.asVoid,
      Effect.timeoutOrElse({ duration: statementTimeout, orElse: timedOut(action, statementTimeout) })
    )

  const insert = (action: string, sql: string, body: Uint8Array, settings: Settings) =>
    Effect.tryPromise({
      try: async (signal) => {
        const { stream } = await client.exec({
          query: sql,
          values: Readable.from([body], { objectMode: false }),
          abort_signal: signal,
          clickhouse_settings: { ...settings }
        })
        // The answer to an insert is empty, but only its end says that the insert has ended.
        for await (const _ of stream);
      },
      catch: failureOf(action)
    }).pipe(Effect.timeoutOrElse({ duration: insertTimeout, orElse: timedOut(action, insertTimeout) }))

  const stream = (action: string, sql: string, params?: QueryParams) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const controller = yield* Effect.acquireRelease(
          Effect.sync(() => new AbortController()),
          (controller) => Effect.sync(() => controller.abort())
        )
        const result = yield* Effect.tryPromise({
          try: () =>
            client.exec({
              query: sql,
              abort_signal: controller.signal,
              ...(params === undefined ? {} : { query_params: params })
            }),
          catch: failureOf(action)
        })
        return Stream.fromAsyncIterable<Uint8Array, WarehouseError>(result.stream, failureOf(action))
      })
    )

  return { rows, command, insert, stream }
})
