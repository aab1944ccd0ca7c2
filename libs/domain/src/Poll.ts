import { Cron, DateTime, Duration, Option, Result, Schema } from "effect"

/** When a stream is read. */
export type PollTimes =
  | { readonly _tag: "Every"; readonly interval: Duration.Duration }
  | { readonly _tag: "Cron"; readonly cron: Cron.Cron }

const zonePattern = /^(UTC|GMT|Z|[+-]\d\d:\d\d|[A-Za-z][\w+-]*(\/[A-Za-z0-9_+-]+)+)$/u
const decodeDuration = Schema.decodeUnknownOption(Schema.DurationFromString)
const shortest = Duration.millis(1)

/** A year before a leap year; times that come at all come within eight years of it. */
const start = DateTime.makeUnsafe("2027-01-01T00:00:00Z")

/** Whether there is such a time: not on the 30th of February. */
const comes = (cron: Cron.Cron): boolean => Option.isSome(Option.liftThrowable(() => Cron.next(cron, start))())

/** Reads a poll; the failure is advice, in one sentence. Without a time zone a cron expression is in UTC. */
export const readPoll = (text: string): Result.Result<PollTimes, string> => {
  const [kind = "", ...words] = text.trim().split(/\s+/u)
  if (kind === "every") {
    const interval = decodeDuration(words.join(" "))
    if (Option.isNone(interval) || !Duration.isFinite(interval.value)) {
      return Result.fail("After `every` comes a duration, as in every 30 seconds.")
    }
    return Duration.isLessThan(interval.value, shortest)
      ? Result.fail("The interval must be at least 1 milli.")
      : Result.succeed({ _tag: "Every", interval: interval.value })
  }
  if (kind !== "cron") {
    return Result.fail(
      /^\d/u.test(kind) ? `Write every ${text.trim()}.` : "Write every 1 minute, or cron 0 3 * * * Europe/Berlin."
    )
  }
  const last = words.at(-1) ?? ""
  const hasZone = words.length > 6 || (words.length > 1 && zonePattern.test(last))
  const fields = hasZone ? words.slice(0, -1) : words
  if (fields.length !== 5 && fields.length !== 6) {
    return Result.fail(
      `A cron expression has 5 fields (minute, hour, day, month, weekday), or 6 with seconds first; here are ${fields.length}.`
    )
  }
  const zone = DateTime.zoneFromString(hasZone ? last : "UTC")
  if (Option.isNone(zone)) return Result.fail(`${last} is not a time zone; write one such as Europe/Berlin or UTC.`)
  return Cron.parse(fields.join(" "), zone.value).pipe(
    Result.mapError((error) => `${error.message}${error.input === undefined ? "" : `: ${error.input}`}.`),
    Result.flatMap((cron) =>
      comes(cron)
        ? Result.succeed({ _tag: "Cron" as const, cron })
        : Result.fail("This time never comes; correct the day of the month or the month.")
    )
  )
}

/** Reads the poll of a decoded connector; a text that the `Poll` schema refuses is a defect. */
export const parsePoll = (poll: string): PollTimes =>
  Result.getOrThrowWith(readPoll(poll), (advice) => new TypeError(`Not a poll: ${poll}. ${advice}`))
