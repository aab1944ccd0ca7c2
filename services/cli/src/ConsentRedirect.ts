import { Deferred, Effect, Queue, Schema, type Scope } from "effect"
import { createServer, type ServerResponse } from "node:http"

/** The redirect cannot be awaited on this machine. */
export class NoRedirect extends Schema.TaggedError<NoRedirect>()("NoRedirect", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** A browser that came back from the authorization server, and waits for its page. */
export interface Arrival {
  readonly parameters: URLSearchParams
  /** Shows the person how it ended. */
  readonly answer: (isGood: boolean, text: string) => Effect.Effect<void>
}

/** Where a browser is awaited. */
export interface Redirect {
  /** The address as it is really listened at. */
  readonly uri: URL
  /** The next browser that comes to exactly this address. */
  readonly arrival: Effect.Effect<Arrival>
}

/** So many browsers may wait for their page. */
const waiting = 8

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const page = (response: ServerResponse, status: number, title: string, text: string) => {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    // The address holds the code.
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    connection: "close"
  })
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>` +
      `<body style="font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem">` +
      `<h1>${escape(title)}</h1><p>${escape(text)}</p></body></html>`
  )
}

/**
 * Listens at the loopback address of a redirect (RFC 8252, section 7.3) for the time of the scope: on this machine alone, for exactly
 * this host, port and path.
 */
export const awaitRedirect = (redirectUri: URL): Effect.Effect<Redirect, NoRedirect, Scope.Scope> =>
  Effect.gen(function* () {
    const arrivals = yield* Queue.bounded<Arrival>(waiting)
    const host = redirectUri.hostname.replace(/^\[(.*)\]$/u, "$1")
    const server = createServer()
    const listening = Deferred.makeUnsafe<number, NoRedirect>()
    server.once("error", (error) => {
      const code = "code" in error ? String(error.code) : error.name
      Deferred.doneUnsafe(
        listening,
        Effect.fail(
          new NoRedirect({
            problem:
              code === "EADDRINUSE"
                ? `Port ${redirectUri.port} is taken by another program, and redirect_uri names it. End that program, or register another redirect_uri at the server and write it here. --paste and --device need no port.`
                : `${redirectUri.host} cannot be listened at (${code}). Use --paste or --device.`
          })
        )
      )
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        server.listen(redirectUri.port === "" ? 0 : Number(redirectUri.port), host, () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          Deferred.doneUnsafe(listening, Effect.succeed(port))
        })
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          // What was answered is sent; who never asked anything has no claim to wait for.
          server.closeIdleConnections()
        }).pipe(Effect.timeoutOption("1 second"), Effect.andThen(Effect.sync(() => server.closeAllConnections())))
    )
    const uri = new URL(redirectUri)
    uri.port = String(yield* Deferred.await(listening))
    server.on("request", (request, response) => {
      const target = URL.canParse(request.url ?? "", uri.origin) ? new URL(request.url ?? "", uri.origin) : undefined
      // Another name in Host is that of a page that had its own name point here.
      const isOurs =
        request.headers.host === uri.host &&
        target?.origin === uri.origin &&
        target.pathname === uri.pathname &&
        request.method === "GET"
      if (!isOurs || target === undefined) {
        page(response, 404, "Nothing here", "This address takes the answer of an authorization server only.")
        return
      }
      const arrival: Arrival = {
        parameters: target.searchParams,
        answer: (isGood, text) =>
          Effect.callback<void>((resume) => {
            response.once("close", () => resume(Effect.void))
            page(response, isGood ? 200 : 400, isGood ? "Consent given" : "No consent", text)
          }).pipe(Effect.timeoutOption("2 seconds"), Effect.asVoid)
      }
      if (!Queue.offerUnsafe(arrivals, arrival)) page(response, 503, "Busy", "Try again.")
    })
    return { uri, arrival: Queue.take(arrivals) }
  })
