import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** One thing that is wrong with a manifest. */
export const ManifestProblem = Schema.Struct({
  /** Where, in the manifest after its references are resolved: `streams[0].retriever.requester`. */
  path: Schema.String,
  /** What was found, what was expected, and what to do. */
  problem: Schema.String,
  /** The Python class, where a hook can stand for it. */
  hook: Schema.optionalKey(Schema.Struct({ type: Schema.String, className: Schema.String }))
})
export type ManifestProblem = typeof ManifestProblem.Type

/** A manifest that cannot be run, with everything that is wrong with it. */
export class ManifestError extends Schema.TaggedError<ManifestError>()("ManifestError", {
  /** What is wrong: it cannot be read, it breaks the rules of components, or it needs what does not exist here. */
  kind: Schema.Literals(["unreadable", "invalid", "unsupported"]),
  problems: Schema.Array(ManifestProblem)
}) {
  readonly failureClass: FailureClass = "misconfigured"

  override get message(): string {
    return this.problems
      .map(({ path, problem }) => (path === "" ? `manifest: ${problem}` : `manifest, ${path}: ${problem}`))
      .join("\n")
  }
}
