import { it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import { afterAll, assert, describe } from "vitest"
import { Warehouse } from "../src/index.ts"
import { findClickHouse, startClickHouse } from "./server/index.ts"
import { planOf, records, spec, temporaryDirectory, wallClock } from "./support.ts"

const found = await findClickHouse()
afterAll(() => ("missing" in found ? undefined : found.server?.stop()))

/** Tests on whatever ClickHouse is there. They share it with others, so that all is in a database of their own. */
describe.skipIf("missing" in found)(
  `a ClickHouse server${"missing" in found ? ` (skipped: ${found.missing})` : ""}`,
  () => {
    const endpoint = "missing" in found ? undefined : found.endpoint
    const server = "missing" in found ? undefined : found.server
    const database = `tributary_test_${randomUUID().replaceAll("-", "")}`
    const use = <A, E>(body: (warehouse: Warehouse["Service"]) => Effect.Effect<A, E>) =>
      Effect.suspend(() => {
        assert(endpoint !== undefined)
        return Effect.provide(Warehouse.use(body), Warehouse.layerServer(endpoint))
      })
    afterAll(() =>
      endpoint === undefined
        ? undefined
        : Effect.runPromise(use((warehouse) => warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)))
    )

    it.live("stores a plan once, and only what is missing of it after the window has passed", () =>
      use((warehouse) =>
        Effect.gen(function* () {
          const table = yield* warehouse.ensureTable(
            { ...spec("once", { schema: { id: "int64", at: "timestamp" } }), database },
            []
          )
          const rows = records(0, 500, (offset) => `{"id":${offset},"at":"2026-01-01T00:00:00.123Z"}`)
          const plan = planOf(0, 499)
          const encoded = table.encode(rows)
          for (let k = 0; k < 3; k++) yield* table.insert(plan, encoded)
          const again = yield* table.insertMissing({ ...plan, plannedAt: wallClock() }, rows)
          assert.deepStrictEqual([again.stored, again.inserted], [500, 0])
          yield* warehouse.command(`DELETE FROM ${database}.once WHERE id % 5 = 0`)
          const healed = yield* table.insertMissing({ ...plan, plannedAt: wallClock() }, rows)
          assert.deepStrictEqual([healed.stored, healed.inserted], [400, 100])
          assert.deepStrictEqual(
            yield* warehouse.query(
              `SELECT count() AS n, sum(id) AS ids, uniqExact(_offset) AS o FROM ${database}.once`
            ),
            [{ n: "500", ids: String((499 * 500) / 2), o: "500" }]
          )
        })
      )
    )

    it.live.skipIf(server === undefined)("keeps what it acknowledged over a crash", () =>
      use((warehouse) =>
        Effect.gen(function* () {
          const table = yield* warehouse.ensureTable({ ...spec("kept", { schema: { id: "int64" } }), database }, [])
          const encoded = table.encode(records(0, 1000, (offset) => `{"id":${offset}}`))
          const plan = planOf(0, 999)
          yield* table.insert(plan, encoded)
          yield* Effect.promise(async () => server?.kill())
          const down = yield* Effect.flip(warehouse.ping)
          assert.strictEqual(down.failureClass, "transient")
          yield* Effect.promise(async () => server?.restart())
          yield* Effect.suspend(() => table.insert({ ...plan, plannedAt: wallClock() }, encoded)).pipe(
            Effect.retry({
              schedule: Schedule.spaced("50 millis"),
              while: (error) => error.failureClass === "transient"
            }),
            Effect.timeout("90 seconds")
          )
          assert.deepStrictEqual(yield* warehouse.query(`SELECT count() AS n FROM ${database}.kept`), [{ n: "1000" }])
        })
      )
    )
  }
)

it.live("a server of the test's own can be killed, stopped and started again where it was", () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const server = yield* startClickHouse({ directory })
    const { url, user, password } = server
    yield* Effect.gen(function* () {
      const warehouse = yield* Warehouse
      yield* warehouse.command("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
      yield* warehouse.command("INSERT INTO t SELECT number FROM numbers(1000)")
      for (const end of [server.kill9, server.stop, Effect.andThen(server.pause, server.kill9)]) {
        const before = server.pid
        yield* end
        assert.isUndefined(server.pid)
        assert.strictEqual((yield* Effect.flip(warehouse.ping)).failureClass, "transient")
        yield* server.start
        yield* server.start
        assert.isNumber(server.pid)
        assert.notStrictEqual(server.pid, before)
        assert.deepStrictEqual(yield* warehouse.query("SELECT count() AS n FROM t"), [{ n: "1000" }])
      }
    }).pipe(Effect.provide(Warehouse.layerServer({ url, user, password })))
  })
)
