import { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/**
 * No access token can be had. The message names the authorization, the host that was asked, what it said and what to do.
 * It never holds a secret or a token: what the server said is cleaned before it gets here.
 */
export class TokenError extends Schema.TaggedError<TokenError>()("TokenError", {
  authorization: Schema.String,
  /** Host of the endpoint that was asked; `undefined` when nothing was asked. */
  endpoint: Schema.UndefinedOr(Schema.String),
  failureClass: FailureClass,
  /** What was found, and what was expected. */
  problem: Schema.String,
  /** What to do. */
  advice: Schema.String,
  /** Milliseconds to wait before asking again, where the server said so or where asking earlier makes no sense. */
  retryAfter: Schema.UndefinedOr(Schema.Finite)
}) {
  override get message(): string {
    const at = this.endpoint === undefined ? "" : ` at ${this.endpoint}`
    return `Authorization ${this.authorization}${at}: ${this.problem} ${this.advice}`.trimEnd()
  }
}
