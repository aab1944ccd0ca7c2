import { Connector } from "@tributary/domain"
import { Tokens } from "@tributary/oauth"
import { serve, startSyntheticApi, type SyntheticApi, type SyntheticSettings } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { DateTime, Effect, Layer, Schema, type Scope, Stream } from "effect"
import {
  Budgets,
  type Checkpoint,
  make,
  type MakeOptions,
  type Page,
  type PagesOptions,
  type Source
} from "@tributary/connector"

export { serve }

/** A server that answers every request with the same body. */
export const answering = (body: string | Buffer, status = 200, headers: Record<string, string> = {}) =>
  serve((_request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(body)
  })

export const synthetic = (
  settings: Partial<SyntheticSettings> & { readonly random?: () => number }
): Effect.Effect<SyntheticApi, never, Scope.Scope> =>
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

const secrets = Secrets.layer.pipe(
  Layer.provide(Layer.succeed(Environment, { SHOP_SECRET: "client-secret", SHOP_KEY: "key-of-the-shop-42" }))
)
const tokens = Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer]))

export const services = Layer.mergeAll(Budgets.layer, secrets, tokens)

export const source = (settings: Connector, circuit?: MakeOptions["circuit"]) =>
  make(settings, { base: import.meta.dirname, ...(circuit === undefined ? {} : { circuit }) })

/** All pages of a walk. */
export const read = (from: Source, checkpoint?: Checkpoint, options?: PagesOptions, stream = "items") =>
  Stream.runCollect(from.pages(stream, checkpoint, options))

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
/** The same as HTTP writes it (RFC 9110, section 5.6.7). */
export const httpDateOf = (millis: number): string => DateTime.toDateUtc(DateTime.makeUnsafe(millis)).toUTCString()
