import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** What the server said: its code (0 when it said nothing), the code's name, and its text. */
const Answer = {
  code: Schema.Int,
  name: Schema.String,
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}

const answer = (self: { readonly code: number; readonly name: string; readonly detail: string }): string =>
  self.code === 0 ? `${self.name}: ${self.detail}` : `code ${self.code} ${self.name}: ${self.detail}`

/** No answer, or one that may pass. Whether an insert landed is not known: repeat the same bytes under the same plan. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", Answer) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `ClickHouse did not complete the request (${answer(this)}). It is safe to repeat it.`
  }
}

/** The server has more work than it can merge or run at once. Wait longer than for `Unavailable`; larger batches help. */
export class Busy extends Schema.TaggedError<Busy>()("Busy", Answer) {
  readonly failureClass: FailureClass = "throttled"
  override get message(): string {
    return `ClickHouse has too much to do (${answer(this)}). Insert less often with more rows per insert (flush_every, batch_rows), or raise its limits.`
  }
}

export class OutOfMemory extends Schema.TaggedError<OutOfMemory>()("OutOfMemory", Answer) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `ClickHouse is out of memory (${answer(this)}). It is tried again; if it stays, give the server more memory or lower batch_rows and batch_bytes.`
  }
}

export class NoSpace extends Schema.TaggedError<NoSpace>()("NoSpace", Answer) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `ClickHouse has no space left on its disk (${answer(this)}). Nothing was lost; loading goes on when there is room again.`
  }
}

/** Only a change of configuration or of the table helps. `advice` says which. */
export class Misconfigured extends Schema.TaggedError<Misconfigured>()("Misconfigured", {
  ...Answer,
  advice: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.code === 0 ? this.detail : `ClickHouse refused the request (${answer(this)}).`} ${this.advice}`
  }
}

/**
 * The server could not read a record that the encoder had passed. Nothing of the insert was stored. `row` is the record's
 * index in the insert (from 0) when the server named it.
 */
export class BadRecord extends Schema.TaggedError<BadRecord>()("BadRecord", {
  ...Answer,
  row: Schema.optionalKey(Schema.Int)
}) {
  readonly failureClass: FailureClass = "defect"
  override get message(): string {
    const where = this.row === undefined ? "a record" : `record ${this.row} of the insert`
    return `ClickHouse cannot read ${where} (${answer(this)}). Nothing of the insert was stored.`
  }
}

/**
 * The insert came later than its plan allows, and the server refused it; nothing of it was stored now, but an earlier try of
 * the same plan may have been. Commit the same plan again, which proves ownership, and insert with the new `plannedAt`.
 */
export class PlanTooOld extends Schema.TaggedError<PlanTooOld>()("PlanTooOld", {
  table: Schema.String,
  plannedAt: Schema.Finite,
  deadlineMs: Schema.Finite
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `The insert into ${this.table} reached the server more than ${this.deadlineMs} ms after it was planned and was refused. The plan is confirmed and the insert repeated; if this stays, compare the clocks of this machine and the server.`
  }
}

/**
 * The table was dropped and made anew since it was prepared, and the server refused the insert; nothing of it was stored. The
 * position in the topic does not count for the new table.
 */
export class TableReplaced extends Schema.TaggedError<TableReplaced>()("TableReplaced", { table: Schema.String }) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `The table ${this.table} was dropped and made anew while it was loaded. It is loaded again from what its topic still has.`
  }
}

/** Another process uses the data directory. */
export class DirectoryInUse extends Schema.TaggedError<DirectoryInUse>()("DirectoryInUse", {
  directory: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The data directory ${this.directory} is in use by another process. Stop that one, or choose another directory with --data.`
  }
}

/** Another program listens on the port that was asked for. */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", { port: Schema.Int }) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `Port ${this.port} on 127.0.0.1 is in use by another program. Stop that one, or choose another port, or leave the port out to have a free one chosen.`
  }
}

/** The embedded server has no library for this machine. */
export class EngineMissing extends Schema.TaggedError<EngineMissing>()("EngineMissing", {
  platform: Schema.String,
  detail: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The embedded ClickHouse does not run here (${this.platform}): ${this.detail} It needs Linux with glibc, or macOS, on x64 or arm64, and the optional packages of npm installed. Elsewhere give the address of a ClickHouse server.`
  }
}

/** The embedded server ended while it started. `lastLines` is what it wrote to stderr. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  directory: Schema.String,
  detail: Schema.String,
  lastLines: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `The embedded ClickHouse in ${this.directory} did not start: ${this.detail}${this.lastLines === "" ? "" : ` Its last words: ${this.lastLines}`}`
  }
}

/** A fault of this program, or an answer that no rule knows. */
export class Unexpected extends Schema.TaggedError<Unexpected>()("Unexpected", Answer) {
  readonly failureClass: FailureClass = "defect"
  override get message(): string {
    return `ClickHouse refused a request of this program (${answer(this)}). This is a fault of the program, or the server's version is not supported (24.8 or later is).`
  }
}

/** The only error of the warehouse; `reason` says what happened. */
export class WarehouseError extends Schema.TaggedError<WarehouseError>()("WarehouseError", {
  /** What was tried: `insert into shop.orders`, `query`. */
  action: Schema.String,
  reason: Schema.Union([
    Unavailable,
    Busy,
    OutOfMemory,
    NoSpace,
    Misconfigured,
    BadRecord,
    PlanTooOld,
    TableReplaced,
    DirectoryInUse,
    PortInUse,
    EngineMissing,
    ServerFailed,
    Unexpected
  ])
}) {
  get failureClass(): FailureClass {
    return this.reason.failureClass
  }
  override get message(): string {
    return `${this.action}: ${this.reason.message}`
  }
}
