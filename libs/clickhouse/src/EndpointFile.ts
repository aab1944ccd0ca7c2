import { chmod, rename, rm, writeFile } from "node:fs/promises"
import { Effect, Redacted } from "effect"
import { type Endpoint, endpointFile } from "./Endpoint.ts"
import { Misconfigured, WarehouseError } from "./WarehouseError.ts"

/** Tells other processes of the same user where the embedded server of a directory is. Readable by the owner only. */
export const writeEndpoint = Effect.fn("Endpoint.write")(function* (directory: string, endpoint: Endpoint) {
  const file = endpointFile(directory)
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
  Effect.promise(() => rm(endpointFile(directory), { force: true }))

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
