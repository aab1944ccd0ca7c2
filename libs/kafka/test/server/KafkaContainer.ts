import { freePort } from "@tributary/testkit"
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers"
import { type BrokerPlace, brokerProperties } from "./KafkaCluster.ts"
import { kafkaVersion } from "./Jars.ts"
import { type KafkaServer, quick } from "./TestBroker.ts"

/** Longest start, milliseconds; the first may have to fetch the image. */
const startTimeout = 300_000

/** A broker in a container, at one port of this machine for all its starts. */
export const startContainer = async (): Promise<KafkaServer> => {
  const runtime = await getContainerRuntimeClient()
  const { host } = runtime.info.containerRuntime
  const port = await freePort()
  const place: BrokerPlace = { id: 1, port, controllerPort: 9093 }
  const properties = {
    ...brokerProperties(place, [place]),
    ...quick,
    // The broker also calls itself, for transactions, and there the machine's port does not reach it.
    listeners: "PLAINTEXT://0.0.0.0:9092,INTERNAL://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093",
    "advertised.listeners": `PLAINTEXT://${host}:${port},INTERNAL://127.0.0.1:9094`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "INTERNAL",
    "log.dirs": "/tmp/kraft-combined-logs"
  }
  const container = await new GenericContainer(`apache/kafka:${kafkaVersion()}`)
    .withEnvironment({
      // The image makes settings of variables in this way.
      ...Object.fromEntries(
        Object.entries(properties).map(([name, value]) => [`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`, value])
      ),
      CLUSTER_ID: "bG9jYWxkZXZjbHVzdGVyMQ"
    })
    .withExposedPorts({ container: 9092, host: port })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(startTimeout)
    .start()
  return {
    address: `${host}:${port}`,
    kill: async () => {
      await runtime.container.getById(container.getId()).kill({ signal: "SIGKILL" })
    },
    restart: () => container.restart({ timeout: 0 }),
    stop: async () => {
      await container.stop({ remove: true, removeVolumes: true })
    }
  }
}
