import { it } from "@effect/vitest"
import type { Effect, Layer, Scope } from "effect"
import { describe } from "vitest"
import type { Log, LogError } from "../src/index.ts"
import { groupCases } from "./conformance/groups.ts"
import { lifecycleCases } from "./conformance/lifecycle.ts"
import { modelCases } from "./conformance/model.ts"
import { recordCases } from "./conformance/records.ts"
import { transactionCases } from "./conformance/transactions.ts"

/** Where the suite finds a log. `R` is what the layer provides beside it. */
export interface Storage<R = never> {
  /**
   * A storage, and the layer that opens it. The suite builds the layer, closes it and builds it again, in turn: each build
   * must find what the one before has left (for a broker: the same broker each time).
   */
  readonly storage: Effect.Effect<Layer.Layer<Log | R, LogError>, never, Scope.Scope>
}

export interface Engine<R = never> extends Storage<R> {
  /** Makes the engine apply retention, if it would not by itself within the suite's patience (60 seconds). */
  readonly retain?: Effect.Effect<void, LogError, R>
  /** How many random histories are compared with the model; 100 by default. */
  readonly histories?: number
}

/**
 * What every layer of the Log port must do. The suite uses topics, groups and transactional ids of its own, so it can run on
 * a broker that others use. It relies on nothing that only one engine does: offsets may have gaps, rebalances may take
 * seconds.
 */
export const suite = <R>(name: string, engine: Engine<R>): void => {
  describe(name, () => {
    recordCases(it, engine)
    transactionCases(it, engine)
    groupCases(it, engine)
    lifecycleCases(it, engine)
    modelCases(it, engine)
  })
}
