import { freePorts } from "@tributary/testkit"
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { type Broker, BrokerFailed, makeBroker } from "./Broker.ts"
import { brokerClassPath } from "./Jars.ts"

/** Where one broker listens. */
export interface BrokerPlace {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
}

export interface ClusterOptions {
  /** Brokers, each also a controller: 3 by default. One of three may be away. */
  readonly nodes?: 1 | 3
  /** Directory of the data, one below it for each broker. Made when it is not there; what is in it is used again. */
  readonly directory: string
  /** Ports of the brokers; free ones when they are left out. */
  readonly ports?: ReadonlyArray<number>
  /** Lines of `server.properties` that are added or take the place of others. */
  readonly config?:
    | Readonly<Record<string, string>>
    | ((place: BrokerPlace) => Readonly<Record<string, string>>)
    | undefined
  /** SCRAM users of the first format: `SCRAM-SHA-256=[name=alice,password=secret]`. */
  readonly scram?: ReadonlyArray<string>
  /** Heap of a broker, as Java has it; `256m` by default. */
  readonly heap?: string
}

export interface KafkaCluster {
  /** Addresses of all brokers, joined by commas. */
  readonly brokers: string
  readonly nodes: ReadonlyArray<Broker>
}

/** Settings of one of several brokers of a test cluster. */
export const brokerProperties = (place: BrokerPlace, all: ReadonlyArray<BrokerPlace>): Record<string, string> => {
  const replication = String(all.length)
  const inSync = all.length === 1 ? "1" : "2"
  return {
    "process.roles": "broker,controller",
    "node.id": String(place.id),
    "controller.quorum.voters": all.map(({ controllerPort, id }) => `${id}@127.0.0.1:${controllerPort}`).join(","),
    "controller.listener.names": "CONTROLLER",
    listeners: `PLAINTEXT://127.0.0.1:${place.port},CONTROLLER://127.0.0.1:${place.controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${place.port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": replication,
    "min.insync.replicas": inSync,
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": replication,
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": replication,
    "transaction.state.log.min.isr": inSync,
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    // Fits a heap of 256 MB: the cleaner's map is 128 MB by default.
    "log.cleaner.dedupe.buffer.size": "8388608",
    "num.network.threads": "2",
    "num.io.threads": "4",
    // The controller takes a broker for gone sooner, so that others lead and one that crashed may come back.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000"
  }
}

/**
 * A Kafka of its own on this machine: combined brokers and controllers (KRaft), as processes that can be killed and started
 * again. Topics have a replica on each broker, and three brokers acknowledge with two. All ends with the scope.
 */
export const startCluster = Effect.fn("KafkaCluster.start")(function* (
  options: ClusterOptions
): Effect.fn.Return<KafkaCluster, BrokerFailed, Scope.Scope> {
  const found = yield* Effect.sync(brokerClassPath)
  if ("missing" in found) return yield* new BrokerFailed({ message: `Kafka cannot be started here: ${found.missing}.` })
  const count = options.nodes ?? 3
  const free = yield* Effect.promise(() => freePorts(2 * count))
  const places = Array.from({ length: count }, (_, k) => ({
    id: k + 1,
    port: options.ports?.[k] ?? free[2 * k] ?? 0,
    controllerPort: free[2 * k + 1] ?? 0
  }))
  const nodes = yield* Effect.forEach(
    places,
    (place) =>
      makeBroker({
        id: place.id,
        address: `127.0.0.1:${place.port}`,
        directory: join(options.directory, `broker-${place.id}`),
        classPath: found.classPath,
        properties: {
          ...brokerProperties(place, places),
          ...(typeof options.config === "function" ? options.config(place) : options.config)
        },
        heap: options.heap ?? "256m",
        scram: options.scram ?? []
      }),
    { concurrency: "unbounded" }
  )
  // None of three serves before two are there.
  yield* Effect.forEach(nodes, (node) => node.start, { concurrency: "unbounded", discard: true })
  return { brokers: nodes.map(({ address }) => address).join(","), nodes }
})
