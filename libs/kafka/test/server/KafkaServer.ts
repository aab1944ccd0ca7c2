import { findServer } from "@tributary/testkit"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { brokerClassPath } from "./Jars.ts"
import { startCluster } from "./KafkaCluster.ts"
import { type KafkaServer, quick } from "./TestBroker.ts"

export * from "./Broker.ts"
export * from "./KafkaCluster.ts"
export * from "./TestBroker.ts"

/** Where the tests find Kafka, or why they cannot run. */
export type Found =
  | { readonly brokers: ReadonlyArray<string>; readonly server?: KafkaServer }
  | { readonly missing: string }

const startLocal = async (): Promise<KafkaServer> => {
  const directory = mkdtempSync(join(tmpdir(), "tributary-kafka-"))
  const scope = Scope.makeUnsafe()
  const stop = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const cluster = await Effect.runPromise(Scope.provide(startCluster({ nodes: 1, directory, config: quick }), scope))
    const node = cluster.nodes[0]
    if (node === undefined) throw new Error("The cluster has no broker.")
    return {
      address: node.address,
      kill: () => Effect.runPromise(node.kill9),
      restart: () => Effect.runPromise(node.start),
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

const owned = (server: KafkaServer): Found => ({ brokers: [server.address], server })

/**
 * The Kafka that `TRIBUTARY_KAFKA` names (brokers, separated by commas), or a container, or a broker that is started here; the
 * last needs Java 17, and Maven for the first time.
 */
export const findKafka = (): Promise<Found> =>
  findServer<Found>({
    name: "Kafka",
    given: {
      variable: "TRIBUTARY_KAFKA",
      server: (value) => ({ brokers: value.split(",").map((broker) => broker.trim()) })
    },
    // Loaded only when they are needed, for they are large.
    docker: {
      probe: async () => (await import("testcontainers")).getContainerRuntimeClient(),
      start: async () => owned(await (await import("./KafkaContainer.ts")).startContainer())
    },
    local: async () => {
      const found = brokerClassPath()
      return "missing" in found ? found : owned(await startLocal())
    }
  })
