import type { FailureClass } from "@tributary/domain"
import { Schema } from "effect"

/** The registry does not answer, or answers that it cannot at the moment (HTTP 5xx, 408, 429). */
export class RegistryUnreachable extends Schema.TaggedError<RegistryUnreachable>()("RegistryUnreachable", {
  registry: Schema.String,
  action: Schema.String,
  detail: Schema.String
}) {
  readonly failureClass: FailureClass = "transient"
  override get message(): string {
    return `The schema registry ${this.registry} cannot ${this.action} at the moment: ${this.detail}. Nothing is lost; work goes on when it answers again.`
  }
}

/** The registry wants other credentials (HTTP 401, 403). */
export class RegistryDenied extends Schema.TaggedError<RegistryDenied>()("RegistryDenied", {
  registry: Schema.String,
  action: Schema.String,
  status: Schema.Int
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return this.status === 401
      ? `The schema registry ${this.registry} refused the user or password (HTTP 401). Set TRIBUTARY_REGISTRY_USER and TRIBUTARY_REGISTRY_PASSWORD to those it knows.`
      : `The user of the schema registry ${this.registry} may not ${this.action} (HTTP ${this.status}). Give it that permission, or set another TRIBUTARY_REGISTRY_USER.`
  }
}

/** The schema does not keep the compatibility that its subject asks for (HTTP 409). */
export class SchemaIncompatible extends Schema.TaggedError<SchemaIncompatible>()("SchemaIncompatible", {
  subject: Schema.String,
  /** The compatibility of the subject; empty where the registry's defaults decide. */
  compatibility: Schema.String,
  /** What differs from the last version. */
  differences: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The schema of ${this.subject} was refused: it is not ${this.compatibility === "" ? "" : `${this.compatibility} `}compatible with the versions before it (${this.differences}). Take the change back, allow null in a new field by "?", or set compatibility to none or topic.name to another topic.`
  }
}

/** The registry does not take the schema at all (HTTP 422 or another refusal). */
export class SchemaRefused extends Schema.TaggedError<SchemaRefused>()("SchemaRefused", {
  registry: Schema.String,
  action: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The schema registry ${this.registry} refused to ${this.action} (HTTP ${this.status}): ${this.detail}. See that TRIBUTARY_REGISTRY_URL is the address of its Confluent-compatible API.`
  }
}

/** A value names a schema that the registry does not have. */
export class UnknownSchema extends Schema.TaggedError<UnknownSchema>()("UnknownSchema", {
  registry: Schema.String,
  id: Schema.Int
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `The schema registry ${this.registry} has no schema ${this.id}, which a value was written with. Use the registry that the value's writer used, or restore its schemas.`
  }
}

/** A schema is needed, and no registry that processes share is named. */
export class NoRegistry extends Schema.TaggedError<NoRegistry>()("NoRegistry", { what: Schema.String }) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.what} needs a schema registry, and none is named. Set TRIBUTARY_REGISTRY_URL to the address of its Confluent-compatible API, or topic.format to json.`
  }
}

/** The file of the embedded registry cannot be used. */
export class RegistryUnusable extends Schema.TaggedError<RegistryUnusable>()("RegistryUnusable", {
  path: Schema.String,
  problem: Schema.String,
  passes: Schema.Boolean
}) {
  get failureClass(): FailureClass {
    return this.passes ? "transient" : "misconfigured"
  }
  override get message(): string {
    return `The schema registry at ${this.path} cannot be used: ${this.problem}`
  }
}

/** The only error of the schema registry; `reason` says what happened. */
export class RegistryError extends Schema.TaggedError<RegistryError>()("RegistryError", {
  reason: Schema.Union([
    RegistryUnreachable,
    RegistryDenied,
    SchemaIncompatible,
    SchemaRefused,
    UnknownSchema,
    NoRegistry,
    RegistryUnusable
  ])
}) {
  get failureClass(): FailureClass {
    return this.reason.failureClass
  }
  override get message(): string {
    return this.reason.message
  }
}
