import type { Warehouse } from "@tributary/clickhouse"
import type { Log } from "@tributary/log"
import type { SchemaRegistry } from "@tributary/schema-registry"
import type { Effect, Layer } from "effect"
import type { ServerUse } from "./ServerUse.ts"

/** What the test asks: topics with their schemas, and tables. */
export type Reached = Log | Warehouse | SchemaRegistry

/** Something of the engine cannot be reached or refuses what the test needs; any error that says what and why. */
export interface EngineProblem {
  readonly message: string
}

/** The chain as a load test sees it, from outside. */
export interface LoadEngine {
  readonly kind: "embedded" | "servers"
  /** Arguments by which Node starts `tributary`. */
  readonly program: ReadonlyArray<string>
  /** What workers find in their environment. */
  readonly env: Readonly<Record<string, string>>
  /** Topics and tables beside workers that run; `data` is the folder of the embedded engine. */
  readonly beside: (data: string) => Layer.Layer<Reached, EngineProblem>
  /** The same when none runs any more. */
  readonly after: (data: string) => Layer.Layer<Reached, EngineProblem>
  /** Registers the connector files of a folder. */
  readonly register: (folder: string) => Effect.Effect<void, EngineProblem>
  /** Deletes what was registered, and what it left: topics, checkpoints, tables of the database. */
  readonly remove: (left: {
    readonly connectors: ReadonlyArray<string>
    readonly streams: ReadonlyArray<{ readonly connector: string; readonly stream: string }>
    readonly topics: ReadonlyArray<string>
    readonly database: string
    /** Whether the workers have to stop them first. */
    readonly areRunning: boolean
  }) => Effect.Effect<void, EngineProblem>
  /** What servers say that they use of their machine. */
  readonly serverUse: Effect.Effect<ReadonlyArray<ServerUse>>
}
