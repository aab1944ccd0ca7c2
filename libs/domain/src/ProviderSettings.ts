import { Schema } from "effect"
import { optional, required } from "./Setting.ts"
import { Positive, PositiveDuration, Text } from "./SettingType.ts"

const AnswerPath = Text.annotate({
  title: "place in an answer",
  expected: "names joined by dots, as in authed_user.access_token"
})
const Places = Schema.Array(AnswerPath)
  .check(Schema.isMinLength(1))
  .annotate({ expected: "a list of places, as in [data.token]" })

/** What a server's answers do that cannot be seen from the answers alone. */
export const Quirks = Schema.Struct({
  access_token: Places.pipe(
    optional("Where the access token stands, before the usual places.", ["authed_user.access_token"])
  ),
  refresh_token: Places.pipe(
    optional("Where the refresh token stands, before the usual places.", ["data.refreshToken"])
  ),
  expires: Places.pipe(optional("Where the access token's lifetime or end stands.", ["data.expiresAt"])),
  expires_unit: Schema.Literals(["seconds", "milliseconds", "minutes"]).pipe(
    optional("What a lifetime counts. Default: seconds.", "milliseconds")
  ),
  default_expires_in: PositiveDuration.pipe(
    optional("How long an access token lives whose answer does not say it.", "2 hours")
  ),
  refresh_token_expires: Places.pipe(
    optional("Where the refresh token's lifetime or end stands.", ["refresh_expires_in"])
  ),
  scope: Places.pipe(optional("Where the granted scopes stand.", ["data.scopes"])),
  scope_separator: Schema.Literals([" ", ","]).pipe(
    optional("What stands between granted scopes. Default: a space or a comma.", ",")
  ),
  is_bearer: Schema.Boolean.annotate({ title: "true or false", expected: "true or false" }).pipe(
    optional("Use the token as a bearer token whatever type the answer names.", true)
  )
}).annotate({ identifier: "Quirks" })

const spanOr = (...words: ReadonlyArray<string>) =>
  Schema.String.check(
    Schema.isPattern(
      new RegExp(`^(?:${words.join("|")}|(?!0+(?:\\.0+)? )\\d+(?:\\.\\d+)? (?:second|minute|hour|day|week)s?)$`, "u")
    )
  ).annotate({
    title: `duration or ${words.join(", ")}`,
    expected: `a duration such as 30 seconds or 90 days, or ${words.join(" or ")}`
  })

const TokenRate = Schema.Struct({
  requests: Positive.pipe(required("Token requests that are answered in each period.", 10)),
  per: PositiveDuration.pipe(required("Length of the period.", "10 minutes")),
  by: Schema.Literals(["client", "user", "refresh_token", "address"]).pipe(
    optional("Whose requests are counted together. Default: those of the client.", "refresh_token")
  )
}).annotate({ identifier: "TokenRate" })

/** How a provider's tokens live and die, for one that has no profile, or one that a profile does not know well. */
export const TokenLifecycle = Schema.Struct({
  rotation: Schema.Literals(["never", "sometimes", "always"]).pipe(
    optional("Whether a refresh answers with a new refresh token. Unknown counts as always.", "always")
  ),
  grace: spanOr("none", "until_next_use", "unlimited").pipe(
    optional(
      "How long a refresh token that was replaced can be used again; `until_next_use`: until one of the new tokens is used.",
      "30 seconds"
    )
  ),
  reuse: Schema.Literals(["accepted", "refused", "revokes_family"]).pipe(
    optional(
      "What the use of a replaced refresh token after the grace leads to; `revokes_family`: its successors die as well.",
      "revokes_family"
    )
  ),
  early_refresh: Schema.Literals(["allowed", "refused"]).pipe(
    optional("Whether an access token may be refreshed before it has expired. Default: allowed.", "refused")
  ),
  refresh_window: PositiveDuration.pipe(
    optional("How long before its end an access token may be refreshed, where earlier is refused.", "30 seconds")
  ),
  idle_life: spanOr("unlimited").pipe(
    optional("How long a refresh token lives unused; it is refreshed in time.", "90 days")
  ),
  absolute_life: spanOr("unlimited").pipe(
    optional("How long after consent refresh tokens live, however often they are used.", "365 days")
  ),
  token_requests: TokenRate.pipe(optional("Largest rate of token requests."))
}).annotate({ identifier: "TokenLifecycle" })
export type TokenLifecycle = typeof TokenLifecycle.Type
