import { freePort } from "@tributary/testkit"
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers"
import { settings } from "./LocalRegistry.ts"
import { registryVersion } from "./Program.ts"
import type { TestRegistry } from "./RegistryServer.ts"

/** Longest start, milliseconds; the first may have to fetch the image. */
const startTimeout = 300_000

/** A registry in a container, at one port of this machine for all its starts. */
export const startContainer = async (): Promise<TestRegistry> => {
  const runtime = await getContainerRuntimeClient()
  const port = await freePort()
  const container = await new GenericContainer(`apicurio/apicurio-registry:${registryVersion}`)
    // The image makes settings of variables in this way.
    .withEnvironment(
      Object.fromEntries(
        Object.entries(settings("/tmp/registry")).map(([name, value]) => [
          name.toUpperCase().replaceAll(/[.-]/gu, "_"),
          value
        ])
      )
    )
    .withExposedPorts({ container: 8080, host: port })
    .withWaitStrategy(Wait.forHttp("/apis/ccompat/v7/subjects", 8080))
    .withStartupTimeout(startTimeout)
    .start()
  return {
    url: `http://${runtime.info.containerRuntime.host}:${port}/apis/ccompat/v7`,
    kill: async () => {
      await runtime.container.getById(container.getId()).kill({ signal: "SIGKILL" })
    },
    restart: () => container.restart({ timeout: 0 }),
    stop: async () => {
      await container.stop({ remove: true, removeVolumes: true })
    }
  }
}
