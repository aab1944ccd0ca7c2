import { findServer } from "@tributary/testkit"
import { Effect, Exit, Redacted, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Endpoint } from "../../src/Endpoint.ts"
import { startClickHouse } from "./LocalClickHouse.ts"
import type { TestClickHouse } from "./TestClickHouse.ts"

/** Where the tests find ClickHouse, or why they cannot run. */
export type FoundClickHouse =
  | { readonly endpoint: Endpoint; readonly server?: TestClickHouse }
  | { readonly missing: string }

const startLocal = async (): Promise<FoundClickHouse> => {
  const directory = mkdtempSync(join(tmpdir(), "tributary-clickhouse-"))
  const scope = Scope.makeUnsafe()
  const stop = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  }
  const started = await Effect.runPromise(Effect.result(Scope.provide(startClickHouse({ directory }), scope)))
  if (started._tag === "Failure") {
    await stop()
    if (started.failure.reason._tag === "EngineMissing") return { missing: started.failure.message }
    throw started.failure
  }
  const { kill9, start, ...endpoint } = started.success
  return {
    endpoint,
    server: { endpoint, kill: () => Effect.runPromise(kill9), restart: () => Effect.runPromise(start), stop }
  }
}

/** `http://user:password@host:port` as an endpoint. */
const given = (text: string): FoundClickHouse => {
  const url = new URL(text)
  return {
    endpoint: {
      url: url.origin,
      user: decodeURIComponent(url.username) || "default",
      password: Redacted.make(decodeURIComponent(url.password))
    }
  }
}

/**
 * The ClickHouse that `TRIBUTARY_CLICKHOUSE` names (`http://user:password@host:port`), or a container, or the server inside npm's
 * `chdb`. The user has to be allowed to make databases.
 */
export const findClickHouse = (): Promise<FoundClickHouse> =>
  findServer<FoundClickHouse>({
    name: "ClickHouse",
    given: { variable: "TRIBUTARY_CLICKHOUSE", server: given },
    // Loaded only when they are needed, for they are large.
    docker: {
      probe: async () => (await import("testcontainers")).getContainerRuntimeClient(),
      start: async () => {
        const server = await (await import("./ClickHouseContainer.ts")).startContainer()
        return { endpoint: server.endpoint, server }
      }
    },
    local: startLocal
  })
