import type { JournalEntry } from "@tributary/vault"
import { isMending, mayRepeat, type RefreshPolicy } from "./RefreshPolicy.ts"

/** How the use of a refresh token ended. */
export type End =
  /** Its tokens are stored. */
  | { readonly is: "saved" }
  /** Others are stored, or another process is about to ask; these tokens, if there are any, are superseded. */
  | { readonly is: "overtaken" }
  /** Nothing was sent, for the intent could not be made durable. */
  | { readonly is: "unavailable" }
  /** The server did not carry it out; or it may have, and the refresh token may be sent again. */
  | { readonly is: "failed" }
  /** The server refuses this refresh token. */
  | { readonly is: "refused"; readonly isRepetition: boolean }
  /** It may have been carried out, and a repetition could make the server revoke everything. */
  | { readonly is: "given-up" }

/** What is to be done next: the only IO that the state demands. `generation` and fencing are the interpreter's. */
export type Step<T> =
  /** Make `entry` durable in place of `before`; until that has happened nothing may be sent. */
  | { readonly do: "intend"; readonly entry: JournalEntry; readonly before: JournalEntry | undefined }
  /** Send the request, once, if the lease holds for longer than it can take. */
  | { readonly do: "send"; readonly entry: JournalEntry; readonly before: JournalEntry | undefined }
  /** Store the tokens as the next generation, as the answer to `entry`. */
  | { readonly do: "save"; readonly entry: JournalEntry; readonly tokens: T }
  /** Make `next` durable in place of `entry`, and go on with `after`. */
  | {
      readonly do: "note"
      readonly entry: JournalEntry
      readonly next: JournalEntry | undefined
      readonly after: Exclude<Step<T>, { readonly do: "note" }>
    }
  | { readonly do: "end"; readonly end: End }

/** What came of a step. */
export type Outcome<T> =
  /** The store did it. */
  | { readonly is: "written" }
  /** Another generation is stored. */
  | { readonly is: "conflict" }
  /**
   * The journal holds the request of another process. `isAbandoned`: for longer than that process can have needed for it, so it
   * died or stands still.
   */
  | { readonly is: "superseded"; readonly by: JournalEntry | undefined; readonly isAbandoned: boolean }
  /** The store did not answer, and may have done it. */
  | { readonly is: "store-down" }
  /** Nothing was sent, or the server says that it carried nothing out. */
  | { readonly is: "not-carried-out" }
  /** The server refuses this refresh token for good. */
  | { readonly is: "refused" }
  /** The server may have carried it out: no answer, or none that can be read. */
  | { readonly is: "lost" }
  | { readonly is: "granted"; readonly tokens: T }

/** What whoever holds the lease now knows. */
export interface Situation {
  readonly policy: RefreshPolicy
  /** The entry beside the stored tokens. */
  readonly found: JournalEntry | undefined
  /** Fingerprint of the refresh token that would be sent. */
  readonly spends: string
  /** A name for this request that was never used. */
  readonly attempt: string
  readonly epoch: number
  /** Milliseconds since 1970. */
  readonly now: number
  /** Milliseconds after which a request that is sent now has reached the server, or never does. */
  readonly reach: number
}

/** Whether the outcome of an earlier request with this refresh token is unknown. */
export const isOpen = (found: JournalEntry | undefined, spends: string): found is JournalEntry =>
  found !== undefined && found.spends === spends && found.state === "sent"

/** Whether this refresh token was given up. An entry of another refresh token means nothing: a person has consented anew since. */
export const isGivenUp = (found: JournalEntry | undefined, spends: string): boolean =>
  found !== undefined && found.spends === spends && found.state === "given-up"

const ended = (end: End) => ({ do: "end", end }) as const
const givenUp = (entry: JournalEntry): JournalEntry => ({ ...entry, state: "given-up" })

/** The first step of one who holds the lease: a start, a takeover after a crash or a lost lease, or a repetition. */
export const begin = <T = never>(situation: Situation): Step<T> => {
  const { attempt, epoch, found, now, policy, reach, spends } = situation
  if (isGivenUp(found, spends)) return ended({ is: "given-up" })
  const open = isOpen(found, spends) ? found : undefined
  if (open !== undefined && !mayRepeat(policy, open.firstAt, now, reach)) {
    return { do: "note", entry: open, next: givenUp(open), after: ended({ is: "given-up" }) }
  }
  const entry: JournalEntry = {
    attempt,
    spends,
    firstAt: open?.firstAt ?? now,
    at: now,
    epoch,
    tries: (open?.tries ?? 0) + 1,
    state: "sent"
  }
  return { do: "intend", entry, before: found }
}

/**
 * What follows a step. Total and without IO; a crash has no transition here: what is durable then is what `begin` finds. `now`
 * and `reach` decide whether a lost answer may be asked for again.
 */
export const next = <T>(
  step: Exclude<Step<T>, { readonly do: "end" }>,
  outcome: Outcome<T>,
  { now, policy, reach }: Pick<Situation, "now" | "policy" | "reach">
): Step<T> => {
  switch (step.do) {
    case "intend":
      if (outcome.is === "written") return { do: "send", entry: step.entry, before: step.before }
      // It may have been written. Nobody must take it for a request that was sent.
      if (outcome.is === "store-down") {
        return { do: "note", entry: step.entry, next: step.before, after: ended({ is: "unavailable" }) }
      }
      return ended({ is: "overtaken" })
    case "send": {
      const { before, entry } = step
      const wasOpen = isOpen(before, entry.spends)
      if (outcome.is === "granted") return { do: "save", entry, tokens: outcome.tokens }
      // The outcome of the request before it is as unknown as it was.
      if (outcome.is === "not-carried-out") return { do: "note", entry, next: before, after: ended({ is: "failed" }) }
      if (outcome.is === "refused") {
        // A first refusal is not kept: it may be due to what can be put right at the server.
        const left = wasOpen ? givenUp(entry) : undefined
        return { do: "note", entry, next: left, after: ended({ is: "refused", isRepetition: wasOpen }) }
      }
      if (mayRepeat(policy, entry.firstAt, now, reach)) return ended({ is: "failed" })
      return { do: "note", entry, next: givenUp(entry), after: ended({ is: "given-up" }) }
    }
    case "save": {
      if (outcome.is === "written") return ended({ is: "saved" })
      if (outcome.is === "conflict") return ended({ is: "overtaken" })
      // While a later request is under way it is not known whose answer counts. These tokens may be the only ones: keep them.
      if (outcome.is !== "superseded" || !outcome.isAbandoned || outcome.by === undefined) return step
      const { by } = outcome
      if (isMending(policy, by.firstAt, now, reach)) return ended({ is: "overtaken" })
      return { do: "note", entry: by, next: givenUp(by), after: step }
    }
    case "note":
      if (outcome.is === "store-down") return step
      if (outcome.is === "written") return step.after
      // Somebody else decides now, or has decided.
      if (step.after.do === "end" && step.after.end.is !== "given-up") return step.after
      return step.after.do === "save" && outcome.is === "superseded" ? step.after : ended({ is: "overtaken" })
  }
}
