import { it } from "@effect/vitest"
import { startClickHouse } from "@tributary/clickhouse/testing"
import { findKafka } from "@tributary/kafka/testing"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { findRegistry } from "@tributary/schema-registry/testing"
import { Effect, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, describe } from "vitest"
import { type Api, connectors, differences, type Run, startApi, tributary } from "../harness.ts"

const [kafka, registry] = await Promise.all([findKafka(), findRegistry()])
const reason = "missing" in kafka ? kafka.missing : "missing" in registry ? registry.missing : missingRedis
const folder = mkdtempSync(join(tmpdir(), "tributary-services-"))
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ("server" in kafka) await kafka.server?.stop()
  if ("server" in registry) await registry.server?.stop()
})

/** The example's connectors, with the flights as Avro and the airports as JSON with a schema. */
const encoded = (): string => {
  const copy = join(folder, "connectors")
  cpSync(connectors, copy, { recursive: true })
  const file = join(copy, "flights.yaml")
  const text = readFileSync(file, "utf8")
  const changed = text
    .replace("topic: { partitions: 2 }", "topic: { partitions: 2, format: avro }")
    .replace(/^ {4}path: \/airports$/mu, "    path: /airports\n    topic: { format: json_schema }")
  assert.strictEqual(changed.split("format: ").length, 3, "the example has changed")
  writeFileSync(file, changed)
  return copy
}

const longest = 240_000

/** Workers of the full engine; what dies by `kill` is started again, as an orchestrator would. */
class Workers {
  readonly #running = new Map<string, Run>()
  readonly #start: (service: string, name: string) => Run
  constructor(start: (service: string, name: string) => Run) {
    this.#start = start
  }
  start(service: string, name: string) {
    this.#running.set(name, this.#start(service, name))
  }
  async kill(service: string, name: string) {
    const run = this.#running.get(name)
    run?.child.kill("SIGKILL")
    await run?.ended
    this.start(service, name)
  }
  /** Ends all with SIGTERM; returns how those ended that did not end well. */
  async stop() {
    const wrong: Array<string> = []
    for (const run of this.#running.values()) run.child.kill("SIGTERM")
    for (const [name, run] of this.#running) {
      const { code, err, signal } = await run.ended
      if (code !== 0) wrong.push(`${name} ended with ${code ?? signal}: ${err}`)
    }
    this.#running.clear()
    return wrong
  }
}

const judge = async (api: Api, variables: Readonly<Record<string, string>>) => {
  const data = join(folder, "data")
  const files = encoded()
  const dry = await tributary(api, ["apply", "-f", files, "--dry-run"], variables).ended
  assert.strictEqual(dry.code, 0, dry.err)
  assert.include(dry.out, "+ flights: created")
  const applied = await tributary(api, ["apply", "-f", files], variables).ended
  assert.strictEqual(applied.code, 0, applied.err)
  const again = await tributary(api, ["apply", "-f", files], variables).ended
  assert.include(again.out, "= flights: unchanged")

  const workers = new Workers((service, name) =>
    tributary(api, ["run", service, "--data", join(folder, name)], { ...variables, TRIBUTARY_WORKER: name })
  )
  try {
    const all = ["source", "transform", "sink"].flatMap((service) =>
      ["1", "2"].map((number) => [service, `${service}-${number}`] as const)
    )
    for (const [service, name] of all) workers.start(service, name)
    for (const [service, name] of all) {
      await sleep(1_500)
      await workers.kill(service, name)
    }
    const end = performance.now() + longest
    let wrong = await differences(data, variables)
    while (wrong.length > 0 && performance.now() < end) {
      await sleep(1_000)
      wrong = await differences(data, variables)
    }
    assert.deepStrictEqual(wrong, [])
  } finally {
    assert.deepStrictEqual(await workers.stop(), [])
  }
  assert.deepStrictEqual(await differences(data, variables), [])
  // oxlint-disable-next-line eslint/no-restricted-globals -- as any other program would ask
  const subjects: unknown = await (await fetch(`${variables["TRIBUTARY_REGISTRY_URL"]}/subjects`)).json()
  assert.includeMembers(Array.isArray(subjects) ? subjects : [], [
    "flights.flights-value",
    "raw.flights.airports-value"
  ])
}

describe.skipIf(reason !== undefined)(
  `the flights example as separate services${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it.live(
      "gives the same rows as on the embedded engine, with every service killed once, as Avro through a registry",
      () =>
        Effect.gen(function* () {
          const redis = yield* redisServer(...durable)
          const clickhouse = yield* startClickHouse({ directory: join(folder, "clickhouse") })
          yield* Effect.promise(async () => {
            assert(!("missing" in kafka) && !("missing" in registry))
            const api = await startApi(["--page-size", "100", "--error-rate", "0.02", "--token-life", "5"])
            try {
              await judge(api, {
                TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(","),
                TRIBUTARY_REGISTRY_URL: registry.url,
                TRIBUTARY_REDIS_URL: redis.url,
                TRIBUTARY_CLICKHOUSE_URL: clickhouse.url,
                TRIBUTARY_CLICKHOUSE_USER: clickhouse.user,
                TRIBUTARY_CLICKHOUSE_PASSWORD: Redacted.value(clickhouse.password),
                TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64")
              })
            } finally {
              await api.stop()
            }
          })
        }),
      { timeout: 300_000 }
    )
  }
)
