import { it } from "@effect/vitest"
import { findKafka } from "@tributary/kafka/testing"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, describe } from "vitest"
import { connectors, differences, startApi, tributary } from "../harness.ts"

const kafka = await findKafka()
const reason = "missing" in kafka ? kafka.missing : missingRedis
const folder = mkdtempSync(join(tmpdir(), "tributary-servers-"))
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ("server" in kafka) await kafka.server?.stop()
})

/** Moments after the start at which a run is killed, milliseconds. */
const kills = [1_500, 2_500, 3_500]

/** Time a run has, milliseconds: some ten times what it takes, and enough on a busy machine. */
const patience = 120_000

/** What a run that ends by itself ends with; a run that does not is killed, and its last words are the error. */
const ending = async ({ child, ended }: ReturnType<typeof tributary>) => {
  const stop = AbortSignal.timeout(patience)
  stop.addEventListener("abort", () => child.kill("SIGKILL"))
  const end = await ended
  assert(!stop.aborted, `the run did not end within ${patience / 1000} s; its last words:\n${end.err.slice(-6000)}`)
  return end
}

describe.skipIf(reason !== undefined)(
  `the flights example on Kafka and Redis${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it.live(
      "gives the same rows as on the embedded engine, through kill -9, and then nothing again",
      () =>
        Effect.gen(function* () {
          const redis = yield* redisServer(...durable)
          yield* Effect.promise(async () => {
            assert(!("missing" in kafka))
            const variables = {
              TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(","),
              TRIBUTARY_REDIS_URL: redis.url,
              TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64")
            }
            const api = await startApi(["--page-size", "100", "--error-rate", "0.02", "--token-life", "5"])
            // A second attempt finds nothing of the first, which may still run.
            const data = mkdtempSync(join(folder, "data-"))
            const run = () => tributary(api, ["run", "--once", "--json", "-c", connectors, "--data", data], variables)
            try {
              for (const moment of kills) {
                const { child, ended } = run()
                await Promise.race([sleep(moment), ended])
                child.kill("SIGKILL")
                const { err, signal } = await ended
                assert.strictEqual(signal, "SIGKILL", err)
              }
              const whole = await ending(run())
              assert.strictEqual(whole.code, 0, whole.err)
              assert.deepStrictEqual(await differences(data), [])
              const again = await ending(run())
              assert.strictEqual(again.code, 0, again.err)
              assert.strictEqual(JSON.parse(again.out).loaded, 0)
              assert.deepStrictEqual(await differences(data), [])
            } finally {
              await api.stop()
            }
          })
        }),
      600_000
    )
  }
)
