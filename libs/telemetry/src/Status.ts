import { Clock, Context, Effect, Layer, PubSub, Schema, type Scope } from "effect"
import { FailureClass } from "@tributary/domain"

/** What went wrong last, as a person should read it. */
export const Problem = Schema.Struct({
  class: FailureClass,
  message: Schema.String,
  /** Milliseconds since 1970. */
  at: Schema.Finite
})
export type Problem = typeof Problem.Type

/**
 * - `starting`: not at work yet.
 * - `running`: at work.
 * - `waiting`: nothing to do until `nextAt` or until something arrives.
 * - `retrying`: failed for a passing reason, tries again.
 * - `paused`: needs a person; position kept.
 * - `done`: has read everything there was (only with `run --once`).
 */
export const State = Schema.Literals(["starting", "running", "waiting", "retrying", "paused", "done"])
export type State = typeof State.Type

const Count = Schema.Natural
/** A counter that versions before did not have. */
const Counted = Count.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))

/** What one stage does for one stream, counted since the process started. Times are milliseconds since 1970. */
export const StageStatus = Schema.Struct({
  state: State,
  problem: Schema.NullOr(Problem),
  /** Records read (source), consumed (transform) or inserted (sink). */
  records: Count,
  /** Bytes of response bodies (source) or of record values (transform, sink). */
  bytes: Count,
  /** Records sent to the dead-letter topic. */
  rejected: Count,
  /** Pages (source), transactions (transform) or inserts (sink). */
  batches: Count,
  /** Records read again unchanged and not published (source only). */
  skipped: Count,
  /** Of the source's records: those without a usable value in `incremental.field`, and those with a time that is too far ahead. */
  unmarked: Counted,
  ahead: Counted,
  /** Records older than what was asked for and published all the same (source only): the API ignores or rounds `incremental.param`. */
  unasked: Counted,
  restarts: Count,
  lastAt: Schema.NullOr(Schema.Finite),
  /** When a stage that waits, retries or is paused goes on by itself. */
  nextAt: Schema.NullOr(Schema.Finite),
  /** Sink only: age of the oldest record of the last insert when it became queryable, counted from its publication, in ms. */
  freshness: Schema.NullOr(Schema.Finite)
})
export type StageStatus = typeof StageStatus.Type

export const Stage = Schema.Literals(["source", "transform", "sink"])
export type Stage = typeof Stage.Type

/** What a person should know of a connector while it works, or why it does not. */
export const Notice = Schema.Struct({
  /** What it is about; a connector has one notice of a kind. */
  kind: Schema.String,
  message: Schema.String,
  /** Milliseconds since 1970. */
  at: Schema.Finite
})
export type Notice = typeof Notice.Type

/** State of a stream over all its stages; the value of `_tributary.status`, keyed `connector/stream`. */
export const StreamStatus = Schema.Struct({
  connector: Schema.String,
  stream: Schema.String,
  stages: Schema.Struct({
    source: Schema.optionalKey(StageStatus),
    transform: Schema.optionalKey(StageStatus),
    sink: Schema.optionalKey(StageStatus)
  }),
  /** Of the stream's connector. */
  notices: Schema.optionalKey(Schema.Array(Notice))
})
export type StreamStatus = typeof StreamStatus.Type

/** A stage that has done nothing yet. */
export const initialStatus: StageStatus = {
  state: "starting",
  problem: null,
  records: 0,
  bytes: 0,
  rejected: 0,
  batches: 0,
  skipped: 0,
  unmarked: 0,
  ahead: 0,
  unasked: 0,
  restarts: 0,
  lastAt: null,
  nextAt: null,
  freshness: null
}

/** What a batch adds to the counters. */
export interface Progress {
  readonly records: number
  readonly bytes: number
  readonly rejected?: number
  readonly skipped?: number
  readonly unmarked?: number
  readonly ahead?: number
  readonly unasked?: number
  readonly freshness?: number
}

/** Reports of one stage of one stream. All calls are cheap; they are made per batch, never per record. */
export interface Reporter {
  /** A batch is durable. */
  readonly progress: (progress: Progress) => Effect.Effect<void>
  /** The state changed; the last problem is forgotten unless one is given. */
  readonly state: (
    state: State,
    detail?: { readonly problem?: { readonly class: FailureClass; readonly message: string }; readonly nextAt?: number }
  ) => Effect.Effect<void>
  readonly restarted: Effect.Effect<void>
  /** Batches reported so far. */
  readonly batches: Effect.Effect<number>
}

/** What every stream of this process is doing, for progress lines, `tributary status` and the exit code. */
export class Status extends Context.Service<
  Status,
  {
    readonly reporter: (connector: string, stream: string, stage: Stage) => Effect.Effect<Reporter>
    readonly snapshot: Effect.Effect<ReadonlyArray<StreamStatus>>
    readonly forget: (connector: string) => Effect.Effect<void>
    /** Puts up a notice of a connector, or takes that of the kind down. */
    readonly notice: (connector: string, kind: string, message: string | undefined) => Effect.Effect<void>
    /** One element for each change that was made since the last one was taken. */
    readonly changes: Effect.Effect<PubSub.Subscription<void>, never, Scope.Scope>
  }
>()("@tributary/telemetry/Status") {
  static readonly layer = Layer.effect(
    Status,
    Effect.gen(function* () {
      const streams = new Map<string, { connector: string; stream: string; stages: Map<Stage, StageStatus> }>()
      const notices = new Map<string, ReadonlyArray<Notice>>()
      const changed = yield* PubSub.sliding<void>(1)

      const reporter = Effect.fnUntraced(function* (connector: string, stream: string, stage: Stage) {
        const key = `${connector}/${stream}`
        const entry = streams.get(key) ?? { connector, stream, stages: new Map<Stage, StageStatus>() }
        streams.set(key, entry)
        entry.stages.set(stage, initialStatus)
        const update = (change: (status: StageStatus, now: number) => StageStatus) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            entry.stages.set(stage, change(entry.stages.get(stage) ?? initialStatus, now))
            return Effect.asVoid(PubSub.publish(changed, undefined))
          })
        yield* update((status) => status)
        return {
          progress: (progress) =>
            update((status, now) => ({
              ...status,
              records: status.records + progress.records,
              bytes: status.bytes + progress.bytes,
              rejected: status.rejected + (progress.rejected ?? 0),
              skipped: status.skipped + (progress.skipped ?? 0),
              unmarked: status.unmarked + (progress.unmarked ?? 0),
              ahead: status.ahead + (progress.ahead ?? 0),
              unasked: status.unasked + (progress.unasked ?? 0),
              batches: status.batches + 1,
              lastAt: now,
              freshness: progress.freshness ?? status.freshness
            })),
          state: (state, detail) =>
            update((status, now) => ({
              ...status,
              state,
              problem: detail?.problem === undefined ? null : { ...detail.problem, at: now },
              nextAt: detail?.nextAt ?? null
            })),
          restarted: update((status) => ({ ...status, restarts: status.restarts + 1 })),
          batches: Effect.sync(() => entry.stages.get(stage)?.batches ?? 0)
        } satisfies Reporter
      })

      return Status.of({
        reporter,
        snapshot: Effect.sync(() =>
          [...streams.values()].map(({ connector, stream, stages }) => {
            const status = { connector, stream, stages: Object.fromEntries(stages) }
            const known = notices.get(connector)
            return known === undefined ? status : Object.assign(status, { notices: known })
          })
        ),
        notice: (connector, kind, message) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            const known = notices.get(connector) ?? []
            const one = known.find((notice) => notice.kind === kind)
            // What is up, or down, already is no change.
            if (one?.message === message) return Effect.void
            const others = known.filter((notice) => notice !== one)
            const all = message === undefined ? others : [...others, { kind, message, at }]
            if (all.length === 0) notices.delete(connector)
            else notices.set(connector, all)
            return Effect.asVoid(PubSub.publish(changed, undefined))
          }),
        forget: (connector) =>
          Effect.sync(() => {
            for (const [key, entry] of streams) if (entry.connector === connector) streams.delete(key)
            notices.delete(connector)
          }),
        changes: PubSub.subscribe(changed)
      })
    })
  )
}
