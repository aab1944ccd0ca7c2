import { Clock, type Duration, Effect, Ref } from "effect"
import { describeFault, type Fault } from "./FaultPlan.ts"
import { behind } from "./InSync.ts"
import type { Server, Servers } from "./Servers.ts"
import type { Worker } from "@tributary/load"

/** What was done, and when: milliseconds since 1970. */
export interface Action {
  readonly at: number
  readonly what: string
  /** Whether it was left out, as its target was away already. */
  readonly skipped: boolean
}

export interface FaultTargets {
  readonly servers: Servers
  readonly workers: ReadonlyArray<Worker>
  readonly say: (line: string) => Effect.Effect<void>
}

/** How long a broker that is to be killed waits for the others to catch up. */
const longestWait = "45 seconds"
/** How often a server that does not start is started again. */
const startTries = 3

/** Waits until all replicas are in sync; `false` when that takes too long. */
export const awaitInSync = (brokers: ReadonlyArray<string>, longest: Duration.Input) =>
  Effect.gen(function* () {
    for (;;) {
      const late = yield* Effect.orElseSucceed(behind(brokers), () => ["unknown"])
      if (late.length === 0) return true
      yield* Effect.sleep("500 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: longest, orElse: () => Effect.succeed(false) }))

const startAgain = (server: Server) => Effect.retry(server.start, { times: startTries })

/**
 * Does what the plan says, each fault at its time, and returns what was done once everything runs again: what was frozen goes
 * on and what was killed has been started. That holds when it is interrupted, too.
 */
export const makeFaults = Effect.fn("chaos.faults")(function* (plan: ReadonlyArray<Fault>, targets: FaultTargets) {
  const { say, servers, workers } = targets
  const actions = yield* Ref.make<ReadonlyArray<Action>>([])
  const begun = yield* Clock.currentTimeMillis
  const note = Effect.fnUntraced(function* (what: string, skipped: boolean) {
    const at = yield* Clock.currentTimeMillis
    yield* Ref.update(actions, (all) => [...all, { at, what, skipped }])
    yield* say(skipped ? `left out: ${what}` : what)
  })
  const named = <A extends { readonly name: string }>(all: ReadonlyArray<A>, names: ReadonlyArray<string>) =>
    all.filter(({ name }) => names.includes(name))

  const carryOut = Effect.fnUntraced(function* (fault: Fault) {
    const chosen = named(workers, fault.targets)
    const what = describeFault(fault)
    switch (fault.kind) {
      case "kill": {
        const killed = yield* Effect.forEach(chosen, (worker) => worker.kill9)
        return yield* note(what, !killed.includes(true))
      }
      case "freeze":
        return yield* Effect.acquireUseRelease(
          Effect.forEach(chosen, (worker) => worker.freeze),
          (frozen) => Effect.andThen(note(what, !frozen.includes(true)), Effect.sleep(fault.lasts)),
          () => Effect.forEach(chosen, (worker) => worker.thaw, { discard: true })
        )
      case "outage": {
        const broker = named(servers.kafka, fault.targets)[0]
        const server = broker ?? named(servers.others, fault.targets)[0]
        if (server === undefined) return
        if (broker !== undefined && !(yield* awaitInSync(servers.brokers, longestWait))) return yield* note(what, true)
        return yield* Effect.acquireUseRelease(
          server.kill9,
          () => Effect.andThen(note(what, false), Effect.sleep(fault.lasts)),
          () => startAgain(server)
        )
      }
    }
  })

  yield* Effect.forEach(
    plan,
    (fault) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        yield* Effect.sleep(Math.max(0, begun + fault.at - now))
        yield* carryOut(fault)
      }),
    { concurrency: "unbounded", discard: true }
  )
  return yield* Ref.get(actions)
})
