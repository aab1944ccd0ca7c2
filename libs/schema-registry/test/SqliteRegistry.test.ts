import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layerMemory, layerNone, layerSqlite, SchemaRegistry } from "../src/index.ts"
import { suite } from "./RegistryConformance.ts"

suite("SqliteRegistry", layerMemory)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "registry-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const schema = '{"type":"record","name":"order","fields":[]}'
const within = <A, E>(path: string, body: (registry: SchemaRegistry["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Effect.flatMap(SchemaRegistry, body), layerSqlite({ directory: path }), { local: true })

describe("the file of the embedded registry", () => {
  it.live("keeps schemas, versions and compatibility", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const id = yield* within(path, (registry) =>
        registry.register("orders-value", schema, { type: "avro", compatibility: "FULL" })
      )
      yield* within(path, (registry) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* registry.byId(id), { type: "avro", text: schema })
          assert.deepStrictEqual(Option.getOrUndefined(yield* registry.latest("orders-value"))?.id, id)
          const next = schema.replace("[]", '[{"name":"id","type":"long"}]')
          const error = yield* Effect.flip(registry.register("orders-value", next, { type: "avro" }))
          assert.include(error.message, "not FULL compatible")
        })
      )
    })
  )

  it.live("serves two processes at once", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* within(path, (one) =>
        within(path, (other) =>
          Effect.gen(function* () {
            const id = yield* one.register("orders-value", schema, { type: "avro" })
            assert.strictEqual(yield* other.register("orders-value", schema, { type: "avro" }), id)
            assert.deepStrictEqual(yield* other.byId(id), { type: "avro", text: schema })
          })
        )
      )
    })
  )

  it.live("says why it cannot be used", () =>
    Effect.gen(function* () {
      const path = yield* directory
      writeFileSync(join(path, "registry.db"), "this is not a database, but long enough to be read as one".repeat(20))
      const error = yield* Effect.flip(within(path, (registry) => registry.latest("orders-value")))
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, "damaged")
    })
  )

  it.live("refuses what is no schema", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const error = yield* Effect.flip(
        within(path, (registry) => registry.register("orders-value", '{"type":"recrod"}', { type: "avro" }))
      )
      assert.strictEqual(error.reason._tag, "SchemaRefused")
    })
  )
})

describe("no registry", () => {
  it.effect("says how to name one", () =>
    Effect.gen(function* () {
      const registry = yield* SchemaRegistry
      const error = yield* Effect.flip(registry.register("orders-value", schema, { type: "avro" }))
      assert.strictEqual(error.failureClass, "misconfigured")
      assert.include(error.message, "TRIBUTARY_REGISTRY_URL")
    }).pipe(Effect.provide(layerNone))
  )
})
