import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Predicate, Result, Schema } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"

/** Where a server listens. Port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** An HTTP server cannot listen where it was told to. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `Cannot listen on ${this.address}: ${this.problem}`
  }
}

const expected = "expected host:port, as 127.0.0.1:8080 or [::1]:8080; port 0 takes a free one."

/** Reads `host:port`; the host of an IPv6 address stands in brackets. */
export const parseListenAddress = (text: string): Result.Result<ListenAddress, CannotListen> => {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[^\s:[\]]+)):(?<port>\d{1,5})$/u.exec(text.trim())
  const host = match?.groups?.["six"] ?? match?.groups?.["host"]
  const port = Number(match?.groups?.["port"])
  return host === undefined || port > 65_535
    ? Result.fail(new CannotListen({ address: text, problem: expected }))
    : Result.succeed({ host, port })
}

/** Writes an address as `parseListenAddress` reads it. */
export const formatListenAddress = ({ host, port }: ListenAddress): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`

const problemOf = (cause: unknown): string => {
  const code = Predicate.hasProperty(cause, "code") ? cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use by another process. Stop that one, or choose another port (0 takes a free one)."
    case "EACCES":
    case "EPERM":
      return "permission denied. Ports below 1024 are for privileged users; choose a higher one."
    case "EADDRNOTAVAIL":
      return "this machine has no such address. Name one of its own, or 127.0.0.1."
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "the host name is not known. Name an address of this machine, or 127.0.0.1."
    default:
      return cause instanceof Error ? `${cause.message}.` : String(cause)
  }
}

/**
 * Bounds for clients that are slow or do not come to an end (milliseconds), and for their number: the server is meant for
 * people, scripts and probes, never for records.
 */
const bounds = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 2_000 }
const mostConnections = 256

/**
 * An HTTP server at the address, with what it needs of the platform. When it ends, requests under way have a second to be
 * answered; then all connections are closed.
 */
export const listen = (at: ListenAddress) =>
  Layer.merge(
    Layer.effect(
      HttpServer.HttpServer,
      Effect.gen(function* () {
        const node = createServer(bounds)
        node.maxConnections = mostConnections
        const server = yield* NodeHttpServer.make(() => node, {
          host: at.host,
          port: at.port,
          gracefulShutdownTimeout: "1 second"
        }).pipe(
          Effect.mapError(
            ({ cause }) => new CannotListen({ address: formatListenAddress(at), problem: problemOf(cause) })
          )
        )
        // Runs before the server waits for its connections to end: one of a client that never finishes would hold the process.
        yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
        return server
      })
    ),
    NodeHttpServer.layerHttpServices
  )

/** Address that the server listens on, as the start of a URL. */
export const baseUrl: Effect.Effect<string, never, HttpServer.HttpServer> = HttpServer.addressFormattedWith(
  Effect.succeed
)
