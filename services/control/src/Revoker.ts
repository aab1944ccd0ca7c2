import type { Registered } from "@tributary/catalog"
import { Context, Effect } from "effect"

/**
 * Ends the authorization of a connector that was just deleted, given what was registered before, and says in a sentence what came of
 * it; `undefined` if it has none. The deletion stands in any case. Whoever runs the service provides it; without, nothing is ended.
 */
export type Revoke = (deleted: string, before: ReadonlyMap<string, Registered>) => Effect.Effect<string | undefined>

export const Revoker = Context.Reference<Revoke>("@tributary/control/Revoker", {
  defaultValue: () => () => Effect.undefined
})
