import type { Authorizer } from "../Authorizer.ts"

/**
 * Slot: adds credentials to a request when it is sent, and says what to do when they are refused. In YAML: `auth`. It works on
 * requests, not on drafts, because a proof is good for one sending and a retry after a 401 needs a new one.
 */
export type Authenticator = Authorizer
