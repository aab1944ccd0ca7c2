import { KafkaLog } from "@tributary/kafka"
import { findKafka } from "@tributary/kafka/testing"
import { Log } from "@tributary/log"
import { Effect, Fiber } from "effect"
import { Kafka, logLevel } from "kafkajs"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import {
  engineWith,
  expected,
  finish,
  publish,
  rows,
  run,
  runUntil,
  setting,
  settled,
  type Setting,
  stored,
  until
} from "./support.ts"

const kafka = await findKafka()
afterAll(async () => {
  if ("server" in kafka) await kafka.server?.stop()
})

/** Publishes in a transaction, which leaves its marker behind the records. */
const transact = Effect.fnUntraced(function* (place: Setting, values: ReadonlyArray<string>) {
  const producer = yield* (yield* Log).producer(`test/${place.name}`)
  yield* producer.transact({
    records: values.map((value) => ({ topic: place.topic, partition: 0, key: null, value: Buffer.from(value) }))
  })
}, Effect.scoped)

/** Leaves records of a transaction that was aborted. */
const abort = (brokers: ReadonlyArray<string>, place: Setting, values: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const client = new Kafka({ brokers: [...brokers], clientId: "test", logLevel: logLevel.NOTHING })
    const producer = client.producer({
      transactionalId: `abort/${place.name}`,
      maxInFlightRequests: 1,
      idempotent: true
    })
    await producer.connect()
    const open = await producer.transaction()
    await open.send({ topic: place.topic, messages: values.map((value) => ({ value, partition: 0 })) })
    await open.abort()
    await producer.disconnect()
  })

const end = (place: Setting) =>
  Effect.map(
    Effect.flatMap(Log, (log) => log.offsets(place.topic)),
    ([first]) => first?.end ?? 0
  )

/** A second attempt finds nothing of the first: the topics are on a broker that both share. */
let attempts = 0

if ("missing" in kafka) {
  describe.skip(`a sink on Kafka: ${kafka.missing}`, () => it("is not there", () => {}))
} else {
  const { brokers } = kafka
  layerPerAttempt(engineWith(() => KafkaLog.layer({ brokers, compression: "none" })))(
    "the position behind the last record",
    (it) => {
      it.effect("passes the marker of its transaction, also when the records were a plan that is replayed", () =>
        Effect.gen(function* () {
          const place = yield* setting(`replayed${++attempts}`)
          yield* transact(place, rows(0, 10))
          // The broker writes the marker a moment later.
          yield* until(end(place), (found) => found === 11)
          assert.isTrue(yield* runUntil(place, "before ack", 1))
          // The position of every partition is its end.
          yield* finish(place)
          assert.deepStrictEqual(yield* stored(place), expected(10))
        })
      )

      it.effect("passes records of an aborted transaction, before there is a table, too", () =>
        Effect.gen(function* () {
          const place = yield* setting(`aborted${++attempts}`)
          yield* abort(brokers, place, rows(0, 5))
          const loader = yield* Effect.forkChild(run(place))
          yield* settled(place)
          yield* abort(brokers, place, rows(0, 5))
          yield* settled(place)
          // Ids are the offsets.
          const first = yield* until(end(place), (found) => found === 12)
          yield* publish(place, rows(first, 3))
          yield* until(stored(place), (found) => found.length === 3)
          yield* abort(brokers, place, rows(0, 5))
          yield* settled(place)
          yield* Fiber.interrupt(loader)
          // What was acknowledged for the table still is: nothing is loaded again.
          const last = yield* end(place)
          yield* publish(place, rows(last, 1))
          yield* finish(place)
          const ids = [first, first + 1, first + 2, last]
          assert.deepStrictEqual(
            yield* stored(place),
            ids.map((id) => `${id}:${id}`)
          )
        })
      )
    }
  )
}
