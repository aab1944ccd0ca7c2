import { Effect } from "effect"
import { tmpdir } from "node:os"
import process from "node:process"
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from "testcontainers"
import { type RedisProgram, versionOf } from "./RedisProgram.ts"

const image = "redis:8.2"
/** Longest first start, milliseconds: the image may have to be fetched. */
const startTimeout = 180_000

/**
 * Redis in containers. They have this machine's network and temporary directory, and our user, so that ports, paths and owners
 * of files are the same inside and outside.
 */
export const containerProgram = async (): Promise<RedisProgram> => {
  const runtime = await getContainerRuntimeClient()
  const start = (args: ReadonlyArray<string>): Promise<StartedTestContainer> => {
    const container = new GenericContainer(image)
      .withNetworkMode("host")
      .withBindMounts([{ source: tmpdir(), target: tmpdir(), mode: "rw" }])
      .withEntrypoint(["redis-server"])
      .withCommand([...args])
      .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections|Server initialized|Redis is starting/))
      .withStartupTimeout(startTimeout)
    const [user, group] = [process.getuid?.(), process.getgid?.()]
    if (user !== undefined) container.withUser(`${user}:${group ?? user}`)
    return container.start()
  }
  const probe = await start(["--port", "0", "--unixsocket", "/tmp/none.sock", "--save", ""])
  const { output } = await probe.exec(["redis-server", "--version"])
  await probe.stop()
  const version = versionOf(output)
  if (version === undefined) throw new Error(`${image} does not say its version: ${output}`)
  return {
    version,
    tls: true,
    run: (args) =>
      Effect.promise(async () => {
        const started = await start(args)
        const container = runtime.container.getById(started.getId())
        let running = true
        const call = (act: () => Promise<unknown>) => Effect.promise(async () => void (running && (await act())))
        return {
          pid: undefined,
          running: () => running,
          kill: call(async () => {
            running = false
            if ((await container.inspect()).State.Paused) await container.unpause()
            await container.kill({ signal: "SIGKILL" })
            await started.stop({ timeout: 0, remove: true, removeVolumes: true })
          }),
          pause: call(() => container.pause()),
          resume: call(() => container.unpause())
        }
      })
  }
}
