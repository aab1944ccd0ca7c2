import { Schema } from "effect"

/**
 * What a process is about to do, or may have done, with the refresh token of an authorization; written before the token is sent.
 * It belongs to the stored generation: storing the tokens that the request brought removes it. Holds no secret.
 * docs/decisions/0008 tells what is made of it.
 */
export const JournalEntry = Schema.Struct({
  /** Names the request; never used twice. */
  attempt: Schema.String,
  /** Fingerprint of the refresh token. */
  spends: Schema.String,
  /** When the first request with this refresh token was about to be sent, of those whose outcome is unknown. Milliseconds since 1970. */
  firstAt: Schema.Finite,
  at: Schema.Finite,
  /** Epoch of the lease that the process held. */
  epoch: Schema.Finite,
  /** How many requests with this refresh token have, or may have, an unknown outcome, this one counted. */
  tries: Schema.Int,
  /** `sent`: the request may have been sent. `given-up`: the refresh token must not be sent again; a person has to consent. */
  state: Schema.Literals(["sent", "given-up"])
})
export type JournalEntry = typeof JournalEntry.Type

const Text = Schema.fromJsonString(JournalEntry)
export const encodeEntry = Schema.encodeSync(Text)
/** Throws if it is no entry. */
export const decodeEntry = Schema.decodeUnknownSync(Text)

/** Whether tokens or an entry of the request `attempt` may replace this entry: its own, or one that was given up. */
export const isOpenTo = (entry: JournalEntry | undefined, attempt: string | undefined): boolean =>
  entry === undefined || attempt === undefined || entry.attempt === attempt || entry.state === "given-up"

/** Whether two entries are the same step of the same request. */
export const isSameEntry = (left: JournalEntry | undefined, right: JournalEntry | undefined): boolean =>
  left?.attempt === right?.attempt && left?.state === right?.state
