import { findServer } from "@tributary/testkit"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startRegistry } from "./LocalRegistry.ts"
import { registryProgram } from "./Program.ts"

export * from "./LocalRegistry.ts"

/** A registry that is the tests' own, so that they may end it. */
export interface TestRegistry {
  readonly url: string
  /** Ends it at once, as a crash does. */
  readonly kill: () => Promise<void>
  /** Starts it again on its data, after `kill`. */
  readonly restart: () => Promise<void>
  /** Ends it and removes its data. */
  readonly stop: () => Promise<void>
}

/** Where the tests find a schema registry, or why they cannot run. */
export type FoundRegistry = { readonly url: string; readonly server?: TestRegistry } | { readonly missing: string }

const startLocal = async (): Promise<TestRegistry> => {
  const directory = mkdtempSync(join(tmpdir(), "tributary-registry-"))
  const scope = Scope.makeUnsafe()
  const stop = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const registry = await Effect.runPromise(Scope.provide(startRegistry({ directory }), scope))
    return {
      url: registry.url,
      kill: () => Effect.runPromise(registry.kill9),
      restart: () => Effect.runPromise(registry.start),
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

const owned = (server: TestRegistry): FoundRegistry => ({ url: server.url, server })

/**
 * The registry that `TRIBUTARY_REGISTRY` names (the address of its Confluent-compatible API), or a container, or one that is
 * started here; the last needs Java 17, and Maven for the first time.
 */
export const findRegistry = (): Promise<FoundRegistry> =>
  findServer<FoundRegistry>({
    name: "schema registry",
    given: { variable: "TRIBUTARY_REGISTRY", server: (url) => ({ url }) },
    // Loaded only when they are needed, for they are large.
    docker: {
      probe: async () => (await import("testcontainers")).getContainerRuntimeClient(),
      start: async () => owned(await (await import("./RegistryContainer.ts")).startContainer())
    },
    local: async () => {
      const found = registryProgram()
      return "missing" in found ? found : owned(await startLocal())
    }
  })
