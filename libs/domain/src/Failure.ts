import { Schema } from "effect"

/**
 * What a failure means for the work that met it (DESIGN.md, promise 5). Every error of the platform carries one, and the
 * policy of each class is stated once, where the work is supervised:
 *
 * - `transient`: may succeed if tried again; retried with jittered back-off.
 * - `throttled`: the other side said when to come back; waited for, counted against the shared budget.
 * - `needs-consent`: a person must authorize again; the connector pauses and keeps its position.
 * - `misconfigured`: only a change of configuration helps; the connector pauses and says what to change.
 * - `defect`: a fault of the program; restarted within a budget.
 *
 * A record that cannot be processed is data (`Rejected`), not a failure.
 */
export const FailureClass = Schema.Literals(["transient", "throttled", "needs-consent", "misconfigured", "defect"])
export type FailureClass = typeof FailureClass.Type
