import { it } from "@effect/vitest"
import { KafkaLog } from "@tributary/kafka"
import { startCluster } from "@tributary/kafka/testing"
import type { Worker } from "@tributary/load"
import { Log } from "@tributary/log"
import { durable, startRedis } from "@tributary/redis/testing"
import { freePorts } from "@tributary/testkit"
import { Clock, Deferred, Duration, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe } from "vitest"
import { HookSender } from "../src/Hooks.ts"
import { runCommand, startWorker } from "../src/Workers.ts"

const workers = 3
/** Deliveries between the return of one worker and the end of the next. */
const between = 150
/** Senders that work beside each other. */
const senders = 8
const secret = "the secret of the sender"

const file = `connector: shop
streams:
  orders:
    webhook: { signature: github, secret: "\${env:HOOK_SECRET}", max_bytes: 4000000 }
    primary_key: id
    topic: { partitions: 2 }
`

const limits = { maxRecords: 5_000, maxBytes: 4 * 1024 * 1024, wait: Duration.zero }

/** All values of a topic that readers of committed records see. */
const valuesOf = Effect.fnUntraced(function* (topic: string) {
  const log = yield* Log
  const values: Array<string> = []
  if (!(yield* log.topics).some(({ name }) => name === topic)) return values
  for (const { earliest, end, partition } of yield* log.offsets(topic)) {
    for (let next = earliest; next < end;) {
      const batch = yield* log.read(topic, partition, next, limits)
      for (const { value } of batch.records) if (value !== null) values.push(Buffer.from(value).toString())
      if (batch.next === next) break
      next = batch.next
    }
  }
  return values
})

const idsOf = (topic: string) =>
  Effect.map(valuesOf(topic), (values) => values.map((value) => /"id":"([^"]*)"/u.exec(value)?.[1] ?? value))

const lastLines = (worker: Worker) => readFileSync(worker.log, "utf8").split("\n").slice(-15).join("\n")

const until = <E, R>(what: () => string, longest: Duration.Input, look: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(longest)
    while (!(yield* look)) {
      if ((yield* Clock.currentTimeMillis) > end) return yield* Effect.die(new Error(`waited in vain: ${what()}`))
      yield* Effect.sleep("50 millis")
    }
  })

/** Deliveries come to all workers, twice each, while the one that publishes and another are killed. */
const deliver = Effect.fnUntraced(function* (directory: string, env: Readonly<Record<string, string>>) {
  const connectors = join(directory, "connectors")
  mkdirSync(connectors)
  writeFileSync(join(connectors, "shop.yaml"), file)
  yield* runCommand(["apply", "-f", connectors], { env, log: join(directory, "apply.log") })
  const ports = yield* Effect.promise(() => freePorts(workers))
  const team = yield* Effect.forEach(ports, (port, index) =>
    startWorker({
      name: `worker-${index}`,
      stage: "source",
      args: ["run", "source", "--data", join(directory, `worker-${index}`)],
      env: { ...env, TRIBUTARY_WORKER: `worker-${index}`, TRIBUTARY_WEBHOOK_LISTEN: `127.0.0.1:${port}` },
      logs: directory
    })
  )
  const sender = yield* Effect.acquireRelease(
    Effect.sync(() => new HookSender(secret)),
    (sender) => Effect.sync(() => sender.close())
  )
  const url = (worker: number) => `http://127.0.0.1:${ports[worker % workers]}/webhooks/shop/orders`
  const bodyOf = (id: string) => `{"id":"${id}","text":"${"x".repeat(500)}"}`
  const once = (worker: number, id: string) => sender.send(url(worker), id, bodyOf(id))
  for (let worker = 0; worker < workers; worker++) {
    yield* until(
      () => `worker-${worker} does not receive.\n${team.map(lastLines).join("\n---\n")}`,
      "2 minutes",
      Effect.map(once(worker, `first-${worker}`), (status) => status === 200)
    )
  }

  const taken = new Set(Array.from({ length: workers }, (_, worker) => `first-${worker}`))
  const sent = new Set(taken)
  let unanswered = 0
  let next = 0
  const over = yield* Deferred.make<void>()
  const one = Effect.gen(function* () {
    while (!Deferred.isDoneUnsafe(over)) {
      const number = next++
      const id = `n${number}`
      sent.add(id)
      const status = yield* once(number, id)
      if (status === 200) taken.add(id)
      else {
        unanswered++
        yield* Effect.sleep("200 millis")
      }
      // As senders do that did not hear the answer, or had none: some of them to another process at once, some much later.
      if (number % 2 === 0 && (yield* once(number + 1, id)) === 200) taken.add(id)
      yield* Effect.sleep("40 millis")
    }
  })
  const killing = Effect.gen(function* () {
    let publishing = -1
    const seek = Effect.sync(() => {
      publishing = team.findIndex(({ log }) => readFileSync(log, "utf8").includes('"Connector started."'))
      return publishing >= 0
    })
    yield* until(() => "a worker has the connector", "2 minutes", seek)
    for (const index of [publishing, (publishing + 1) % workers]) {
      const worker = team[index]
      assert(worker !== undefined)
      const from = next
      yield* until(
        () => `${next} deliveries were sent`,
        "2 minutes",
        Effect.sync(() => next >= from + between)
      )
      yield* worker.kill9
      yield* until(
        () => `worker-${index} does not come back.\n${lastLines(worker)}`,
        "2 minutes",
        Effect.map(once(index, `first-${index}`), (status) => status === 200)
      )
    }
    yield* Deferred.succeed(over, undefined)
  })
  yield* Effect.all([killing, ...Array.from({ length: senders }, () => one)], { concurrency: "unbounded" })
  assert.isAbove(unanswered, 0, "some were under way when a worker was killed")
  assert.isAbove(taken.size, between)

  // What was taken is there, before anything of it is sent again.
  const begun = yield* Clock.currentTimeMillis
  let found: ReadonlyArray<string> = []
  const look = Effect.map(idsOf("raw.shop.orders"), (ids) => (found = ids))
  const missing = () => [...taken].filter((id) => !found.includes(id))
  yield* until(
    () => `not in the topic: ${missing().slice(0, 10).join(", ")}\n${team.map(lastLines).join("\n---\n")}`,
    "2 minutes",
    Effect.map(look, () => missing().length === 0)
  )
  const caughtUp = (yield* Clock.currentTimeMillis) - begun

  // Each again, to a process that may not have seen it, until it is taken.
  yield* Effect.forEach(
    [...sent],
    (id, index) =>
      until(
        () => `${id} is not taken`,
        "2 minutes",
        Effect.map(once(index + 1, id), (status) => status === 200)
      ),
    { concurrency: senders, discard: true }
  )
  // A record that the brokers do not take holds up no other.
  const huge = `{"id":"huge","text":"${randomBytes(1_400_000).toString("base64")}"}`
  const [refused] = yield* Effect.all([sender.send(url(0), "huge", huge), once(0, "beside")], {
    concurrency: "unbounded"
  })
  assert.strictEqual(refused, 413)
  sent.add("beside")
  yield* until(
    () => `the last delivery is not in the topic.\n${team.map(lastLines).join("\n---\n")}`,
    "2 minutes",
    Effect.map(look, () => found.includes("beside"))
  )
  // The last one that was published: what came before it in the inbox is published, or passed over.
  assert.deepStrictEqual(found.toSorted(), [...sent].toSorted())
  const inbox = yield* valuesOf("inbox.shop.orders")
  assert.isAbove(inbox.length, sent.size)
  assert.deepStrictEqual(yield* valuesOf("dead.shop.orders"), [])
  assert.isAbove(
    team.reduce((sum, worker) => sum + worker.starts(), 0),
    workers
  )
  yield* Effect.logInfo(
    `${inbox.length} in the inbox, ${found.length} published, ${unanswered} unanswered; all there ${caughtUp} ms after the last was sent.`
  )
})

describe("webhooks on Kafka", () => {
  it.live(
    "are in the topic once each, whichever process takes them, while processes are killed",
    () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-webhooks-"))),
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
        yield* deliver(directory, {
          TRIBUTARY_KAFKA_BROKERS: cluster.brokers,
          TRIBUTARY_REDIS_URL: redis.url,
          TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
          TRIBUTARY_KAFKA_SESSION_TIMEOUT: "3 seconds",
          HOOK_SECRET: secret
        }).pipe(Effect.provide(KafkaLog.layer({ brokers: cluster.brokers.split(",") })))
      }).pipe(Effect.scoped),
    600_000
  )
})
