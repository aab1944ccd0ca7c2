import type { Claim, LogError, Offset } from "@tributary/log"
import type { Effect } from "effect"
import type { Membership } from "./TransactionRequests.ts"

/** What a transaction needs to know of a claim. */
export interface Consumed {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  /** The member and the generation in which it owns the partition now; fails with `Fenced` when it does not any more. */
  readonly membership: Effect.Effect<Membership, LogError>
  /** The coordinator refused the membership: ends when the member knows more. */
  readonly refused: (code: number, membership: Membership) => Effect.Effect<void>
}

/** A claim as the Kafka log makes it. A symbol, so that a copy that a caller has extended is still a claim. */
export const consumption: unique symbol = Symbol("@tributary/kafka/consumption")
export interface KafkaClaim extends Claim {
  readonly [consumption]: (offset: Offset) => Consumed
}
export const isKafkaClaim = (claim: Claim): claim is KafkaClaim => consumption in claim
