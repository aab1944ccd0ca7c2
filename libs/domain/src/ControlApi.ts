import { Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { ConfigProblem } from "./ConfigProblem.ts"
import { FailureClass } from "./Failure.ts"

const Time = Schema.Finite.annotate({ description: "Milliseconds since 1970." })
const Count = Schema.Natural

/** The body of every error: `code` is for programs and never changes, `message` is for people. */
const errorFields = <const Code extends string>(code: Code) => ({ code: Schema.tag(code), message: Schema.String })

/** The request cannot be read. */
export class BadRequest extends Schema.Error<BadRequest>("BadRequest")(errorFields("bad_request"), {
  description: "The request cannot be read.",
  httpApiStatus: 400
}) {}

/** No token, or not the right one. */
export class Unauthorized extends Schema.Error<Unauthorized>("Unauthorized")(errorFields("unauthorized"), {
  description: "No token, or not the right one.",
  httpApiStatus: 401
}) {}

/** The request came under a name that this server does not answer to without a token. */
export class Forbidden extends Schema.Error<Forbidden>("Forbidden")(errorFields("forbidden"), {
  description: "Without a token only requests to a loopback name are answered.",
  httpApiStatus: 403
}) {}

/** There is no such connector. */
export class ConnectorNotFound extends Schema.Error<ConnectorNotFound>("ConnectorNotFound")(
  errorFields("connector_not_found"),
  { description: "No such connector is registered.", httpApiStatus: 404 }
) {}

/** The connector cannot be registered as it is. */
export class ConnectorInvalid extends Schema.Error<ConnectorInvalid>("ConnectorInvalid")(
  { ...errorFields("connector_invalid"), problems: Schema.Array(ConfigProblem) },
  { description: "The connector cannot be registered as it is; every problem is listed.", httpApiStatus: 422 }
) {}

/** The log cannot be used at the moment. */
export class LogUnanswered extends Schema.Error<LogUnanswered>("LogUnanswered")(errorFields("log_unavailable"), {
  description: "The log, which holds what is registered, cannot be used at the moment.",
  httpApiStatus: 503
}) {}

/** Bearer token of the control API; none is asked for when the server has none. */
export class ControlAuthorization extends HttpApiMiddleware.Service<ControlAuthorization>()(
  "@tributary/domain/ControlAuthorization",
  { security: { bearer: HttpApiSecurity.bearer }, error: [Unauthorized, Forbidden] }
) {}

/** Makes what cannot be decoded of a request a `BadRequest`. */
export class ControlRequests extends HttpApiMiddleware.Service<ControlRequests>()("@tributary/domain/ControlRequests", {
  error: BadRequest
}) {}

const owner = Schema.NullOr(Schema.String).annotate({
  description: "Worker that runs the connector's sources, as far as the last commit says; null when none ever did."
})

/** A registered connector without its text. */
export const ConnectorSummary = Schema.Struct({
  connector: Schema.String,
  revision: Schema.NullOr(Schema.String).annotate({
    description: "Changes whenever the file or one of its modules does."
  }),
  registeredAt: Schema.NullOr(Time),
  file: Schema.NullOr(Schema.String).annotate({ description: "Name of the file that it was registered from." }),
  problem: Schema.NullOr(Schema.String).annotate({
    description:
      "Why the registration cannot be read; null when it can. Of a single connector also why it cannot be run."
  }),
  owner
}).annotate({ identifier: "ConnectorSummary" })
export type ConnectorSummary = typeof ConnectorSummary.Type

/** A module that a connector's transforms name: its path as the connector file has it, and its text. */
export const ConnectorScript = Schema.Struct({ path: Schema.String, text: Schema.String }).annotate({
  identifier: "ConnectorScript"
})
export type ConnectorScript = typeof ConnectorScript.Type

/** A registered connector. */
export const ConnectorDetail = Schema.Struct({
  ...ConnectorSummary.fields,
  text: Schema.String.annotate({ description: "The connector file." }),
  scripts: Schema.Array(ConnectorScript),
  redacted: Schema.Boolean.annotate({
    description: "Whether something that looks like a secret is shown as asterisks; such a text must not be put back."
  })
}).annotate({ identifier: "ConnectorDetail" })
export type ConnectorDetail = typeof ConnectorDetail.Type

/** A connector file with the files that it names. */
export const ConnectorSource = Schema.Struct({
  text: Schema.String.annotate({ description: "The connector file (YAML)." }),
  scripts: Schema.optionalKey(Schema.Array(ConnectorScript)).annotateKey({
    description:
      "The files that it names, each with the path that stands in it: TypeScript modules, a manifest, its hooks."
  })
}).annotate({ identifier: "ConnectorSource" })
export type ConnectorSource = typeof ConnectorSource.Type

/** What a change did, or with `dry_run` would do. */
export const ConnectorChange = Schema.Struct({
  connector: Schema.String,
  outcome: Schema.Literals(["registered", "changed", "unchanged", "deleted"]),
  revision: Schema.NullOr(Schema.String),
  warnings: Schema.Array(ConfigProblem),
  dryRun: Schema.Boolean,
  tokens: Schema.optionalKey(Schema.String).annotateKey({
    description:
      "What became of the tokens of a connector that was deleted: they are revoked at the authorization server."
  })
}).annotate({ identifier: "ConnectorChange" })
export type ConnectorChange = typeof ConnectorChange.Type

const StageReport = Schema.Struct({
  state: Schema.Literals(["starting", "running", "waiting", "retrying", "paused", "done"]),
  problem: Schema.NullOr(Schema.Struct({ class: FailureClass, message: Schema.String, at: Time })),
  records: Count,
  bytes: Count,
  rejected: Count,
  batches: Count,
  skipped: Count,
  unmarked: Count,
  ahead: Count,
  unasked: Count,
  restarts: Count,
  lastAt: Schema.NullOr(Time),
  nextAt: Schema.NullOr(Time),
  freshness: Schema.NullOr(Schema.Finite).annotate({ description: "Milliseconds." })
}).annotate({ identifier: "StageReport" })

/** State of a stream over all workers. */
export const StreamReport = Schema.Struct({
  connector: Schema.String,
  stream: Schema.String,
  stages: Schema.Struct({
    source: Schema.optionalKey(StageReport),
    transform: Schema.optionalKey(StageReport),
    sink: Schema.optionalKey(StageReport)
  }),
  workers: Schema.Array(Schema.Struct({ worker: Schema.String, at: Time, isLive: Schema.Boolean }))
}).annotate({ identifier: "StreamReport" })
export type StreamReport = typeof StreamReport.Type

/** What the process of a worker uses of its machine. */
export const ProcessReport = Schema.Struct({
  worker: Schema.String,
  service: Schema.String,
  at: Time,
  isLive: Schema.Boolean,
  startedAt: Time,
  cpuSeconds: Schema.Finite.annotate({ description: "CPU time since the process started." }),
  residentBytes: Schema.Finite.annotate({ description: "Memory that is in RAM." })
}).annotate({ identifier: "ProcessReport" })
export type ProcessReport = typeof ProcessReport.Type

/** Which worker runs the sources of which connectors. */
export const Owners = Schema.Struct({
  workers: Schema.Array(
    Schema.Struct({
      worker: Schema.String,
      partitions: Schema.Array(Schema.Natural),
      connectors: Schema.Array(Schema.String)
    })
  ),
  unowned: Schema.Array(Schema.String).annotate({ description: "Connectors in partitions that no worker ever had." })
}).annotate({ identifier: "Owners" })
export type Owners = typeof Owners.Type

const dryRun = {
  dry_run: Schema.optionalKey(Schema.Literals(["true", "false", ""])).annotateKey({
    description: "Check only and change nothing: true, or no value."
  })
}
const id = { id: Schema.String.annotate({ description: "Identifier of the connector." }) }

/** Media types under which a connector file is taken as it is. */
const connectorTextTypes = ["text/plain", "application/yaml", "text/yaml", "application/x-yaml"] as const

const connectors = HttpApiGroup.make("connectors")
  .add(
    HttpApiEndpoint.get("list", "/v1/connectors", {
      success: Schema.Struct({ connectors: Schema.Array(ConnectorSummary) }),
      error: LogUnanswered
    }).annotate(OpenApi.Summary, "List the registered connectors"),
    HttpApiEndpoint.get("get", "/v1/connectors/:id", {
      params: id,
      success: ConnectorDetail,
      error: [ConnectorNotFound, LogUnanswered]
    }).annotate(OpenApi.Summary, "Show a connector with its text"),
    HttpApiEndpoint.put("put", "/v1/connectors/:id", {
      params: id,
      query: dryRun,
      payload: [
        ConnectorSource,
        ...connectorTextTypes.map((contentType) =>
          Schema.String.annotate({ description: "The connector file (YAML)." }).pipe(
            HttpApiSchema.asText({ contentType })
          )
        )
      ],
      success: ConnectorChange,
      error: [ConnectorInvalid, LogUnanswered]
    }).annotate(OpenApi.Summary, "Register a connector, or change it"),
    HttpApiEndpoint.delete("delete", "/v1/connectors/:id", {
      params: id,
      query: dryRun,
      success: ConnectorChange,
      error: [ConnectorNotFound, LogUnanswered]
    }).annotate(OpenApi.Summary, "Delete a connector; its topics and tables stay")
  )
  .annotate(OpenApi.Description, "What is registered. A change takes effect in the workers within about a second.")

const cluster = HttpApiGroup.make("cluster")
  .add(
    HttpApiEndpoint.get("status", "/v1/status", {
      success: Schema.Struct({
        at: Time,
        streams: Schema.Array(StreamReport),
        processes: Schema.Array(ProcessReport).annotate({
          description: "The processes of all workers; each reports every 5 seconds."
        }),
        unreadable: Schema.Array(Schema.String).annotate({
          description: "Keys of the status topic whose value this version cannot read."
        })
      }),
      error: LogUnanswered
    }).annotate(OpenApi.Summary, "State of all streams, over all workers"),
    HttpApiEndpoint.get("owners", "/v1/owners", { success: Owners, error: LogUnanswered }).annotate(
      OpenApi.Summary,
      "Which worker runs the sources of which connectors"
    )
  )
  .annotate(OpenApi.Description, "What the workers do.")

/** The control API, as its server implements it and as clients are derived from it. */
export const ControlApi = HttpApi.make("control")
  .add(connectors, cluster)
  .middleware(ControlRequests)
  .middleware(ControlAuthorization)
  .annotate(OpenApi.Title, "Tributary control API")
  .annotate(OpenApi.Version, "1")
  .annotate(
    OpenApi.Description,
    "Registers connectors and shows what the workers do. Every error has the body {code, message}."
  )

/** The control API as an OpenAPI 3.1 document. */
export const controlDocument = (): object => OpenApi.fromApi(ControlApi)
