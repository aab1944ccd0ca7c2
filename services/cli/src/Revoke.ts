import {
  type Authorization,
  authorizationsOfConnector,
  type Revocation,
  revocationLine,
  revokeDeleted,
  revokeGrant,
  TokenTransport
} from "@tributary/oauth"
import type { Registered } from "@tributary/catalog"
import type { Revoke } from "@tributary/control"
import { TokenStore } from "@tributary/vault"
import { Effect, type FileSystem, Layer, Option, Result } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { authorizationsOfLoaded, chooseConnector, NoConsent } from "./ConsentCommand.ts"
import { authorizations } from "./Engine.ts"
import { registeredConnector } from "./Registered.ts"
import { Screen } from "./Screen.ts"
import { servers } from "./Servers.ts"

export interface RevokeOptions {
  readonly connectors: string
  readonly connector: string | undefined
  /** Asks no server: for tokens that cannot be opened any more, or whose server is gone. */
  readonly isOnlyForgotten: boolean
  readonly json: boolean
}

/** Other connectors of the files that use the same tokens. */
const sharers = Effect.fnUntraced(function* (connectors: string, { id }: Authorization, chosen: string) {
  const { connectors: all } = yield* loadConnectors(connectors)
  return all
    .filter(
      (one) =>
        one.connector.connector !== chosen &&
        authorizationsOfLoaded(one).some((authorization) => authorization.id === id)
    )
    .map((one) => one.connector.connector)
})

/** Forgets tokens unseen, which works without their key. */
const forgotten = ({ id }: Authorization) =>
  Effect.as(
    TokenStore.use((store) => store.remove(id)),
    { _tag: "Forgotten", why: "--forget asks no server." } satisfies Revocation
  )

/** Revokes the tokens of a connector at the server and forgets them, unless another connector uses them too. */
export const runRevoke = Effect.fn("cli.revoke")(function* (options: RevokeOptions) {
  const screen = yield* Screen
  const { authorizations: all, connector } = yield* chooseConnector(options, () => true)
  for (const authorization of all) {
    const others = yield* sharers(options.connectors, authorization, connector)
    if (others.length === 0) continue
    const rest = all.filter(({ id }) => id !== authorization.id).map(({ id }) => id)
    const advice =
      rest.length === 0
        ? ""
        : ` To end the others alone, name them in place of the connector: ${rest.map((id) => `tributary revoke ${id}`).join(", ")}.`
    return yield* new NoConsent({
      problem: `The authorization ${authorization.id} is shared with ${others.join(", ")}, which would stop too. Delete those first, or give this connector an authorization of its own.${advice}`
    })
  }
  for (const authorization of all) {
    const revocation = yield* options.isOnlyForgotten ? forgotten(authorization) : revokeGrant(authorization)
    yield* screen.print(
      options.json
        ? JSON.stringify({ connector: authorization.id, ...revocation })
        : `${authorization.id}: ${revocationLine(authorization.id, revocation)}`
    )
  }
})

/** What a registration says, if this version can read it. */
const readable = (registered: Registered | undefined) =>
  registered?._tag === "Success"
    ? Option.map(Result.getSuccess(registeredConnector(registered.success)), ({ connector, further }) => ({
        connector: connector.connector,
        auth: connector.auth,
        further
      })).pipe(Option.getOrUndefined)
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
    if (connector === undefined || authorizationsOfConnector(connector, base).length === 0) continue
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
