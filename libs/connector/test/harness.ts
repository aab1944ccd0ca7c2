import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { Connector } from "@tributary/domain"
import { type AccessToken, TokenError, Tokens } from "@tributary/oauth"
import { startSyntheticApi, type SyntheticApi, type SyntheticSettings } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/vault"
import { DateTime, Effect, Layer, Redacted, Schema, type Scope, Stream } from "effect"
import { request } from "undici"
import { Budgets, type Checkpoint, make, type Page, type PagesOptions, type Source } from "@tributary/connector"

/** A server of a test's own, closed with the scope. */
export const serve = (handler: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer(handler)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    })
  )

/** A server that answers every request with the same body. */
export const answering = (body: string | Buffer, status = 200, headers: Record<string, string> = {}) =>
  serve((_request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(body)
  })

export const synthetic = (settings: Partial<SyntheticSettings>): Effect.Effect<SyntheticApi, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startSyntheticApi({ auth: false, ...settings })),
    (api) => Effect.promise(() => api.stop())
  )

export const decodeConnector = Schema.decodeUnknownSync(Connector)

/** A connector with one stream `items`. */
export const connector = (
  url: string,
  stream: Record<string, unknown> = {},
  http: Record<string, unknown> = {},
  auth?: Record<string, unknown>
): Connector =>
  decodeConnector({
    connector: "shop",
    ...(auth === undefined ? {} : { auth }),
    http: { base_url: url, retries: 2, ...http },
    streams: { items: { path: "/records", records: "$.data[*]", ...stream } }
  })

export const authFor = (api: SyntheticApi, more: Record<string, unknown> = {}) => ({
  oauth2: "client_credentials",
  token_url: api.tokenUrl,
  client_id: "client",
  client_secret: "${env:SHOP_SECRET}",
  scopes: ["records.read"],
  ...more
})

/** Tokens by client credentials, with what the engine relies on: one token until it is rejected. */
export const testTokens = Layer.succeed(Tokens, {
  manager: ({ id, oauth2 }) => {
    let current: AccessToken | undefined
    let generation = 0
    const obtain = Effect.tryPromise({
      try: async (): Promise<AccessToken> => {
        const answer = await request(oauth2.token_url ?? "", {
          method: "POST",
          headers: {
            authorization: `Basic ${Buffer.from(`${oauth2.client_id}:client-secret`).toString("base64")}`,
            "content-type": "application/x-www-form-urlencoded"
          },
          body: new URLSearchParams({ grant_type: "client_credentials", scope: oauth2.scopes.join(" ") }).toString()
        })
        const body = (await answer.body.json()) as { readonly access_token?: string; readonly error?: string }
        if (body.access_token === undefined) throw new Error(body.error ?? "no token")
        current = {
          value: Redacted.make(body.access_token),
          generation: ++generation,
          tokenType: "Bearer",
          expiresAt: undefined
        }
        return current
      },
      catch: (error) =>
        new TokenError({
          authorization: id,
          endpoint: oauth2.token_url,
          failureClass: "misconfigured",
          problem: `The server answered ${error instanceof Error ? error.message : "nothing"}.`,
          advice: "Check auth.scopes.",
          retryAfter: undefined
        })
    })
    return Effect.succeed({
      get: Effect.suspend(() => (current === undefined ? obtain : Effect.succeed(current))),
      rejected: (token) => Effect.suspend(() => (token === current ? Effect.asVoid(obtain) : Effect.void))
    })
  }
})

export const services = Layer.mergeAll(
  Budgets.layer,
  testTokens,
  Secrets.layer.pipe(
    Layer.provide(Layer.succeed(Environment, { SHOP_SECRET: "client-secret", SHOP_KEY: "key-of-the-shop-42" }))
  )
)

export const source = (settings: Connector) => make(settings, { base: import.meta.dirname })

/** All pages of a walk. */
export const read = (from: Source, checkpoint?: Checkpoint, options?: PagesOptions) =>
  Stream.runCollect(from.pages("items", checkpoint, options))

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
export const keysOf = (pages: ReadonlyArray<Page>): Array<string> =>
  pages.flatMap((page) => page.records.map(({ key }) => (key === null ? "null" : text(key))))
export const valuesOf = (pages: ReadonlyArray<Page>): Array<string> =>
  pages.flatMap((page) => page.records.map(({ value }) => text(value)))

/** The error that a first walk ends with. */
export const failure = (settings: Connector) =>
  Effect.flip(Effect.scoped(Effect.flatMap(source(settings), (ready) => read(ready))))

/** Milliseconds since 1970 of a time, and the other way round. */
export const millisOf = (time: string): number => DateTime.toEpochMillis(DateTime.makeUnsafe(time))
export const timeOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))
