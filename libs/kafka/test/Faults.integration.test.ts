import { unhurried } from "@tributary/testkit"
import { it } from "@effect/vitest"
import { type Claim, Log, type LogError } from "@tributary/log"
import {
  claimOf,
  eventually,
  failureOf,
  join,
  makeTopic,
  patience,
  pump,
  record,
  unique,
  values
} from "@tributary/log/testing"
import { Duration, Effect, Layer, Logger, type Scope } from "effect"
import { Kafka, logLevel } from "kafkajs"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe } from "vitest"
import { KafkaLog } from "../src/index.ts"
import { brokerBehindProxy, missing } from "./fixtures/FaultyBroker.ts"
import { Api } from "./fixtures/Proxy.ts"

const stallTimeout = Duration.seconds(2)

/** Leaves a transaction open in partition 0. */
const openTransaction = (broker: string, topic: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING })
      const producer = client.producer({ transactionalId: unique("other"), idempotent: true, maxInFlightRequests: 1 })
      await producer.connect()
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ value: "never", partition: 0 }] })
      return { producer, transaction }
    }),
    ({ producer, transaction }) =>
      Effect.promise(async () => {
        await transaction.abort()
        await producer.disconnect()
      })
  )
/** What is logged. */
const warnings = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make(({ message }) => lines.push(String(message)))]) }
}

describe.skipIf(missing !== undefined)(`A broker behind a faulty network${missing ? ` (${missing})` : ""}`, () => {
  const { address, proxy } = brokerBehindProxy()
  const use = <A, E>(
    body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>,
    own: Partial<KafkaLog.KafkaLogOptions> = {}
  ) =>
    Effect.suspend(() => {
      const options: KafkaLog.KafkaLogOptions = {
        brokers: [address()],
        compression: "none",
        sessionTimeout: Duration.seconds(6),
        heartbeatInterval: Duration.millis(200),
        stallTimeout
      }
      return Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(KafkaLog.layer({ ...options, ...own }))))
    })

  it.live("a commit that has begun when its partition moves is carried through before the next owner starts", () =>
    use((log) =>
      Effect.gen(function* () {
        const { name } = yield* makeTopic({ partitions: 2 })
        const group = unique("group")
        const ended: Array<number> = []
        const begun = new Set<number>()
        const release = Promise.withResolvers<"pass">()
        proxy().judge = (api) => (api === Api.commit ? release.promise : "pass")
        yield* Effect.addFinalizer(() => Effect.sync(() => (proxy().judge = () => "pass")))
        yield* join(group, [name], (claim) =>
          Effect.gen(function* () {
            begun.add(claim.partition)
            yield* claim.commit(7, "worked up to here")
            return yield* Effect.never
          }).pipe(Effect.ensuring(Effect.sync(() => ended.push(claim.partition))))
        )
        yield* eventually(
          Effect.sync(() => begun.size),
          (size) => size === 2
        )
        const next = yield* join(group, [name])
        // One of the two is being interrupted in the middle of its commit.
        yield* Effect.sleep(Duration.seconds(1))
        assert.deepStrictEqual(ended, [])
        release.resolve("pass")
        const { claim } = yield* next.next
        assert.deepStrictEqual(ended, [claim.partition])
        assert.deepStrictEqual(yield* claim.committed, { offset: 7, metadata: "worked up to here" })
        yield* log.positions(group)
      })
    )
  )

  describe("a read that stands still in front of records", () => {
    /** Rejoins whenever its member fails, as services do. */
    const supervise = Effect.fnUntraced(function* (log: Log["Service"], topic: string, seen: Array<string | null>) {
      const failures: Array<LogError> = []
      const group = unique("group")
      yield* log
        .consume({ group, topics: [topic] }, (claim: Claim) =>
          pump(claim, (records) => Effect.sync(() => void seen.push(...values(records))))
        )
        .pipe(
          Effect.tapError((error) => Effect.sync(() => void failures.push(error))),
          Effect.retry({ while: () => true }),
          Effect.forkScoped
        )
      return failures
    })
    /** From now on no read is answered; ends when one has been asked in vain. */
    const mute = (waiting: boolean) =>
      Effect.gen(function* () {
        let muted = waiting ? 0 : 1
        proxy().judge = (api) => {
          if (api !== Api.fetch) return "pass"
          muted++
          return "mute"
        }
        yield* Effect.addFinalizer(() => Effect.sync(() => (proxy().judge = () => "pass")))
        yield* eventually(
          Effect.sync(() => muted),
          (count) => count > 0
        )
      })

    it.live("fails soon, says so, and goes on as a new member", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const seen: Array<string | null> = []
          const failures = yield* supervise(log, name, seen)
          yield* log.publish([record(name, null, "a")])
          yield* eventually(
            Effect.sync(() => seen.length),
            (length) => length === 1
          )
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* mute(true)
              yield* log.publish([record(name, null, "b")])
              const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
              yield* eventually(
                Effect.sync(() => failures.length),
                (length) => length === 1
              )
              const took = (yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - started
              // A request gives up only after 15 seconds.
              assert.isBelow(took, unhurried(10_000))
            })
          )
          yield* eventually(
            Effect.sync(() => seen.length),
            (length) => length === 2
          )
          assert.deepStrictEqual(seen, ["a", "b"])
          const [failure] = failures
          assert.strictEqual(failure?.failureClass, "transient")
          assert.match(
            failure?.message ?? "",
            new RegExp(`reading ${name}/0 stands still at offset \\d+: nothing came`)
          )
        })
      )
    )

    it.live("makes all connections anew the second time, and asks for a new process the third time", () => {
      const stalled: Array<string> = []
      return use(
        (log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            yield* mute(false)
            yield* log.publish([record(name, null, "a")])
            const failures = yield* supervise(log, name, [])
            yield* eventually(
              Effect.sync(() => failures.length),
              (length) => length === 1
            )
            const before = [...proxy().clients]
            yield* eventually(
              Effect.sync(() => failures.length),
              (length) => length === 2
            )
            // Those left are the broker's own, and the watch's.
            assert.isAtMost(before.filter((client) => proxy().clients.has(client)).length, 3, `of ${before.length}`)
            assert.deepStrictEqual(stalled, [])
            yield* eventually(
              Effect.sync(() => stalled.length),
              (length) => length === 1
            )
            assert.match(failures[1]?.message ?? "", /second time: all connections are made anew/)
            assert.match(stalled[0] ?? "", /this process should be started again/)
          }),
        { onStalled: (message) => Effect.sync(() => void stalled.push(message)) }
      )
    })

    it.live(
      "is none while the partition rests, the reader is busy, or a transaction is open; that is warned of",
      () => {
        const said = warnings()
        return use((log) =>
          Effect.gen(function* () {
            const { name: resting } = yield* makeTopic()
            const { name: open } = yield* makeTopic()
            const { name: busy } = yield* makeTopic()
            yield* log.publish([record(open, null, "a"), record(busy, null, "a"), record(busy, null, "b")])
            yield* openTransaction(address(), open)
            const one = { maxRecords: 1, maxBytes: 1, wait: patience }
            const waiting = yield* Effect.forEach([resting, open], (name) =>
              log
                .consume({ group: unique("group"), topics: [name] }, (claim) => pump(claim, () => Effect.void))
                .pipe(Effect.forkScoped)
            )
            const working = yield* log
              .consume({ group: unique("group"), topics: [busy] }, (claim) =>
                Effect.gen(function* () {
                  const { next } = yield* claim.read(0, one)
                  yield* Effect.sleep(Duration.times(stallTimeout, 3))
                  return yield* Effect.die(values((yield* claim.read(next, one)).records))
                })
              )
              .pipe(Effect.exit, Effect.timeout(patience))
            assert.deepStrictEqual(failureOf(working), ["b"])
            for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
            assert.deepStrictEqual(
              said.lines.filter((line) => line.includes("stands still")),
              []
            )
            const warned = said.lines.filter((line) => line.includes("a transaction has been open there"))
            assert.isAtLeast(warned.length, 1)
            for (const line of warned) assert.isTrue(line.startsWith(`${open}/0 cannot be read beyond offset `), line)
          })
        ).pipe(Effect.provide(said.layer))
      }
    )
  })

  it.live("work that waits for long keeps its partition: heartbeats go by a timer", () =>
    use(
      () =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const group = unique("group")
          const { claim, member } = yield* claimOf(group, name)
          const other = yield* join(group, [name])
          // As an insert does that waits for its server.
          yield* Effect.promise(() => sleep(6000))
          yield* claim.commit(1, "still mine")
          assert.deepStrictEqual(yield* claim.committed, { offset: 1, metadata: "still mine" })
          const first = yield* Effect.timeoutOption(Effect.raceFirst(member.next, other.next), Duration.millis(1))
          assert.strictEqual(first._tag, "None")
        }),
      { sessionTimeout: Duration.seconds(2), heartbeatInterval: Duration.millis(200) }
    )
  )
})
