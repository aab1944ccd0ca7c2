import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** What went wrong while a person was asked. */
const ConsentReason = Schema.Literals([
  /** The person said no, or the server did in their name. */
  "denied",
  /** The answer is not the one to this request: somebody may have planted it. */
  "wrong-state",
  /** The answer is that of another server (RFC 9207), as in a mix-up attack. */
  "wrong-issuer",
  /** The ID token is not valid, or not for this client and request. */
  "id-token",
  /** The person took too long. */
  "expired",
  /** The server cannot do what is needed. */
  "unsupported",
  /** The code or token was refused: it was used before, is another client's, or has expired. */
  "refused",
  /** What was given cannot be understood. */
  "input"
])

/** A person's consent did not come about. Never holds a code or a token. */
export class ConsentError extends Schema.TaggedError<ConsentError>()("ConsentError", {
  authorization: Schema.String,
  reason: ConsentReason,
  /** What was found, and what was expected. */
  problem: Schema.String,
  /** What to do. */
  advice: Schema.String
}) {
  get failureClass(): FailureClass {
    switch (this.reason) {
      case "unsupported":
      case "id-token":
        return "misconfigured"
      default:
        return "needs-consent"
    }
  }
  override get message(): string {
    return `Consent for ${this.authorization}: ${this.problem} ${this.advice}`.trimEnd()
  }
}
