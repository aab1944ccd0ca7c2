import type { OAuth2 } from "@tributary/domain"
import { Effect, type Scope } from "effect"
import { misconfigured } from "./Settings.ts"
import type { TokenError } from "./TokenError.ts"
import type { Authorization } from "./TokenManager.ts"

/** The authorization of a connector: its own, or one that several connectors share under its name. */
export const authorizationOf = (connector: string, oauth2: OAuth2, base: string): Authorization => ({
  id: oauth2.authorization ?? connector,
  oauth2,
  base
})

/** One manager that is in use. */
interface Use {
  readonly oauth2: OAuth2
  /** As in `Settings`. */
  readonly sharing: string
}

/** A secret that is being replaced may differ among those who share. */
const mayDiffer = new Set(["client_secret", "client_key"])

/** Settings that differ and must not, by their names. */
const differing = (one: OAuth2, other: OAuth2): ReadonlyArray<string> => {
  const left: Readonly<Record<string, unknown>> = { ...one }
  const right: Readonly<Record<string, unknown>> = { ...other }
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter(
    (name) => !mayDiffer.has(name) && JSON.stringify(left[name]) !== JSON.stringify(right[name])
  )
}

/**
 * Watches that those who share an authorization ask for the same: tokens of other settings are not used, so each would replace the
 * other's tokens without end. And that they refresh in the same way: whoever begins a refresh does it for all.
 */
export const makeSharing = () => {
  const inUse = new Map<string, Set<Use>>()
  return (authorization: Authorization, sharing: string): Effect.Effect<void, TokenError, Scope.Scope> => {
    const { id, oauth2 } = authorization
    if (oauth2.authorization === undefined) return Effect.void
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.suspend(() => {
          const uses = inUse.get(id) ?? new Set<Use>()
          const other = [...uses].find((use) => use.sharing !== sharing)
          if (other !== undefined) {
            const names = differing(oauth2, other.oauth2)
            return misconfigured(
              id,
              `connectors that share it have different settings${names.length === 0 ? "" : ` (${names.join(", ")})`}.`,
              "Give them the same `auth`, or each an authorization of its own."
            )
          }
          const mine: Use = { oauth2, sharing }
          inUse.set(id, uses.add(mine))
          return Effect.succeed(mine)
        }),
        (mine) =>
          Effect.sync(() => {
            const uses = inUse.get(id)
            uses?.delete(mine)
            if (uses?.size === 0) inUse.delete(id)
          })
      )
    )
  }
}
