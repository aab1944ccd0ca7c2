import { Config, Duration, Effect, Schedule } from "effect"
import { PlaceError } from "./PlaceError.ts"

/** A setting that cannot be read. */
export const wrongSetting = (error: Config.ConfigError): PlaceError =>
  new PlaceError({ place: "Settings", problem: error.message, failureClass: "misconfigured" })

/** Longest time for one question to a store of secrets or a keeper of keys, repetitions included. */
export const placeTimeout = Config.Duration("TRIBUTARY_SECRETS_TIMEOUT").pipe(
  Config.withDefault(Duration.seconds(10)),
  Effect.mapError(wrongSetting)
)

/** After about 0.2 and 0.4 seconds. A place that is down longer is asked again by whoever needs it. */
const again = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

/** Repeats what may pass, and ends after `duration` at the latest. For questions that change nothing. */
export const limited =
  (place: string, duration: Duration.Duration) =>
  <A, R>(question: Effect.Effect<A, PlaceError, R>): Effect.Effect<A, PlaceError, R> =>
    question.pipe(
      Effect.retry({ schedule: again, while: (error) => error.failureClass !== "misconfigured" }),
      Effect.timeoutOrElse({
        duration,
        orElse: () =>
          Effect.fail(
            new PlaceError({
              place,
              problem: `no answer within ${Duration.format(duration)}. It is tried again; check the address and the network.`,
              failureClass: "transient"
            })
          )
      })
    )
