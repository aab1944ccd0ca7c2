import { it } from "@effect/vitest"
import { KafkaLog } from "@tributary/kafka"
import { startCluster } from "@tributary/kafka/testing"
import { Log } from "@tributary/log"
import { durable, startRedis } from "@tributary/redis/testing"
import { serve } from "@tributary/testkit"
import { Clock, Duration, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe } from "vitest"
import { runCommand, startWorker } from "../src/Workers.ts"

const connectors = ["one", "two", "three", "four"]
const limit = 2
/** Jobs that are to be done after each end of a worker. */
const between = 8
/** How long a job takes. */
const working = 700

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }

interface Job {
  readonly name: string
  readonly connector: string
  readonly doneAt: number
  deleted: boolean
}

/** An API that makes one job for each idempotency key, and counts how many there are at once. */
const reportsApi = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const jobs = new Map<string, Job>()
  const living = () => [...jobs.values()].filter(({ deleted }) => !deleted)
  let most = 0
  const events: Array<string> = []
  const began = clock.currentTimeMillisUnsafe()
  const note = (text: string) =>
    void events.push(`${clock.currentTimeMillisUnsafe() - began} ${text}, ${living().length} live`)
  const url = yield* serve((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://x")
    const now = clock.currentTimeMillisUnsafe()
    const [, connector = "", , name = ""] = pathname.split("/")
    response.setHeader("content-type", "application/json")
    request.resume()
    if (request.method === "POST") {
      const key = String(request.headers["idempotency-key"])
      if (!jobs.has(key)) jobs.set(key, { name: `j${jobs.size}`, connector, doneAt: now + working, deleted: false })
      note(`${connector} made ${jobs.get(key)?.name} ${key.slice(0, 8)}`)
      most = Math.max(most, living().length)
      return response.end(JSON.stringify({ id: jobs.get(key)?.name }))
    }
    const job = [...jobs.values()].find((one) => one.name === name)
    if (job === undefined) return response.writeHead(404).end("{}")
    if (request.method === "DELETE") {
      job.deleted = true
      note(`${connector} deleted ${name}`)
      return response.end("{}")
    }
    if (pathname.endsWith("/result")) return response.end(JSON.stringify([{ id: name }]))
    const results = [`${url}/${connector}/reports/${name}/result`]
    return response.end(JSON.stringify(now < job.doneAt ? { status: "running" } : { status: "done", results }))
  })
  return { url, jobs, living, note, events, most: () => most, done: () => jobs.size - living().length }
})

const fileOf = (connector: string, url: string) => `connector: ${connector}
http: { base_url: "${url}/${connector}" }
streams:
  items:
    job:
      create: { path: /reports, headers: { idempotency-key: "{job_key}" } }
      id: $.id
      poll: { path: "/reports/{job}" }
      every: 100 millis
      status: $.status
      running: [running]
      done: [done]
      results: $.results[*]
      delete: { path: "/reports/{job}" }
      at_once: { jobs: ${limit}, key: all }
    primary_key: id
    poll: every 1 second
    topic: { partitions: 1 }
`

const until = <E, R>(what: () => string, longest: Duration.Input, look: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(longest)
    while (!(yield* look)) {
      if ((yield* Clock.currentTimeMillis) > end) return yield* Effect.die(new Error(`waited in vain: ${what()}`))
      yield* Effect.sleep("20 millis")
    }
  })

/** Keys of the records of a connector, in their order. */
const published = Effect.fnUntraced(function* (connector: string) {
  const log = yield* Log
  const topic = `raw.${connector}.items`
  const [{ earliest = 0, end = 0 } = {}] = yield* log.offsets(topic)
  const found: Array<string> = []
  for (let next = earliest; next < end;) {
    const batch = yield* log.read(topic, 0, next, limits)
    for (const { value } of batch.records)
      found.push(/"id":"([^"]*)"/u.exec(Buffer.from(value ?? []).toString())?.[1] ?? "")
    if (batch.next === next) break
    next = batch.next
  }
  return found
})

const limited = Effect.fnUntraced(function* (directory: string, env: Readonly<Record<string, string>>) {
  const api = yield* reportsApi
  const folder = join(directory, "connectors")
  mkdirSync(folder)
  for (const name of connectors) writeFileSync(join(folder, `${name}.yaml`), fileOf(name, api.url))
  yield* runCommand(["apply", "-f", folder], { env, log: join(directory, "apply.log") })
  const team = yield* Effect.forEach([1, 2, 3], (number) =>
    startWorker({
      name: `worker-${number}`,
      stage: "source",
      args: ["run", "source", "--data", join(directory, `worker-${number}`)],
      env: { ...env, TRIBUTARY_WORKER: `worker-${number}` },
      logs: directory
    })
  )
  const logs = () => team.map(({ log }) => readFileSync(log, "utf8").split("\n").slice(-12).join("\n")).join("\n---\n")
  const more = (count: number) => {
    const from = api.done()
    return until(
      () => `${api.done() - from} of ${count} more jobs are done.\n${logs()}`,
      "90 seconds",
      Effect.sync(() => api.done() >= from + count)
    )
  }
  yield* more(between)
  for (const worker of team) {
    yield* until(
      () => "as many jobs as may be",
      "90 seconds",
      Effect.sync(() => api.living().length === limit)
    )
    yield* worker.kill9
    api.note(`${worker.name} killed`)
    yield* more(between)
  }
  for (const worker of team) yield* worker.stop
  api.note("all stopped")
  // What was under way goes on with the worker that is started last.
  const last = yield* startWorker({
    name: "last",
    stage: "source",
    args: ["run", "source", "--data", join(directory, "last")],
    env: { ...env, TRIBUTARY_WORKER: "last" },
    logs: directory
  })
  const left = api.living()
  yield* until(
    () => `jobs that nobody goes on with: ${left.map(({ name }) => name).join(", ")}`,
    "90 seconds",
    Effect.sync(() => left.every(({ deleted }) => deleted))
  )
  yield* last.stop
  assert.strictEqual(api.most(), limit, api.events.join("\n"))
  for (const connector of connectors) {
    const found = yield* published(connector)
    const own = [...api.jobs.values()].filter((job) => job.connector === connector)
    assert.strictEqual(new Set(found).size, found.length, `a job of ${connector} is read twice`)
    assert.isAbove(
      found.length,
      1,
      `records of ${connector}; its jobs: ${own.length}\n${api.events.join("\n")}\n${logs()}`
    )
    for (const { deleted, name } of own) if (deleted) assert.include(found, name)
  }
  yield* Effect.logInfo(`${api.jobs.size} jobs, ${api.most()} at once.`)
})

describe("jobs of several processes", () => {
  it.live(
    "are never more than their limit, nor read twice, while processes that hold places are killed",
    () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-jobs-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
        )
        const [cluster, redis] = yield* Effect.all(
          [
            startCluster({
              nodes: 1,
              directory: join(directory, "kafka"),
              config: { "num.partitions": "1", "group.min.session.timeout.ms": "1000" }
            }),
            startRedis({ directory: join(directory, "redis") }, ...durable)
          ],
          { concurrency: "unbounded" }
        )
        yield* limited(directory, {
          TRIBUTARY_KAFKA_BROKERS: cluster.brokers,
          TRIBUTARY_REDIS_URL: redis.url,
          TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
          TRIBUTARY_KAFKA_SESSION_TIMEOUT: "3 seconds",
          TRIBUTARY_ALLOW_PRIVATE_ADDRESSES: "true"
        }).pipe(Effect.provide(KafkaLog.layer({ brokers: cluster.brokers.split(",") })))
      }).pipe(Effect.scoped),
    600_000
  )
})
