import { Catalog, type Change, revisionOf } from "@tributary/catalog"
import { parseConnector } from "@tributary/domain"
import { SqliteLog } from "@tributary/log"
import { Status } from "@tributary/telemetry"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import type { LoadedConnector } from "../src/ConnectorFiles.ts"
import { keepRunning, type Loading } from "../src/Reconcile.ts"
import { makeRunning } from "../src/Running.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-reconcile-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const logged: Array<string> = []

const surroundings = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Layer.mergeAll(
      Catalog.layer.pipe(Layer.provideMerge(SqliteLog.layer({ directory }))),
      Status.layer,
      NodeServices.layer,
      Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
    )
  )
)

const fileOf = (id: string, module?: string) =>
  [
    `connector: ${id}`,
    "http: { base_url: https://api.example }",
    "streams:",
    "  orders: { path: /orders, primary_key: id }",
    ...(module === undefined ? [] : ["transform:", `  - typescript: ${module}`]),
    ""
  ].join("\n")

const register = (id: string, script?: string): Change => {
  const text = fileOf(id, script === undefined ? undefined : "./module.ts")
  const scripts = script === undefined ? [] : [{ path: "./module.ts", text: script }]
  const { connector } = Result.getOrThrow(parseConnector(text, `${id}.yaml`)).connector
  return { register: { connector, file: `${id}.yaml`, text, scripts, revision: revisionOf(text, scripts) } }
}

/** Turns the clock on until a condition holds: log and files answer in their own time. */
const turnUntil = (what: string, condition: () => boolean) =>
  Effect.gen(function* () {
    for (let turns = 0; turns < 2000; turns++) {
      if (condition()) return
      yield* TestClock.adjust("100 millis")
      yield* Effect.promise(() => delay(5))
    }
    assert.fail(`Never: ${what}`)
  })

/** Runs what is registered, with `run` in place of the stages. */
const worker = Effect.fnUntraced(function* (
  options: Partial<Loading>,
  run: (loaded: LoadedConnector) => Effect.Effect<never> = () => Effect.never
) {
  const directory = yield* temporaryDirectory
  const started: Array<string> = []
  const running = yield* makeRunning((loaded) => {
    started.push(loaded.connector.connector)
    return run(loaded)
  })
  const loading = { directory: join(directory, "registered"), withScripts: true, said: new Map(), ...options }
  yield* Effect.forkScoped(keepRunning(undefined, running, loading, Effect.void))
  return { ...running, started, directory: loading.directory, said: loading.said }
})

const on = <E>(work: Effect.Effect<void, E, Layer.Success<typeof surroundings> | Scope.Scope>) =>
  Effect.suspend(() => {
    logged.length = 0
    return work
  }).pipe(Effect.scoped, Effect.provide(surroundings))

describe("what is registered", () => {
  it.effect("is tried again when its modules could not be written, and says so once", () =>
    on(
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const place = yield* temporaryDirectory
        const directory = join(place, "registered")
        // A file where the folder should be: nothing can be written below it.
        writeFileSync(directory, "")
        yield* catalog.write([register("scripted", "export const transform = (r) => r\n"), register("plain")])
        const { current } = yield* worker({ directory })
        yield* turnUntil("the one without modules runs", () => current.has("plain"))
        yield* turnUntil("the other's problem is said", () => logged.some((line) => line.includes("cannot be written")))
        yield* TestClock.adjust("60 seconds")
        assert.isFalse(current.has("scripted"))
        rmSync(directory)
        yield* turnUntil("it runs when there is room", () => current.has("scripted"))
        const base = current.get("scripted")?.base ?? ""
        assert.strictEqual(readFileSync(join(base, "module.ts"), "utf8"), "export const transform = (r) => r\n")
        const said = logged.filter((line) => line.includes("cannot be written"))
        assert.strictEqual(said.length, 1)
        assert.match(said.join(), /Connector scripted: its module .*module\.ts cannot be written .*--data/u)
      })
    )
  )

  it.effect("has its modules written only where they are loaded", () =>
    on(
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const place = yield* temporaryDirectory
        const directory = join(place, "registered")
        writeFileSync(directory, "")
        yield* catalog.write([register("scripted", "export const transform = (r) => r\n")])
        const { current } = yield* worker({ directory, withScripts: false })
        yield* turnUntil("it runs", () => current.has("scripted"))
      })
    )
  )

  it.effect("keeps modules that are there as they are, and mends those that are not whole", () =>
    on(
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const change = register("scripted", "export const transform = (r) => r\n")
        yield* catalog.write([change])
        const first = yield* worker({})
        yield* turnUntil("it runs", () => first.current.has("scripted"))
        const file = join(first.current.get("scripted")?.base ?? "", "module.ts")
        const before = statSync(file)
        const second = yield* worker({ directory: first.directory })
        yield* turnUntil("it runs here too", () => second.current.has("scripted"))
        const after = statSync(file)
        assert.deepStrictEqual([after.ino, after.mtimeMs], [before.ino, before.mtimeMs])
        writeFileSync(file, "export const tra")
        const third = yield* worker({ directory: first.directory })
        yield* turnUntil("it runs once more", () => third.current.has("scripted"))
        assert.strictEqual(readFileSync(file, "utf8"), "export const transform = (r) => r\n")
        // In its place, not over it: who reads the old one reads all of it.
        assert.notStrictEqual(statSync(file).ino, before.ino)
      })
    )
  )

  it.effect("does not wait for one that takes long to end, nor ends with one that should not be", () =>
    on(
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const let_go = yield* Deferred.make<void>()
        yield* catalog.write([register("a-slow", "1"), register("b")])
        const { current, started } = yield* worker({}, ({ connector }) =>
          connector.connector === "a-slow"
            ? Effect.ensuring(Effect.never, Deferred.await(let_go))
            : connector.connector === "c-broken"
              ? Effect.die(new Error("a mistake of ours"))
              : Effect.never
        )
        // Else a failure below would be a wait without end.
        yield* Effect.addFinalizer(() => Deferred.succeed(let_go, undefined))
        yield* turnUntil("both run", () => started.length === 2 && current.size === 2)
        yield* catalog.write([register("a-slow", "2"), register("c-broken"), register("d")])
        yield* turnUntil("the new one runs", () => current.has("d"))
        assert.isFalse(current.has("a-slow"))
        yield* Deferred.succeed(let_go, undefined)
        yield* turnUntil("the slow one runs again", () => started.filter((id) => id === "a-slow").length === 2)
        yield* turnUntil("it is there", () => current.has("a-slow"))
      })
    )
  )

  it.effect("goes on when loading one of them is a defect, which is tried again", () =>
    on(
      Effect.gen(function* () {
        const catalog = yield* Catalog
        let isBroken = true
        yield* catalog.write([register("a-broken"), register("b")])
        const { current } = yield* worker({}, ({ connector }) => {
          if (isBroken && connector.connector === "a-broken") throw new Error("a mistake of ours")
          return Effect.never
        })
        yield* turnUntil("the other runs", () => current.has("b"))
        yield* turnUntil("it is said", () => logged.some((line) => line.includes("please report it. Error: a mistake")))
        assert.isFalse(current.has("a-broken"))
        isBroken = false
        yield* turnUntil("it runs", () => current.has("a-broken"))
      })
    )
  )
})

describe("connectors that run", () => {
  it.effect("leave nothing in the status when they end", () =>
    on(
      Effect.gen(function* () {
        const status = yield* Status
        const scope = yield* Scope.make()
        const { start } = yield* Scope.provide(
          makeRunning(() =>
            // As a stage does that is at its last batch.
            Effect.ensuring(Effect.never, Effect.andThen(Effect.yieldNow, status.reporter("shop", "orders", "source")))
          ),
          scope
        )
        const { connector } = Result.getOrThrow(parseConnector(fileOf("shop"), "shop.yaml"))
        yield* start({ file: "shop.yaml", base: "/", connector, further: [], text: "", scripts: [], revision: "1" })
        yield* Effect.yieldNow
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* status.snapshot, [])
      })
    )
  )
})
