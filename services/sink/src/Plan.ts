import type { Committed } from "@tributary/log"
import { Option, Schema } from "effect"

/**
 * The one range that may be in flight from a committed offset on, kept as metadata of that commit (DESIGN.md, promise 2).
 * `epoch` is the topic's identity: a topic deleted and made again starts at offset 0 with other tokens.
 */
export const Plan = Schema.Struct({
  v: Schema.Literal(1),
  first: Schema.Natural,
  last: Schema.Natural,
  epoch: Schema.String,
  table: Schema.String,
  /** Generation of the table, if it has one: the position counts for that table only. */
  generation: Schema.optionalKey(Schema.String),
  /** Milliseconds since 1970 at which it was made; the same when it is confirmed. Older versions did not say. */
  madeAt: Schema.optionalKey(Schema.Finite)
})
export type Plan = typeof Plan.Type

/** What is committed beside a position with no range in flight. Older versions wrote no epoch, and nothing without a generation. */
const Acknowledged = Schema.Struct({
  v: Schema.Literal(1),
  generation: Schema.optionalKey(Schema.String),
  epoch: Schema.optionalKey(Schema.String)
})

const decodeAcknowledged = Schema.decodeUnknownOption(Schema.fromJsonString(Acknowledged), {
  onExcessProperty: "error"
})

const PlanText = Schema.fromJsonString(Plan)
const decode = Schema.decodeUnknownResult(PlanText)

/** Metadata that this version cannot read: another version wrote it, or another program uses the group. */
export class UnknownPlan extends Schema.TaggedError<UnknownPlan>()("UnknownPlan", {
  topic: Schema.String,
  partition: Schema.Int,
  metadata: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return (
      `The sink's position in ${this.topic}/${this.partition} carries a plan that this version cannot read: ` +
      `${this.metadata.slice(0, 200)}. Run the version that wrote it, or reset the group's metadata.`
    )
  }
}

/** The topic ends before the plan does: the log has lost records that it had. */
export class PlanLost extends Schema.TaggedError<PlanLost>()("PlanLost", {
  topic: Schema.String,
  partition: Schema.Int,
  plan: Plan,
  end: Schema.Finite
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return (
      `The sink was about to load the offsets ${this.plan.first} to ${this.plan.last} of ${this.topic}/${this.partition}, but the ` +
      `topic ends at ${this.end}: records are lost. Restore the log from a backup, or reset the group's metadata.`
    )
  }
}

/** What a position was committed for: a table by its generation, and a topic by its id. Each is `undefined` when it is not known. */
interface Belonging {
  readonly generation: string | undefined
  readonly epoch: string | undefined
}

/** Metadata of a position in that topic, up to which everything is in the table of that generation. */
export const encodeAcknowledged = (generation: string | undefined, epoch: string): string =>
  JSON.stringify({ v: 1, ...(generation === undefined ? {} : { generation }), epoch })

/** What a committed position belongs to. A plan from before an operator moved the position does not say of which topic that is. */
export const belongingOf = ({ metadata, offset }: Committed): Belonging => {
  const acknowledged = decodeAcknowledged(metadata)
  if (Option.isSome(acknowledged)) {
    const { epoch, generation } = acknowledged.value
    return { epoch, generation }
  }
  const plan = decode(metadata)
  if (plan._tag === "Failure") return { epoch: undefined, generation: undefined }
  const { epoch, first, generation } = plan.success
  return { generation, epoch: first === offset ? epoch : undefined }
}

export const encodePlan = (plan: Plan): string => JSON.stringify(plan)

/**
 * The plan that was pending at the committed offset; `undefined` when there is none. A plan that does not start at the
 * committed offset was dropped by an operator's reset and does not count.
 */
export const decodePlan = (metadata: string, offset: number): Plan | "unknown" | undefined => {
  if (metadata === "" || Option.isSome(decodeAcknowledged(metadata))) return undefined
  const plan = decode(metadata)
  if (plan._tag === "Failure") return "unknown"
  return plan.success.first === offset ? plan.success : undefined
}
