import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** A later producer took the transactional id, or the partition was assigned to another member. Nothing was written. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { what: Schema.String }) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.what} now belongs to another worker. Nothing was written; the other worker goes on from the last commit.`
  }
}

/** The offset is not in the partition: retention deleted it, or it was never written. Reading never jumps over the gap. */
export class OffsetOutOfRange extends Schema.TaggedError<OffsetOutOfRange>()("OffsetOutOfRange", {
  topic: Schema.String,
  partition: Schema.Int,
  offset: Schema.Finite,
  earliest: Schema.Finite,
  end: Schema.Finite
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `Offset ${this.offset} of ${this.topic}/${this.partition} is not there; the partition holds ${this.earliest} up to ${this.end}.`
  }
}

export class UnknownTopic extends Schema.TaggedError<UnknownTopic>()("UnknownTopic", { topic: Schema.String }) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `There is no topic ${this.topic}.`
  }
}

/** The data directory is in use by another process. */
export class LogLocked extends Schema.TaggedError<LogLocked>()("LogLocked", {
  path: Schema.String,
  /** The process that has it, when it said so. */
  pid: Schema.optionalKey(Schema.Int)
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    const holder = this.pid === undefined ? "another process" : `process ${this.pid}`
    return `The data directory ${this.path} is in use by ${holder}. Stop that one, or choose another directory with --data.`
  }
}

/** The disk is full; nothing of the write was kept. */
export class LogFull extends Schema.TaggedError<LogFull>()("LogFull", { path: Schema.String, cause: Schema.Defect() }) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `No space left for ${this.path}. Nothing was lost; work goes on when there is room again.`
  }
}

/** The log cannot be reached or refused the call for a reason that may pass. */
export class LogUnavailable extends Schema.TaggedError<LogUnavailable>()("LogUnavailable", { cause: Schema.Defect() }) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `The log cannot be used at the moment: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}.`
  }
}

/** The log's files cannot be used and will not mend by themselves: missing, not permitted, damaged, or of a newer version. */
export class LogUnusable extends Schema.TaggedError<LogUnusable>()("LogUnusable", {
  path: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The log at ${this.path} cannot be used: ${this.problem}`
  }
}

/** The call was wrong (a record too large, metadata too long, a wrong partition). */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", { detail: Schema.String }) {
  readonly failureClass: FailureClass = "defect"
  override get message(): string {
    return this.detail
  }
}

/** The only error of the log; `reason` says what happened. */
export class LogError extends Schema.TaggedError<LogError>()("LogError", {
  reason: Schema.Union([
    Fenced,
    OffsetOutOfRange,
    UnknownTopic,
    LogLocked,
    LogFull,
    LogUnavailable,
    LogUnusable,
    InvalidRequest
  ])
}) {
  get failureClass(): FailureClass {
    return this.reason.failureClass
  }
  override get message(): string {
    return this.reason.message
  }
}
