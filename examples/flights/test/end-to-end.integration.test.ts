import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { connectors, differences, startApi, tributary } from "../harness.ts"

const folder = mkdtempSync(join(tmpdir(), "tributary-e2e-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the flights example, end to end", () => {
  it("loads all of January exactly, and again nothing", async () => {
    const api = await startApi()
    const data = join(folder, "plain")
    try {
      const first = await tributary(api, ["run", "--once", "--json", "-c", connectors, "--data", data]).ended
      assert.strictEqual(first.code, 0, first.err)
      assert.deepStrictEqual(await differences(data), [])
      assert.strictEqual(JSON.parse(first.out).read, 27_004 + 2_226 + 16 + 3_322 + 1_458)

      const second = await tributary(api, ["run", "--once", "--json", "-c", connectors, "--data", data]).ended
      assert.strictEqual(second.code, 0, second.err)
      assert.strictEqual(JSON.parse(second.out).loaded, 0)
      assert.deepStrictEqual(await differences(data), [])
    } finally {
      await api.stop()
    }
  })

  it("gives the same through 10 % errors, 5 % dropped connections, throttling and tokens of 5 s", async () => {
    const faults = ["--error-rate", "0.1", "--drop-rate", "0.05", "--token-life", "5", "--rate-limit", "30"]
    const api = await startApi([...faults, "--page-size", "200"])
    const data = join(folder, "faults")
    const started = performance.now()
    try {
      const run = await tributary(api, ["run", "--once", "-c", connectors, "--data", data]).ended
      assert.strictEqual(run.code, 0, run.err)
      assert.deepStrictEqual(await differences(data), [])
      const stats = await api.stats()
      const lives = Math.ceil((performance.now() - started) / 5_000)
      // A refresh comes at 70 to 80 % of a life, so that lives overlap; each 401 may cost one more.
      const allowed = Math.ceil(lives / 0.7) + 1 + Number(stats["unauthorized"] ?? 0)
      assert.isAtMost(Number(stats["token_requests"]), allowed, JSON.stringify(stats))
      assert.isAbove(Number(stats["token_requests"]), 0)
    } finally {
      await api.stop()
    }
  })
})
