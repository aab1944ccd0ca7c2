import { findKafka } from "@tributary/kafka/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { connectors, differences, startApi, tributary } from "../harness.ts"

const kafka = await findKafka()
const folder = mkdtempSync(join(tmpdir(), "tributary-kafka-"))
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ("server" in kafka) await kafka.server?.stop()
})

describe.skipIf("missing" in kafka)(
  `the flights example on Kafka${"missing" in kafka ? ` (skipped: ${kafka.missing})` : ""}`,
  () => {
    it("gives the same rows as on the embedded log, and again nothing", async () => {
      assert(!("missing" in kafka))
      const variables = { TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(",") }
      const api = await startApi()
      const data = join(folder, "data")
      const run = () =>
        tributary(api, ["run", "--once", "--json", "-c", connectors, "--data", data], variables).ended
      try {
        const first = await run()
        assert.strictEqual(first.code, 0, first.err)
        assert.deepStrictEqual(await differences(data), [])
        const second = await run()
        assert.strictEqual(second.code, 0, second.err)
        assert.strictEqual(JSON.parse(second.out).loaded, 0)
        assert.deepStrictEqual(await differences(data), [])
      } finally {
        await api.stop()
      }
    })
  }
)
