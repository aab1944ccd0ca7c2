import { Cause, Context, Deferred, Duration, Effect, type Fiber, Layer, Ref, Schema, type Scope } from "effect"

/** What a check found; `detail` says it in words, for a person. */
export const HealthResult = Schema.Struct({ status: Schema.Literals(["ok", "failing"]), detail: Schema.String })
export type HealthResult = typeof HealthResult.Type

/** A process as a whole: failing as soon as one check is. The body of `/readyz`. */
export const HealthReport = Schema.Struct({
  status: Schema.Literals(["ok", "failing"]),
  checks: Schema.Record(Schema.String, HealthResult)
})
export type HealthReport = typeof HealthReport.Type

/** A check that takes longer is failing, whatever it would say in the end. */
const patience = Duration.seconds(2)

const overdue: HealthResult = { status: "failing", detail: `no answer within ${Duration.format(patience)}` }
const stopped: HealthResult = { status: "failing", detail: "the check was stopped" }
const broken: HealthResult = { status: "failing", detail: "the check failed itself; the log says how" }

interface Check {
  readonly run: Effect.Effect<HealthResult>
  /** The answer that is under way: probes that come meanwhile wait for the same one, so a check that hangs piles nothing up. */
  answer: Deferred.Deferred<HealthResult> | undefined
  fiber: Fiber.Fiber<void> | undefined
}

/**
 * Health of this process: checks of what it works with, for readiness, and what ended it, for liveness. A process that is not
 * ready may become so by itself; one that is not alive has to be started anew.
 */
export class Health extends Context.Service<
  Health,
  {
    /** Adds a check, for as long as the scope is open. One registered later under the same name takes its place. */
    readonly register: (name: string, check: Effect.Effect<HealthResult>) => Effect.Effect<void, never, Scope.Scope>
    /** Declares the process dead, for ever; the first reason stays. For what no restart of a part mends. */
    readonly fail: (reason: string) => Effect.Effect<void>
    /** Why the process is dead; `undefined` while it lives. */
    readonly failure: Effect.Effect<string | undefined>
    /** Runs all checks at the same time; takes at most 2 seconds. Without any check a process that lives is ready. */
    readonly snapshot: Effect.Effect<HealthReport>
    /** Connectors whose sources run here; whoever starts and stops them writes it. */
    readonly owned: Ref.Ref<ReadonlyArray<string>>
  }
>()("@tributary/telemetry/Health") {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const checks = new Map<string, Check>()
      const owned = yield* Ref.make<ReadonlyArray<string>>([])
      let failure: string | undefined

      const started = Effect.fnUntraced(function* (name: string, check: Check) {
        const answer = Deferred.makeUnsafe<HealthResult>()
        check.answer = answer
        check.fiber = yield* Effect.forkDetach(
          check.run.pipe(
            Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(overdue) }),
            Effect.catchCause((cause) =>
              Effect.as(
                Effect.logWarning(`The health check ${name} failed itself.`, cause),
                Cause.hasInterruptsOnly(cause) ? stopped : broken
              )
            ),
            Effect.onExit((exit) =>
              Effect.suspend(() => {
                check.answer = undefined
                return Deferred.succeed(answer, exit._tag === "Success" ? exit.value : stopped)
              })
            ),
            Effect.asVoid
          )
        )
        return answer
      }, Effect.uninterruptible)

      const answerOf = Effect.fnUntraced(function* (name: string, check: Check) {
        const answer = check.answer ?? (yield* started(name, check))
        // A check may not let itself be interrupted; whoever asks gets an answer in time nevertheless.
        return yield* Deferred.await(answer).pipe(
          Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(overdue) })
        )
      })

      return Health.of({
        register: (name, run) =>
          Effect.asVoid(
            Effect.acquireRelease(
              Effect.sync(() => {
                const check: Check = { run, answer: undefined, fiber: undefined }
                checks.set(name, check)
                return check
              }),
              (check) =>
                Effect.sync(() => {
                  if (checks.get(name) === check) checks.delete(name)
                  check.fiber?.interruptUnsafe()
                })
            )
          ),
        fail: (reason) =>
          Effect.suspend(() => {
            if (failure !== undefined) return Effect.void
            failure = reason
            return Effect.logError(`This process cannot go on and has to be started anew: ${reason}`)
          }),
        failure: Effect.sync(() => failure),
        snapshot: Effect.gen(function* () {
          const answers = yield* Effect.forEach(
            [...checks],
            ([name, check]) => Effect.map(answerOf(name, check), (answer) => [name, answer] as const),
            { concurrency: "unbounded" }
          )
          const all: ReadonlyArray<readonly [string, HealthResult]> =
            failure === undefined ? answers : [...answers, ["process", { status: "failing", detail: failure }]]
          return {
            status: all.every(([, { status }]) => status === "ok") ? "ok" : "failing",
            checks: Object.fromEntries(all)
          } satisfies HealthReport
        }).pipe(Effect.withSpan("Health.snapshot")),
        owned
      })
    })
  )
}
