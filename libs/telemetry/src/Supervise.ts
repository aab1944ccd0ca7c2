import { Cause, Clock, Effect, Option, Random, Schema } from "effect"
import { FailureClass } from "@tributary/domain"
import type { Reporter } from "./Status.ts"

/** What every error of the platform says of itself. */
export interface Classified {
  readonly message: string
  readonly failureClass: FailureClass
}

/** Work that is not tried again: the class of the last failure and what it said. */
export class GaveUp extends Schema.TaggedError<GaveUp>()("GaveUp", {
  failureClass: FailureClass,
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

export interface SuperviseOptions {
  /** Fail with `GaveUp` where a service that stays would pause, and after six failures in a row or 45 seconds of passing ones. */
  readonly once: boolean
  /** Ends when a person may have given the consent that the work failed for, and it is worth being tried again. Default: never. */
  readonly consented?: Effect.Effect<void>
}

const firstDelay = 250
const longestDelay = 30_000
/** A paused stage looks again this often: what was wrong outside (a table, a permission, a server) may have been mended. */
const pausedDelay = 60_000
/** Work that went on this long without a failure starts to count failures anew. */
const healthyAfter = 60_000
const defectBudget = 5
const onceBudget = 5
/** Work that has to end is not tried again when it has failed, and has not come forward, for so long; its own tries took that time. */
const onceLongest = 45_000

const asDefect = (cause: Cause.Cause<unknown>): Classified => {
  // Our own interruption ends this fiber at once, so whoever interrupted the work was another.
  if (Cause.hasInterruptsOnly(cause)) {
    return { failureClass: "defect", message: "The work was interrupted, though nobody asked this stage to stop." }
  }
  const squashed = Cause.squash(cause)
  return { failureClass: "defect", message: squashed instanceof Error ? String(squashed) : Cause.pretty(cause) }
}

/**
 * The one policy for failures (DESIGN.md, promise 5). Runs `work` and, when it fails, does what the failure's class asks for:
 * transient and throttled are tried again with jittered back-off, misconfigured and needs-consent pause (the latter until a person
 * has consented), a defect restarts
 * within a budget and then pauses. Every step is reported; `work` must be safe to run again from its last commit.
 */
export const supervise = Effect.fnUntraced(function* <A, E extends Classified, R>(
  reporter: Reporter,
  work: Effect.Effect<A, E, R>,
  options: SuperviseOptions
): Effect.fn.Return<A, GaveUp, R> {
  let failures = 0
  let defects = 0
  let failingSince: number | undefined
  for (;;) {
    const startedAt = yield* Clock.currentTimeMillis
    const before = yield* reporter.batches
    const exit = yield* Effect.exit(work)
    if (exit._tag === "Success") return exit.value
    const typed = Cause.findErrorOption(exit.cause)
    const problem: Classified = Option.isSome(typed) ? typed.value : asDefect(exit.cause)
    // One that has to end is healthy only if it came forward: tries that take long and fail are no progress.
    const isHealthy = (yield* Clock.currentTimeMillis) - startedAt > healthyAfter
    const cameForward = (yield* reporter.batches) > before
    if (isHealthy && (!options.once || cameForward)) failures = defects = 0
    failures++
    const failedAt = yield* Clock.currentTimeMillis
    failingSince = cameForward ? failedAt : (failingSince ?? startedAt)
    const isLong = problem.failureClass === "transient" && failedAt - failingSince >= onceLongest
    if (problem.failureClass === "defect") defects++

    const paused =
      problem.failureClass === "misconfigured" || problem.failureClass === "needs-consent" || defects > defectBudget
    const gaveUp = options.once && (paused || failures > onceBudget || isLong)
    const isFinal = gaveUp || problem.failureClass === "needs-consent"
    const backOff = Math.min(firstDelay * 2 ** (failures - 1), longestDelay) * (0.5 + (yield* Random.next))
    const delay = Math.round(paused ? pausedDelay : backOff)
    yield* reporter.state(paused || gaveUp ? "paused" : "retrying", {
      problem: { class: problem.failureClass, message: problem.message },
      ...(isFinal ? {} : { nextAt: (yield* Clock.currentTimeMillis) + delay })
    })
    yield* (paused || gaveUp ? Effect.logError : Effect.logWarning)(
      problem.message,
      ...(problem.failureClass === "defect" ? [exit.cause] : [])
    ).pipe(Effect.annotateLogs({ failure: problem.failureClass, attempt: failures }))
    if (gaveUp) return yield* new GaveUp({ failureClass: problem.failureClass, problem: problem.message })
    if (isFinal) {
      if (options.consented === undefined) return yield* Effect.never
      yield* options.consented
      failures = defects = 0
      yield* Effect.logInfo("Consent was given; the work goes on where it stopped.")
      yield* reporter.restarted
      continue
    }
    yield* Effect.sleep(delay)
    yield* reporter.restarted
  }
})
