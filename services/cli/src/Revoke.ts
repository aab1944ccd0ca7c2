import {
  type Authorization,
  authorizationOfConnector,
  revocationLine,
  revokeDeleted,
  revokeGrant,
  TokenTransport
} from "@tributary/oauth"
import type { Registered } from "@tributary/catalog"
import type { Revoke } from "@tributary/control"
import { parseConnector } from "@tributary/domain"
import { Effect, type FileSystem, Layer, Option, Result } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { chooseConnector, NoConsent } from "./ConsentCommand.ts"
import { authorizations } from "./Engine.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"

export interface RevokeOptions {
  readonly connectors: string
  readonly connector: string | undefined
  readonly json: boolean
}

/** Other connectors of the files that use the same tokens. */
const sharers = Effect.fnUntraced(function* (connectors: string, { id }: Authorization, chosen: string) {
  const { connectors: all } = yield* loadConnectors(connectors)
  return all
    .filter((one) => one.connector.connector !== chosen && authorizationOfConnector(one.connector, one.base)?.id === id)
    .map((one) => one.connector.connector)
})

/** Revokes the tokens of a connector at the server and forgets them, unless another connector uses them too. */
export const runRevoke = Effect.fn("cli.revoke")(function* (options: RevokeOptions) {
  const screen = yield* Screen
  const { authorization, connector } = yield* chooseConnector(
    options,
    (loaded) => authorizationOfConnector(loaded.connector, loaded.base) !== undefined
  )
  const others = yield* sharers(options.connectors, authorization, connector)
  if (others.length > 0) {
    return yield* new NoConsent({
      problem: `The authorization ${authorization.id} is shared with ${others.join(", ")}, which would stop too. Delete those first, or give this connector an authorization of its own.`
    })
  }
  const revocation = yield* revokeGrant(authorization)
  yield* screen.print(
    options.json
      ? JSON.stringify({ connector: authorization.id, ...revocation })
      : `${authorization.id}: ${revocationLine(authorization.id, revocation)}`
  )
})

/** What a registration says, if this version can read it. */
const readable = (registered: Registered | undefined) =>
  registered?._tag === "Success"
    ? Result.getOrUndefined(parseConnector(registered.success.text, registered.success.file))?.connector
    : undefined

/**
 * Ends the authorizations of connectors that were deleted from the registrations, and says of each what came of it. Their tokens are
 * in the Redis of the workers; where none is named, nothing can be done from here.
 */
export const revokeRegistered = Effect.fn("cli.revokeRegistered")(function* (
  deleted: ReadonlyArray<string>,
  registered: ReadonlyMap<string, Registered>,
  base: string
) {
  const lines = new Map<string, string>()
  if (deleted.length === 0) return lines
  const staying = [...registered].flatMap(([id, one]) => {
    const connector = deleted.includes(id) ? undefined : readable(one)
    return connector === undefined ? [] : [connector]
  })
  const { redis } = yield* servers
  for (const id of deleted) {
    const connector = readable(registered.get(id))
    if (connector === undefined || authorizationOfConnector(connector, base) === undefined) continue
    if (Option.isNone(redis)) {
      lines.set(
        id,
        "Its tokens were not revoked: set TRIBUTARY_REDIS_URL to the Redis of the workers, and run tributary revoke."
      )
      continue
    }
    const line = yield* revokeDeleted(connector, base, staying).pipe(
      Effect.provide(Layer.merge(authorizations(base), TokenTransport.layer)),
      Effect.catch(({ message }) => Effect.succeed(`Its tokens were not revoked: ${message}`))
    )
    if (line !== undefined) lines.set(id, line)
  }
  return lines
})

/** The same for one connector, as the control service wants it: the stores are opened when there is something to revoke. */
export const revokeOne = (base: string) =>
  Effect.map(
    Effect.context<FileSystem.FileSystem>(),
    (context): Revoke =>
      (deleted, before) =>
        revokeRegistered([deleted], before, base).pipe(
          Effect.map((lines) => lines.get(deleted)),
          Effect.catch(({ message }) => Effect.succeed(`Its tokens were not revoked: ${message}`)),
          Effect.provideContext(context)
        )
  )
