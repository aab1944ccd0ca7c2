import { Log, LogError, LogUnavailable } from "@tributary/log"
import { Duration, Effect, Layer, Schedule } from "effect"

const longestDelay = Duration.seconds(10)
const again = Schedule.exponential("500 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestDelay))),
  Schedule.jittered
)

/**
 * A log that is there at once: as long as `real` cannot be made (no broker answers, or they refuse this process) every call fails
 * with the reason, and it is tried again. So a server that answers requests can say what is wrong with it.
 */
export const lateLog = <R>(real: Layer.Layer<Log, LogError, R>): Layer.Layer<Log, never, R> =>
  Layer.effect(
    Log,
    Effect.gen(function* () {
      let log: Log["Service"] | undefined
      let problem = new LogError({ reason: new LogUnavailable({ cause: new Error("the service has just started") }) })
      const making = Effect.gen(function* () {
        log = yield* Log
        return yield* Effect.never
      }).pipe(
        Effect.provide(real),
        // It is no reason for the server to say nothing.
        Effect.catchDefect((cause) => Effect.fail(new LogError({ reason: new LogUnavailable({ cause }) }))),
        Effect.tapError((error) => {
          const isNews = error.message !== problem.message
          problem = error
          return isNews ? Effect.logError(`${error.message} The service goes on when that is mended.`) : Effect.void
        }),
        Effect.retry(again)
      )
      yield* Effect.forkScoped(making)
      const through = <A, E, R>(
        call: (log: Log["Service"]) => Effect.Effect<A, E, R>
      ): Effect.Effect<A, E | LogError, R> =>
        Effect.suspend((): Effect.Effect<A, E | LogError, R> => (log === undefined ? Effect.fail(problem) : call(log)))
      return Log.of({
        ensureTopic: (spec) => through((to) => to.ensureTopic(spec)),
        deleteTopic: (name) => through((to) => to.deleteTopic(name)),
        topics: through((to) => to.topics),
        offsets: (topic) => through((to) => to.offsets(topic)),
        publish: (records) => through((to) => to.publish(records)),
        producer: (id) => through((to) => to.producer(id)),
        read: (...place) => through((to) => to.read(...place)),
        latest: (topic, key) => through((to) => to.latest(topic, key)),
        consume: (options, work) => through((to) => to.consume(options, work)),
        positions: (group) => through((to) => to.positions(group))
      })
    })
  )
