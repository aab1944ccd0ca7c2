import { ConnectorId } from "@tributary/domain"
import { Schema } from "effect"
import { createHash } from "node:crypto"

/** A module that a transform of a connector names: its path as the connector file has it, and its text. */
export const RegisteredScript = Schema.Struct({ path: Schema.String, text: Schema.String })
export type RegisteredScript = typeof RegisteredScript.Type

/** A registered connector; the value of `_tributary.connectors`, keyed by the connector's identifier. */
export const Registration = Schema.Struct({
  v: Schema.Literal(1),
  connector: ConnectorId,
  /** Name of the file that it was registered from; only messages use it. */
  file: Schema.String,
  /** The connector file as it was written. */
  text: Schema.String,
  scripts: Schema.Array(RegisteredScript),
  /** Changes whenever the text or a script does. */
  revision: Schema.String,
  /** When it was registered, milliseconds since 1970. */
  at: Schema.Finite
})
export type Registration = typeof Registration.Type

/** A registration that cannot be read: by a newer version, or not by Tributary at all. */
export class UnreadableRegistration extends Schema.TaggedError<UnreadableRegistration>()("UnreadableRegistration", {
  connector: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The registration of ${this.connector} cannot be read (${this.problem}). Register it again with tributary apply, or run the version that wrote it.`
  }
}

/** Revision of a connector: a hash of its file and of the modules that it names (SHA-256, hexadecimal). */
export const revisionOf = (text: string, scripts: ReadonlyArray<RegisteredScript>): string => {
  const hash = createHash("sha256").update(text)
  for (const script of scripts) hash.update("\0").update(script.path).update("\0").update(script.text)
  return hash.digest("hex")
}
