import { type Authorization, type Revocation, revokeGrant } from "@tributary/oauth"
import { Effect } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { authorizationOf, chooseConnector, NoConsent } from "./ConsentCommand.ts"
import { Screen } from "./Screen.ts"

export interface RevokeOptions {
  readonly connectors: string
  readonly connector: string | undefined
  readonly json: boolean
}

/** What became of an authorization's tokens, as a line. */
export const revocationLine = (id: string, revocation: Revocation): string => {
  switch (revocation._tag) {
    case "Revoked":
      return `${id}: its tokens were revoked at the server and forgotten here.`
    case "Nothing":
      return `${id}: no tokens are stored, so none were revoked.`
    case "Forgotten":
      return `${id}: its tokens were forgotten here, but not revoked at the server: ${revocation.why} Withdraw the consent in the provider's settings, if it should end there too.`
    case "Kept":
      return `${id}: its tokens were neither revoked nor forgotten: ${revocation.why} Try again: tributary revoke ${id}`
  }
}

/** Other connectors of the files that use the same tokens. */
const sharers = Effect.fnUntraced(function* (connectors: string, { id }: Authorization, chosen: string | undefined) {
  const { connectors: all } = yield* loadConnectors(connectors)
  return all
    .filter((one) => one.connector.connector !== chosen && authorizationOf(one)?.id === id)
    .map((one) => one.connector.connector)
})

/** Revokes the tokens of a connector at the server and forgets them, unless another connector uses them too. */
export const runRevoke = Effect.fn("cli.revoke")(function* (options: RevokeOptions) {
  const screen = yield* Screen
  const authorization = yield* chooseConnector(options, (loaded) => authorizationOf(loaded) !== undefined)
  const others = yield* sharers(options.connectors, authorization, options.connector ?? authorization.id)
  if (others.length > 0) {
    return yield* new NoConsent({
      problem: `The authorization ${authorization.id} is shared with ${others.join(", ")}, which would stop too. Delete those first, or give this connector an authorization of its own.`
    })
  }
  const revocation = yield* revokeGrant(authorization)
  yield* screen.print(
    options.json
      ? JSON.stringify({ connector: authorization.id, ...revocation })
      : revocationLine(authorization.id, revocation)
  )
})
