import type { OAuth2, TokenLifecycle } from "@tributary/domain"
import { Duration } from "effect"
import type { ResponseQuirks } from "../response/Answer.ts"
import type { Lifecycle } from "./applyProfile.ts"

/** A length of time as the file holds it, in seconds, or one of the words that stand in its place. */
const seconds = <Word extends string>(
  written: string | undefined,
  words: ReadonlyArray<Word>
): number | Word | undefined => {
  if (written === undefined) return undefined
  const word = words.find((word) => word === written)
  if (word !== undefined) return word
  const [amount = "", unit = ""] = written.split(" ")
  return Number(amount) * (unitSeconds[unit.replace(/s$/u, "")] ?? 1)
}

const unitSeconds: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800 }

/** `lifecycle` of a connector file, in the words of profiles. */
export const ownLifecycle = (written: TokenLifecycle | undefined): Lifecycle => {
  const { absolute_life, early_refresh, grace, idle_life, refresh_window, reuse, rotation, token_requests } =
    written ?? {}
  const ofGrace = seconds(grace, ["none", "until_next_use", "unlimited"])
  const idle = seconds(idle_life, ["unlimited"])
  const absolute = seconds(absolute_life, ["unlimited"])
  return {
    ...(rotation === undefined ? {} : { rotation }),
    ...(ofGrace === undefined ? {} : { grace: ofGrace }),
    ...(reuse === undefined ? {} : { reuse }),
    ...(early_refresh === undefined ? {} : { early_refresh }),
    ...(refresh_window === undefined ? {} : { refresh_window: Duration.toSeconds(refresh_window) }),
    ...(idle === undefined ? {} : { idle_life: idle }),
    ...(absolute === undefined ? {} : { absolute_life: absolute }),
    ...(token_requests === undefined
      ? {}
      : {
          token_requests: {
            requests: token_requests.requests,
            per: Duration.toSeconds(token_requests.per),
            by: token_requests.by ?? "client"
          }
        })
  }
}

/** `quirks` of a connector file. */
export const ownQuirks = (written: OAuth2["quirks"]): ResponseQuirks => {
  const { default_expires_in, ...rest } = written ?? {}
  return {
    ...rest,
    ...(default_expires_in === undefined ? {} : { default_expires_in: Duration.toSeconds(default_expires_in) })
  }
}
