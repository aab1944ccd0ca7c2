import { startClickHouse } from "@tributary/clickhouse/testing"
import { KafkaLog } from "@tributary/kafka"
import { findKafka } from "@tributary/kafka/testing"
import { Log } from "@tributary/log"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { canaryConnectors, filesBelow, plantedSecrets, search, secretsOf, startHostile } from "./canaries.ts"
import { endAll, folder, type Folder, removeFolders, type Run, stopApis } from "./support.ts"

const kafka = await findKafka()
const reason = "missing" in kafka ? kafka.missing : missingRedis

afterEach(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})
afterAll(async () => {
  if ("server" in kafka) await kafka.server?.stop()
})

type Place = readonly [string, string | Buffer]

/** Everything that a flow leaves behind is put here. */
const collecting = (files: Folder, variables: Readonly<Record<string, string>>) => {
  const places: Array<Place> = []
  const start = (...args: ReadonlyArray<string>) => files.run([...args, "--log-level", "all"], variables)
  const keep = async (what: string, run: Run) => {
    const { err, out } = await run.ended
    places.push([`${what}, output`, out], [`${what}, errors`, err])
    return out + err
  }
  return {
    places,
    start,
    keep,
    run: (...args: ReadonlyArray<string>) => keep(args.join(" "), start(...args))
  }
}

const commonFlow = async (flow: ReturnType<typeof collecting>, tables: ReadonlyArray<string>) => {
  const said = await flow.run("status")
  await flow.run("status", "--json")
  const audit = await flow.run("audit", "--last", "1000")
  assert.include(audit, "needs-consent")
  assert.include(audit, "refreshed")
  await flow.run("audit", "--json", "--connector", "client-good")
  await flow.run("validate")
  await flow.run("tap", "raw.client-good.items", "--limit", "5", "--json")
  for (const sql of tables) await flow.run("query", sql, "--json")
  return said
}

const variablesOf = (planted: ReturnType<typeof plantedSecrets>, url: string) => {
  // The address of a webhook is a secret with many services.
  const hook = `${url}/hook?key=${planted.CANARY_KEY}`
  return {
    ...planted,
    TRIBUTARY_ALERT_WEBHOOK: hook,
    TRIBUTARY_ALERT_AFTER: "1",
    TRIBUTARY_OAUTH_TIMEOUT: "1 second",
    TRIBUTARY_DRAIN_DEADLINE: "5 seconds"
  }
}

/** The search itself has to find what is there. */
const assertClean = (secrets: Set<string>, places: ReadonlyArray<Place>) => {
  const [one = ""] = secrets
  assert.lengthOf(search([one], [["a planted leak", `… ${encodeURIComponent(one)} …`]]).slice(0, 1), 1)
  assert.isAbove(secrets.size, 20)
  assert.deepStrictEqual(search(secrets, places), [])
}

it("embedded: no secret is in what the command writes, in its files, topics, tables, or what it leaves when it is killed", async () => {
  const planted = plantedSecrets()
  const secrets = new Set(secretsOf(planted))
  const hostile = await startHostile(secrets)
  const files = folder(canaryConnectors(hostile.url))
  const flow = collecting(files, variablesOf(planted, hostile.url))

  const running = flow.start("run")
  await running.until(
    "everybody was asked, and a short token was replaced",
    () =>
      hostile.requests.filter((request) => request === "POST /token/short").length > 15 &&
      hostile.requests.some((request) => request.startsWith("POST /hook")),
    90
  )
  // While it runs, the status is written, and the tables are there.
  await running.until("pages were read", () => hostile.requests.filter((one) => one.includes("/api/good")).length > 30)
  const said = await commonFlow(flow, ["SELECT * FROM canary.client_good", "SHOW DATABASES"])
  assert.include(said, "client-good/items")
  running.child.kill("SIGKILL")
  await flow.keep("killed", running)
  flow.places.push(...filesBelow(files.data))

  const again = flow.start("run", "--json")
  await again.until("it reads again", () => again.out() !== "")
  again.child.kill("SIGTERM")
  await flow.keep("stopped", again)
  for (const name of ["client-good", "refresh-gone", "client-echo", "key-query", "api-query-400", "signed-echo"]) {
    await flow.run("preview", name)
  }
  flow.places.push(...filesBelow(files.data), [
    "requests to the webhook",
    hostile.requests.filter((one) => one.includes("hook") && !one.includes("?key=")).join("\n")
  ])
  assertClean(secrets, flow.places)
}, 300_000)

describe.skipIf(reason !== undefined)(`full engine${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  const scope = Scope.makeUnsafe()
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it("no secret is in output, health, metrics, API answers, topics, tables, Redis, or the files of any of them", async () => {
    assert(!("missing" in kafka))
    const planted = plantedSecrets()
    const secrets = new Set(secretsOf(planted))
    const hostile = await startHostile(secrets)
    const files = folder(canaryConnectors(hostile.url))
    mkdirSync(files.data, { recursive: true })
    const redisPassword = "canary-redis-password-5b1f"
    const [redis, clickhouse] = await Effect.runPromise(
      Scope.provide(
        Effect.all([
          redisServer(...durable, "--requirepass", redisPassword).pipe(Effect.timeout("90 seconds")),
          startClickHouse({ directory: join(files.path, "clickhouse") })
        ]),
        scope
      )
    )
    secrets.add(redisPassword)
    secrets.add(Redacted.value(clickhouse.password))
    const flow = collecting(files, {
      ...variablesOf(planted, hostile.url),
      TRIBUTARY_KAFKA_BROKERS: kafka.brokers.join(","),
      TRIBUTARY_REDIS_URL: redis.url,
      TRIBUTARY_REDIS_PASSWORD: redisPassword,
      TRIBUTARY_CLICKHOUSE_URL: clickhouse.url,
      TRIBUTARY_CLICKHOUSE_USER: clickhouse.user,
      TRIBUTARY_CLICKHOUSE_PASSWORD: Redacted.value(clickhouse.password)
    })
    assert.include(await flow.run("apply", "-f", files.connectors), "change(s) made")
    const services = ["source", "transform", "sink", "control"].map((service) => ({
      service,
      run: flow.start("run", service, "--http", "127.0.0.1:0")
    }))
    const [source] = services
    await source?.run.until(
      "everybody was asked, and a short token was replaced",
      () => hostile.requests.filter((request) => request === "POST /token/short").length > 15,
      120
    )
    await source?.run.until(
      "pages were read",
      () => hostile.requests.filter((one) => one.includes("/api/good")).length > 30
    )
    for (const { run, service } of services) {
      const address = () => /http:\/\/127\.0\.0\.1:\d+/u.exec(run.out() + run.err())?.[0]
      await run.until("it serves", () => address() !== undefined)
      for (const path of [
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/owned",
        "/v1/status",
        "/v1/connectors",
        "/openapi.json"
      ]) {
        // oxlint-disable-next-line no-restricted-globals -- as a person would ask
        const answer = await fetch(`${address()}${path}`, {
          headers: service === "control" ? { authorization: `Bearer ${planted.TRIBUTARY_CONTROL_TOKEN}` } : {}
        })
        const text = await answer.text()
        flow.places.push([`${service}${path}`, text])
        if (service === "source" && path === "/metrics") {
          assert.include(text, "oauth_token_requests_total")
          assert.include(text, "oauth_token_request_duration_seconds_bucket")
        }
      }
    }
    await commonFlow(flow, ["SHOW DATABASES", "SELECT name, engine_full FROM system.tables"])
    for (const { run, service } of services) {
      run.child.kill(service === "sink" ? "SIGKILL" : "SIGTERM")
      await flow.keep(service, run)
    }
    const topics = Effect.gen(function* () {
      const log = yield* Log
      for (const { name, partitions } of yield* log.topics) {
        for (let partition = 0; partition < partitions; partition++) {
          const end = (yield* log.offsets(name)).find((one) => one.partition === partition)
          for (let next = end?.earliest ?? 0; next < (end?.end ?? 0);) {
            const batch = yield* log.read(name, partition, next, {
              maxRecords: 1000,
              maxBytes: 4_000_000,
              wait: Duration.zero
            })
            for (const { headers, key, value } of batch.records) {
              flow.places.push([
                name,
                `${Buffer.from(key ?? [])} ${Buffer.from(value ?? [])} ${JSON.stringify(headers)}`
              ])
            }
            if (batch.next === next) break
            next = batch.next
          }
        }
      }
    }).pipe(Effect.provide(Layer.orDie(KafkaLog.layer({ brokers: kafka.brokers, clientId: "canary" }))))
    await Effect.runPromise(topics)
    assert.isTrue(flow.places.some(([place]) => place === "_tributary.audit"))
    flow.places.push(
      ...filesBelow(files.data),
      ...filesBelow(redis.directory),
      ...filesBelow(join(files.path, "clickhouse"))
    )
    assertClean(secrets, flow.places)
  }, 400_000)
})
