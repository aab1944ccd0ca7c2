import { Effect, Schema } from "effect"
import { Screen } from "./Screen.ts"

/** The authorization server for trying out cannot be started. */
export class NoAuthServer extends Schema.TaggedError<NoAuthServer>()("NoAuthServer", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** A connector of the server's own API, ready to be saved as a file. */
const example = (issuer: string, api: string): string => `connector: tryout
auth:
  oauth2: authorization_code
  issuer: ${issuer}
  client_id: app
  client_auth: none
  scopes: [openid, offline_access, "api:read"]
  resource: ${api}
  authorization_params: { prompt: consent }
http: { base_url: "${api}" }
streams:
  orders: { path: /orders, records: "$.data[*]", primary_key: id, poll: every 30 seconds }
`

/**
 * Starts an authorization server on this machine for the time of the scope, for trying out grants by hand: it believes every name,
 * forgets everything at its end, and is no server for anything else.
 */
export const startDevAuthServer = Effect.fn("cli.startDevAuthServer")(function* (port: number) {
  const screen = yield* Screen
  const { startConsentServer } = yield* Effect.promise(() => import("@tributary/testkit/consent"))
  const { api, clients, issuer } = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => startConsentServer({ port }),
      catch: (error) =>
        new NoAuthServer({
          problem:
            error instanceof Error && "code" in error && error.code === "EADDRINUSE"
              ? `Port ${port} is taken by another program; name another with --auth-port.`
              : `The authorization server cannot be started: ${error instanceof Error ? error.message : String(error)}`
        })
    }),
    (server) => Effect.promise(() => server.stop())
  )
  const grants: Readonly<Record<string, string>> = {
    app: "authorization_code, device_code; a public client (client_auth: none)",
    web: "authorization_code, device_code; HTTP Basic",
    other: "as web, for trying what belongs to another client",
    service: "client_credentials; HTTP Basic"
  }
  const lines = Object.values(clients).map(
    ({ id, secret }) => `  ${id.padEnd(8)} ${grants[id] ?? ""}${secret === undefined ? "" : `; secret: ${secret}`}`
  )
  yield* screen.print(
    [
      "An authorization server for trying out. Any name signs in; everything is forgotten when it stops.",
      "",
      `  issuer   ${issuer}`,
      `  API      ${api}/orders (scope api:read), ${api}/orders/all (scope api:write)`,
      "  scopes   openid, offline_access, api:read, api:write",
      "",
      "Clients:",
      ...lines,
      "",
      "A connector for it. Save it as tryout.yaml in the folder of the connectors, then run: tributary consent tryout",
      "",
      example(issuer, api)
    ].join("\n")
  )
})
