import { randomInt } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"

/**
 * Below what systems give out for outgoing connections (32768 upwards on Linux, 49152 on others): a port that the system chose
 * can be taken by any connection between the moment it is known to be free and the one in which a server listens there.
 */
const lowest = 14_000
const highest = 32_000
/** A port is given to one server of a process, so that several that start at once do not meet. */
const given = new Set<number>()

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer().listen(port, "127.0.0.1")
  const free = await new Promise<boolean>((resolve) => {
    server.once("listening", () => resolve(true))
    server.once("error", () => resolve(false))
  })
  if (!free) return false
  server.close()
  await once(server, "close")
  return true
}

/** `count` different ports of 127.0.0.1 that nobody listens on right now, for servers that have to be told theirs. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const ports: Array<number> = []
  for (let attempts = 0; ports.length < count; attempts++) {
    if (attempts === 10_000) throw new Error(`No free port between ${lowest} and ${highest} in 10,000 attempts.`)
    const port = randomInt(lowest, highest)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    ports.push(port)
  }
  return ports
}

/** One of `freePorts`. */
export const freePort = async (): Promise<number> => {
  const [port = 0] = await freePorts(1)
  return port
}
