import { LogUnanswered } from "@tributary/domain/control"
import { LogError } from "@tributary/log"
import { Duration, Effect } from "effect"

const patience = Duration.seconds(15)

/** Waits for the log, at most 15 seconds; `late` is what a request is told then. */
export const answered =
  (late: string) =>
  <A, E, R>(work: Effect.Effect<A, E | LogError, R>): Effect.Effect<A, Exclude<E, LogError> | LogUnanswered, R> =>
    work.pipe(
      Effect.catchIf(
        (error): error is LogError => error instanceof LogError,
        ({ message }) => Effect.fail(new LogUnanswered({ message }))
      ),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () =>
          Effect.fail(
            new LogUnanswered({ message: `The log did not answer within ${Duration.format(patience)}. ${late}` })
          )
      })
    )
