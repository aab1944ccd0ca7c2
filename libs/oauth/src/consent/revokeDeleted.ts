import type { Auth, OAuth2 } from "@tributary/domain"
import { Effect } from "effect"
import { authorizationOf } from "../Sharing.ts"
import type { Authorization } from "../TokenManager.ts"
import { type Revocation, revokeGrant } from "./revokeGrant.ts"

/** What of a connector says how it is authorized. */
interface Authorized {
  readonly connector: string
  readonly auth?: Auth | undefined
  /** Authorizations beside it, each with a name of its own, as those of a manifest. */
  readonly further?: ReadonlyArray<OAuth2>
}

/** The authorization of a connector; `undefined` if it has none by OAuth2. `base`: the folder that its file references start from. */
export const authorizationOfConnector = ({ auth, connector }: Authorized, base: string): Authorization | undefined =>
  auth === undefined || !("oauth2" in auth) ? undefined : authorizationOf(connector, auth, base)

/** All of a connector's authorizations, its own first. */
export const authorizationsOfConnector = (given: Authorized, base: string): ReadonlyArray<Authorization> => {
  const own = authorizationOfConnector(given, base)
  const further = (given.further ?? []).map((oauth2) => authorizationOf(given.connector, oauth2, base))
  return own === undefined ? further : [own, ...further]
}

const again = (id: string) => `Try again: tributary revoke ${id}`
/** The command finds an authorization by the file of its connector. */
const againWithFile = (id: string) => `Put its file back and run: tributary revoke ${id}`

/** What became of an authorization's tokens, as a sentence. `advice`: what to do where they were kept. */
export const revocationLine = (id: string, revocation: Revocation, advice = again(id)): string => {
  switch (revocation._tag) {
    case "Revoked":
      return "Its tokens were revoked at the server and forgotten here."
    case "Nothing":
      return "No tokens of it are stored, so none were revoked."
    case "Forgotten":
      return `Its tokens were forgotten here, but not revoked at the server: ${revocation.why} Withdraw the consent in the provider's settings, if it should end there too.`
    case "Kept":
      return `Its tokens were neither revoked nor forgotten: ${revocation.why} ${advice}`
  }
}

/**
 * Ends the authorizations of a connector that was deleted, but for those that one of the connectors that stay uses too. The deletion
 * stands whatever comes of this: the answer says what did, a sentence for each, `undefined` if there was nothing to end.
 */
export const revokeDeleted = Effect.fn("consent.revokeDeleted")(function* (
  deleted: Authorized,
  base: string,
  staying: ReadonlyArray<Authorized>
) {
  const all = authorizationsOfConnector(deleted, base)
  const lines = yield* Effect.forEach(all, (authorization) => {
    const { id } = authorization
    const named = all.length === 1 ? "" : `${id}: `
    const others = staying.filter(
      (one) => one.connector !== deleted.connector && authorizationsOfConnector(one, base).some((own) => own.id === id)
    )
    if (others.length > 0) {
      return Effect.succeed(
        `${named}Its tokens stay: ${others.map(({ connector }) => connector).join(", ")} ${others.length === 1 ? "uses" : "use"} the authorization ${id} too.`
      )
    }
    return revokeGrant(authorization).pipe(
      Effect.map((revocation) => `${named}${revocationLine(id, revocation, againWithFile(id))}`),
      Effect.catch(({ message }) =>
        Effect.succeed(`${named}Its tokens were neither revoked nor forgotten: ${message} ${againWithFile(id)}`)
      )
    )
  })
  return lines.length === 0 ? undefined : lines.join(" ")
})
