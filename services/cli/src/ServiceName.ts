import { Schema } from "effect"

/** What can run by itself, as one of many processes. */
export const services = ["source", "transform", "sink", "control"] as const
export type ServiceName = (typeof services)[number]

/** A service stays; only everything in one process can end by itself. */
export class NotOnce extends Schema.TaggedError<NotOnce>()("NotOnce", { service: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  readonly isUsage = true
  override get message(): string {
    return `tributary run ${this.service} does not know when others are done, so it has no --once. Leave out one of the two.`
  }
}
