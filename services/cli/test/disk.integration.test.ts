import { execFileSync } from "node:child_process"
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { endAll, follower, folder, growing, removeFolders, startApi, stopApis, tributary } from "./support.ts"

const at = folder()
const disk = join(at.path, "disk")
mkdirSync(disk)

/** A disk of its own, as small as the embedded engine can begin on. Only root may mount one. */
const isMounted = (() => {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

afterAll(async () => {
  await endAll()
  await stopApis()
  if (isMounted) execFileSync("umount", ["-l", disk])
  removeFolders()
})

/** Writes until nothing more goes onto the disk. */
const fill = (file: string) => {
  const handle = openSync(file, "w")
  for (const size of [1_048_576, 65_536, 4_096, 1]) {
    const part = Buffer.alloc(size)
    try {
      for (;;) if (writeSync(handle, part) < size) break
    } catch {
      // No room for a part of this size.
    }
  }
  closeSync(handle)
  assert.strictEqual(Number(statfsSync(disk).bavail), 0)
}

describe("a disk that is full", () => {
  it.skipIf(!isMounted)("(needs the right to mount one) is said, and work goes on when there is room", async () => {
    const api = await startApi()
    const list = growing(api, "one", 5)
    at.write("one.yaml", follower("one", api))
    const command = (...args: ReadonlyArray<string>) =>
      tributary([...args, "-c", at.connectors, "--data", join(disk, "data")])
    const dev = command("dev")
    const loaded = async (): Promise<Readonly<Record<string, unknown>>> => {
      const { out } = await command(
        "query",
        "--json",
        "SELECT count() AS rows, uniqExact(id) AS ids, max(id) + 1 AS size FROM live.one"
      ).ended
      return out === "" ? {} : JSON.parse(out)
    }
    await dev.until("records are loaded", async () => Number((await loaded())["rows"]) > 0)
    fill(join(disk, "filler"))
    // Whichever comes first, the log or the tables.
    await dev.until("it says so", () => /no space left (for|on its disk)/iu.test(dev.err()))
    // What it shows may be older than the problem, which finds no room in the log either.
    const status = await command("status").ended
    assert.strictEqual(status.code, 0, status.err)
    assert.match(status.out, /^one\/items +\w+ /mu)

    rmSync(join(disk, "filler"))
    list.stop()
    const size = list.size()
    await dev.until("everything is loaded", async () => Number((await loaded())["size"]) === size)
    assert.deepStrictEqual(await loaded(), { rows: size, ids: size, size })
    // Said by every try, and no more often.
    assert.isAtMost(dev.err().split("could not be written").length - 1, 2)
    dev.child.kill("SIGTERM")
    assert.strictEqual((await dev.ended).code, 0)
  })
})
