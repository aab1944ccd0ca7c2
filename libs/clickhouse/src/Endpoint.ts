import { chmod, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Redacted, Schema } from "effect"
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

const fileOf = (directory: string): string => join(directory, "endpoint.json")

/** Tells other processes of the same user where the embedded server of a directory is. Readable by the owner only. */
export const writeEndpoint = Effect.fn("Endpoint.write")(function* (directory: string, endpoint: Endpoint) {
  const file = fileOf(directory)
  const text = JSON.stringify({ url: endpoint.url, user: endpoint.user, password: Redacted.value(endpoint.password) })
  yield* Effect.tryPromise({
    try: async () => {
      await rm(`${file}.new`, { force: true })
      await writeFile(`${file}.new`, text, { mode: 0o600 })
      await chmod(`${file}.new`, 0o600)
      await rename(`${file}.new`, file)
    },
    catch: (cause) => unwritable(file, cause)
  })
})

export const removeEndpoint = (directory: string): Effect.Effect<void> =>
  Effect.promise(() => rm(fileOf(directory), { force: true }))

/** Reads where the embedded server of a directory is. Fails with `Misconfigured` when none runs there. */
export const readEndpoint = Effect.fn("Endpoint.read")(function* (directory: string) {
  const file = fileOf(directory)
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

export const unwritable = (path: string, cause: unknown): WarehouseError =>
  new WarehouseError({
    action: "start the embedded ClickHouse",
    reason: new Misconfigured({
      code: 0,
      name: "UNWRITABLE",
      detail: `${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}.`,
      advice: "Check its owner and rights, and the space on its disk.",
      cause
    })
  })
