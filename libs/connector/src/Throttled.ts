import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** The API asked to come back later. `retryAfter` is in milliseconds; `undefined` when it did not say how much later. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  /** As in all reasons: the address as it may be shown, and what was found. */
  url: Schema.String,
  found: Schema.String,
  status: Schema.Int,
  retryAfter: Schema.UndefinedOr(Schema.Finite)
}) {
  readonly failureClass: FailureClass = "throttled"
  override get message(): string {
    const wait = this.retryAfter === undefined ? "" : ` and asks to wait ${Math.ceil(this.retryAfter / 1000)} s`
    return `${this.url} answered ${this.status}${wait}: ${this.found} If this goes on, lower http.rate_limit.`
  }
}

/** The API asked one request to wait, again and again, for longer than anybody should wait without being told. */
export class StillThrottled extends Schema.TaggedError<StillThrottled>()("StillThrottled", {
  /** What was said the last time, with its place. */
  problem: Schema.String,
  /** How often it asked to wait, and for how long all together in milliseconds. */
  times: Schema.Int,
  millis: Schema.Finite,
  /** The wait that it asked for last, milliseconds. */
  retryAfter: Schema.Finite
}) {
  readonly failureClass: FailureClass = "throttled"
  override get message(): string {
    return (
      `${this.problem} It has asked to wait ${this.times} times in a row, for ${Math.round(this.millis / 60_000)} minutes. ` +
      "The position is kept. See what the API allows, and who else uses the same limit."
    )
  }
}
