import { type GaveUp, Status } from "@tributary/telemetry"
import { Clock, Effect, Fiber, Schema } from "effect"
import { loadConnectors } from "./ConnectorFiles.ts"
import { noteProblems } from "./FileProblems.ts"
import { bytes, count, duration, printable } from "./Format.ts"
import { oddMarks } from "./Marks.ts"
import { noticeLines } from "./Notices.ts"
import { runConnectorOnce } from "./Pipeline.ts"
import { showProgress, summaryTable, totalsOf } from "./Progress.ts"
import { watchRejections } from "./Rejections.ts"
import { Screen } from "./Screen.ts"
import { publishStatus } from "./StatusTopic.ts"

export interface RunOptions {
  /** Folder with connector files, or one file. */
  readonly connectors: string
  readonly json: boolean
}

/** Not everything that was asked for was done; what and why has been printed. */
export class RunFailed extends Schema.TaggedError<RunFailed>()("RunFailed", {
  rejected: Schema.Natural,
  failed: Schema.Natural,
  files: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    const parts = [
      ...(this.files === 0 ? [] : [`${count(this.files)} problem(s) in connector files`]),
      ...(this.failed === 0 ? [] : [`${count(this.failed)} stage(s) gave up`]),
      ...(this.rejected === 0
        ? []
        : [`${count(this.rejected)} record(s) rejected; see the dead.* topics (tributary tap)`])
    ]
    return `The run did not succeed: ${parts.join(", ")}.`
  }
}

/** Shows what is wrong with the files; fails when there is nothing to run. For a command that does not wait for better files. */
export const requireConnectors = Effect.fn("cli.requireConnectors")(function* (connectors: string) {
  const loaded = yield* loadConnectors(connectors)
  if (loaded.connectors.length > 0) return
  yield* noteProblems(loaded)
  return yield* new RunFailed({ rejected: 0, failed: 0, files: loaded.problems.length })
})

/** Reads everything there is, loads it, and prints what was done. Fails when anything was rejected or failed. */
export const runOnce = Effect.fn("cli.runOnce")(function* (options: RunOptions) {
  const screen = yield* Screen
  const status = yield* Status
  const startedAt = yield* Clock.currentTimeMillis
  const loaded = yield* loadConnectors(options.connectors)
  yield* noteProblems(loaded)
  const rejections = yield* watchRejections(loaded.connectors)
  const publisher = yield* Effect.forkChild(publishStatus(undefined))
  const progress = yield* Effect.forkChild(showProgress(() => loaded.connectors, false))
  const problems: ReadonlyArray<GaveUp> = (yield* Effect.forEach(loaded.connectors, runConnectorOnce, {
    concurrency: "unbounded"
  })).flat()
  // Waits for the last status to be written.
  yield* Fiber.interruptAll([progress, publisher])
  yield* screen.progress("")

  const snapshot = yield* status.snapshot
  const endedAt = yield* Clock.currentTimeMillis
  const totals = totalsOf(snapshot, endedAt)
  const elapsed = endedAt - startedAt
  const rejected = totals.rejected === 0 ? [] : yield* rejections.since
  const marks = oddMarks(loaded.connectors, snapshot)
  if (options.json) {
    yield* screen.print(
      JSON.stringify({
        ...totals,
        elapsedMs: elapsed,
        fileProblems: loaded.problems.length,
        rejections: rejected,
        status: snapshot
      })
    )
  } else if (totals.read + totals.loaded + totals.rejected + problems.length === 0) {
    yield* screen.print(
      `Nothing new: ${count(totals.streams)} stream(s) asked or not yet due, everything read is loaded (${duration(elapsed)}).`
    )
  } else {
    yield* screen.print(summaryTable(snapshot))
    yield* screen.print(
      `${count(totals.read)} record${totals.read === 1 ? "" : "s"} (${bytes(totals.bytes)}) in ${duration(elapsed)}, ` +
        `${count((totals.read * 1_000) / Math.max(1, elapsed))} records/s`
    )
    for (const { reason, rejected: found, stream, topic } of rejected) {
      yield* screen.print(
        `\n${stream}: ${count(found)} record${found === 1 ? "" : "s"} rejected, the first because: ${printable(reason)}\n` +
          `  All of them: tributary tap ${topic} --last ${found}`
      )
    }
    for (const { sentence, stream } of marks) yield* screen.print(`\n${stream}: ${printable(sentence)}`)
    for (const line of noticeLines(snapshot)) yield* screen.print(`\n${line}`)
    for (const { message, stage, stream } of totals.problems) {
      // The messages of most stages name their stream.
      yield* screen.print(`\n${message.startsWith(`${stream}:`) ? "" : `${stream}: `}${message} (${stage})`)
    }
  }
  if (problems.length + totals.rejected + loaded.problems.length > 0) {
    return yield* new RunFailed({
      rejected: totals.rejected,
      failed: problems.length,
      files: loaded.problems.length
    })
  }
})
