import type { Auth } from "@tributary/domain"
import { Effect } from "effect"
import { authorizationOf } from "../Sharing.ts"
import type { Authorization } from "../TokenManager.ts"
import { type Revocation, revokeGrant } from "./revokeGrant.ts"

/** What of a connector says how it is authorized. */
interface Authorized {
  readonly connector: string
  readonly auth?: Auth | undefined
}

/** The authorization of a connector; `undefined` if it has none by OAuth2. `base`: the folder that its file references start from. */
export const authorizationOfConnector = ({ auth, connector }: Authorized, base: string): Authorization | undefined =>
  auth === undefined || !("oauth2" in auth) ? undefined : authorizationOf(connector, auth, base)

/** What became of an authorization's tokens, as a sentence. */
export const revocationLine = (id: string, revocation: Revocation): string => {
  switch (revocation._tag) {
    case "Revoked":
      return "Its tokens were revoked at the server and forgotten here."
    case "Nothing":
      return "No tokens of it are stored, so none were revoked."
    case "Forgotten":
      return `Its tokens were forgotten here, but not revoked at the server: ${revocation.why} Withdraw the consent in the provider's settings, if it should end there too.`
    case "Kept":
      return `Its tokens were neither revoked nor forgotten: ${revocation.why} Try again: tributary revoke ${id}`
  }
}

/**
 * Ends the authorization of a connector that was deleted, unless one of the connectors that stay uses it too. The deletion stands
 * whatever comes of this: the answer is a sentence that says what did, `undefined` if there was nothing to end.
 */
export const revokeDeleted = Effect.fn("consent.revokeDeleted")(function* (
  deleted: Authorized,
  base: string,
  staying: ReadonlyArray<Authorized>
) {
  const authorization = authorizationOfConnector(deleted, base)
  if (authorization === undefined) return undefined
  const { id } = authorization
  const others = staying.filter(
    (one) => one.connector !== deleted.connector && authorizationOfConnector(one, base)?.id === id
  )
  if (others.length > 0) {
    return `Its tokens stay: ${others.map(({ connector }) => connector).join(", ")} ${others.length === 1 ? "uses" : "use"} the authorization ${id} too.`
  }
  return yield* revokeGrant(authorization).pipe(
    Effect.map((revocation) => revocationLine(id, revocation)),
    Effect.catch(({ message }) =>
      Effect.succeed(`Its tokens were neither revoked nor forgotten: ${message} Try again: tributary revoke ${id}`)
    )
  )
})
