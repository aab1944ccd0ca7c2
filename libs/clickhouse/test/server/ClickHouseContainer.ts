import { freePort } from "@tributary/testkit"
import { Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers"
import type { TestClickHouse } from "./TestClickHouse.ts"

/** The release that the embedded server is of. */
const image = "clickhouse/clickhouse-server:26.7"
/** Longest start, milliseconds; the first may have to fetch the image. */
const startTimeout = 300_000

/** ClickHouse in a container, at one port of this machine for all its starts. */
export const startContainer = async (): Promise<TestClickHouse> => {
  const runtime = await getContainerRuntimeClient()
  const port = await freePort()
  const password = randomBytes(24).toString("base64url")
  const container = await new GenericContainer(image)
    .withEnvironment({
      CLICKHOUSE_USER: "tributary",
      CLICKHOUSE_PASSWORD: password,
      CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT: "1"
    })
    .withExposedPorts({ container: 8123, host: port })
    .withWaitStrategy(Wait.forHttp("/ping", 8123).forResponsePredicate((body) => body.startsWith("Ok")))
    .withStartupTimeout(startTimeout)
    .start()
  return {
    endpoint: {
      url: `http://${container.getHost()}:${port}`,
      user: "tributary",
      password: Redacted.make(password, { label: "ClickHouse password" })
    },
    kill: async () => {
      await runtime.container.getById(container.getId()).kill({ signal: "SIGKILL" })
    },
    restart: () => container.restart({ timeout: 0 }),
    stop: async () => {
      await container.stop({ remove: true, removeVolumes: true })
    }
  }
}
