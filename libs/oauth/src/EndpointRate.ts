import type { Rate } from "@tributary/vault"
import { Config, Duration, Option, Schema } from "effect"

const form = /^\s*(?<requests>[1-9]\d{0,8})\s+per\s+(?<per>\S.*?)\s*$/u

const parse = (text: string): Rate | undefined => {
  const { per = "", requests = "" } = form.exec(text)?.groups ?? {}
  // "minute" stands for "1 minute".
  const duration = /^[a-z]/u.test(per) ? `1 ${per}` : per
  const span = Option.getOrUndefined(Schema.decodeOption(Schema.DurationFromString)(duration))
  if (requests === "" || span === undefined || !Duration.isFinite(span) || Duration.toMillis(span) < 1) return undefined
  return { requests: Number(requests), per: span }
}

const RateText = Schema.String.check(
  Schema.makeFilter((text) => text.trim() === "" || parse(text) !== undefined, {
    expected: 'a rate such as "600 per 1 minute"'
  })
)

/**
 * `TRIBUTARY_OAUTH_RATE`: the largest rate of token requests to one token endpoint, as `600 per 1 minute`. All processes with the
 * same Redis keep it together.
 */
export const endpointRate: Config.Config<Option.Option<Rate>> = Config.option(
  Config.schema(RateText, "TRIBUTARY_OAUTH_RATE")
).pipe(Config.map(Option.flatMap((text) => Option.fromUndefinedOr(parse(text)))))

/** A rate as it is shown. */
export const formatRate = ({ per, requests }: Rate): string => `${requests} token requests per ${Duration.format(per)}`

/** Requests that left in order may arrive so much closer together, in milliseconds, and by this part of the period. */
const drift = 250
const driftPart = 0.05

/**
 * The rate at which requests leave so that they arrive at no greater one than this: the way of each takes its own time, and the
 * server counts when they arrive.
 */
export const asSent = ({ per, requests }: Rate): Rate => ({
  requests,
  per: Duration.millis(Duration.toMillis(per) * (1 + driftPart) + drift)
})
