import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, type Redacted, Schema } from "effect"
import { Misconfigured, WarehouseError } from "./WarehouseError.ts"

/** Where a ClickHouse server is, and who we are there. */
export interface Endpoint {
  /** `http://host:port`. */
  readonly url: string
  readonly user: string
  readonly password: Redacted.Redacted<string>
}

const EndpointFile = Schema.fromJsonString(
  Schema.Struct({ url: Schema.String, user: Schema.String, password: Schema.RedactedFromValue(Schema.String) })
)
const decode = Schema.decodeUnknownEffect(EndpointFile)

/** The file of a directory that says where its server is. */
export const endpointFile = (directory: string): string => join(directory, "endpoint.json")

/** Reads where the embedded server of a directory is. Fails with `Misconfigured` when none runs there. */
export const readEndpoint = Effect.fn("Endpoint.read")(function* (directory: string) {
  const file = endpointFile(directory)
  const notRunning = (cause: unknown) =>
    new WarehouseError({
      action: "find the embedded ClickHouse",
      reason: new Misconfigured({
        code: 0,
        name: "NOT_RUNNING",
        detail: `No server runs in ${directory} (there is no readable ${file}).`,
        advice: "Start one with `tributary run` or `tributary dev`, or name its directory with --data.",
        cause
      })
    })
  const text = yield* Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: notRunning })
  return yield* Effect.mapError(decode(text), notRunning)
})
