import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

const About = {
  /** The address without its query's values. */
  url: Schema.String,
  /** What names the job; empty before it is known. */
  job: Schema.String
}

const named = (job: string): string => (job === "" ? "a job" : `the job ${job}`)

const made = (attempts: number): string => (attempts === 1 ? "" : ` It was made ${attempts} times.`)

/** All jobs of a slice failed: its own word, or the number of times it was made. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", {
  ...About,
  problem: Schema.String,
  attempts: Schema.Int
}) {
  // What failed so often fails because of what was asked for, or because the API is in trouble: looked at again now and then.
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: ${named(this.job)} failed: ${this.problem}${made(this.attempts)} Look at what job.create asks for, and at the API.`
  }
}

/** The job was not done in time. */
export class JobTimedOut extends Schema.TaggedError<JobTimedOut>()("JobTimedOut", {
  ...About,
  millis: Schema.Finite,
  attempts: Schema.Int
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url}: ${named(this.job)} was not done within ${this.millis / 1000} s (job.timeout), and was given up.${made(this.attempts)} Ask for less in one job, or allow more time.`
  }
}

/** The job's result is no longer kept, or the job is not known (any more). */
export class JobExpired extends Schema.TaggedError<JobExpired>()("JobExpired", {
  ...About,
  problem: Schema.String,
  attempts: Schema.Int
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `${this.url}: the result of ${named(this.job)} cannot be had any more: ${this.problem}${made(this.attempts)}`
  }
}

/** A status that the stream's settings do not name. Never taken for any other. */
export class UnknownJobStatus extends Schema.TaggedError<UnknownJobStatus>()("UnknownJobStatus", {
  ...About,
  status: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url}: ${named(this.job)} has the status ${this.status}, which is none of ${this.known.join(", ")}. ` +
      "Add it to job.running, done, empty, failed or expired, or correct job.status. The job is gone on with then."
    )
  }
}

/** An answer about a job lacks what is needed of it: its id, its results, a link. */
export class BadJobAnswer extends Schema.TaggedError<BadJobAnswer>()("BadJobAnswer", {
  ...About,
  setting: Schema.String,
  expected: Schema.String,
  found: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.url}: expected ${this.expected} (${this.setting}). The answer about ${named(this.job)} begins: ${this.found} Correct ${this.setting}, or see what the API says.`
  }
}

/** The address of a result was refused, and so was the one that the API gave when it was asked again. */
export class ResultRefused extends Schema.TaggedError<ResultRefused>()("ResultRefused", {
  ...About,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return (
      `${this.url}: a result of ${named(this.job)} cannot be downloaded, with a new link neither. ${this.problem} ` +
      "If it is at another host that asks for the connector's credentials, name that host as the stream's address."
    )
  }
}

/** As many jobs run as `job.at_once` allows, or who runs them cannot be found out. */
export class NoJobSlot extends Schema.TaggedError<NoJobSlot>()("NoJobSlot", {
  key: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `No job can be made under the limit ${this.key}: ${this.problem}`
  }
}
