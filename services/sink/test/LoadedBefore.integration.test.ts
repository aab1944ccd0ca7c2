import { Connector, rawTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { Duration, Effect, Fiber, Logger, Schema } from "effect"
import { runSink, sinkGroup } from "../src/index.ts"
import { Engine, until } from "./support.ts"

const decode = Schema.decodeUnknownSync(Connector)

layerPerAttempt(Engine)("a table whose topic was deleted", (it) => {
  for (const mode of ["append", "upsert"] as const) {
    it.effect(`is ${mode === "append" ? "" : "not "}warned of in mode ${mode}, once`, () => {
      const stream = `deleted_${mode}`
      const topic = rawTopic("shop", stream)
      const connector = decode({
        connector: "shop",
        http: { base_url: "https://api.shop.example" },
        streams: { [stream]: { path: "/", primary_key: "id", schema: { id: "int64" } } },
        sink: { clickhouse: { table: "shop.{stream}", mode, flush_every: "20 millis" } }
      })
      const said: Array<string> = []
      const log = Logger.layer([
        Logger.make(({ logLevel, message }) => void (logLevel === "Warn" && said.push(String(message))))
      ])
      /** Publishes a record, and runs the sink until it is loaded. */
      const load = Effect.fnUntraced(function* (end: number) {
        const log = yield* Log
        yield* log.ensureTopic({ name: topic, partitions: 1, retention: Duration.days(7) })
        yield* log.publish([{ topic, key: null, value: Buffer.from(`{"id":1}`) }])
        const sink = yield* Effect.forkChild(runSink(connector, stream, { once: false }))
        yield* until(
          log.positions(sinkGroup("shop", stream, `shop.${stream}`)),
          (found) => found.find((one) => one.topic === topic)?.offset === end
        )
        yield* Fiber.interrupt(sink)
      })
      return Effect.gen(function* () {
        const { deleteTopic } = yield* Log
        yield* load(1)
        yield* load(2)
        assert.deepStrictEqual(said, [])
        yield* deleteTopic(topic)
        yield* load(1)
        yield* load(2)
        assert.strictEqual(said.length, mode === "append" ? 1 : 0, said.join("\n"))
        if (mode === "append") {
          assert.include(said[0], `shop.${stream} has rows of an earlier topic ${topic}: the log was deleted`)
          assert.include(said[0], "drop the table too")
        }
      }).pipe(Effect.provide(log))
    })
  }
})
