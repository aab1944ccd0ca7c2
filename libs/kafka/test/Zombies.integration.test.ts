import { it } from "@effect/vitest"
import { Log } from "@tributary/log"
import { claimOf, eventually, makeTopic, readAll, record, unique, values } from "@tributary/log/testing"
import { Duration, Effect, Layer, type Scope } from "effect"
import { spawn } from "node:child_process"
import { execPath } from "node:process"
import { fileURLToPath } from "node:url"
import { assert, describe } from "vitest"
import { KafkaLog } from "../src/index.ts"
import { brokerBehindProxy, missing } from "./fixtures/FaultyBroker.ts"
import { Api, type Proxy } from "./fixtures/Proxy.ts"

const zombie = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const fixture = fileURLToPath(new URL("fixtures/zombie.ts", import.meta.url))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(execPath, [fixture, ...args], { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
  const words = () => said.split("\n").filter((word) => word !== "")
  return {
    words,
    says: (count: number) =>
      eventually(
        Effect.sync(() => words()),
        (all) => all.length >= count
      ),
    go: Effect.sync(() => child.stdin.write("go\n")),
    freeze: Effect.sync(() => child.kill("SIGSTOP")),
    thaw: Effect.sync(() => child.kill("SIGCONT"))
  }
})

/** Holds up the n-th request of a kind on its way to the broker. */
const hold = (proxy: Proxy, api: number, n: number) => {
  const release = Promise.withResolvers<"pass">()
  let reached = false
  let count = 0
  proxy.judge = (seen) => {
    if (seen !== api || ++count !== n) return "pass"
    reached = true
    return release.promise
  }
  return {
    reached: eventually(
      Effect.sync(() => reached),
      (value) => value
    ),
    release: Effect.sync(() => {
      proxy.judge = () => "pass"
      release.resolve("pass")
    })
  }
}

describe.skipIf(missing !== undefined)(
  `A worker that was frozen and taken over${missing ? ` (${missing})` : ""}`,
  () => {
    const { address, proxy } = brokerBehindProxy()
    const use = <A, E>(body: (log: Log["Service"]) => Effect.Effect<A, E, Log | Scope.Scope>) =>
      Effect.suspend(() => {
        const layer = KafkaLog.layer({
          brokers: [address()],
          compression: "none",
          sessionTimeout: Duration.seconds(2),
          heartbeatInterval: Duration.millis(200)
        })
        return Effect.flatMap(Log, body).pipe(Effect.provide(Layer.fresh(layer)))
      })

    describe("a source writes nothing", () => {
      it.live("frozen before it begins", () =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const id = unique("id")
            const old = yield* zombie("source", address(), id, name, "1")
            yield* old.says(1)
            yield* old.freeze
            const next = yield* log.producer(id)
            yield* next.transact({ records: [record(name, null, "mine")] })
            yield* old.thaw
            yield* old.go
            assert.deepStrictEqual(yield* old.says(2), ["ready", "Fenced"])
            assert.deepStrictEqual(values(yield* readAll(name)), ["mine"])
          })
        )
      )

      // What it has sent arrives only after another has taken over: so the broker, not the worker, has to refuse it.
      it.live.each([
        ["before its first write", Api.addPartitions, 1],
        ["with its first write on the way", Api.produce, 1],
        ["between its writes", Api.produce, 3],
        ["with its commit on the way", Api.endTransaction, 1]
      ] as const)("frozen %s", ([, api, n]) =>
        use((log) =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const id = unique("id")
            const old = yield* zombie("source", address(), id, name, "4")
            yield* old.says(1)
            const held = hold(proxy(), api, n)
            yield* old.go
            yield* held.reached
            yield* old.freeze
            const next = yield* log.producer(id)
            yield* next.transact({ records: [record(name, null, "mine")] })
            yield* held.release
            yield* old.thaw
            assert.deepStrictEqual(yield* old.says(2), ["ready", "Fenced"])
            yield* next.transact({ records: [record(name, null, "mine too")] })
            assert.deepStrictEqual(values(yield* readAll(name)), ["mine", "mine too"])
          })
        )
      )
    })

    describe("a sink moves no position", () => {
      const cases = [
        ["plan", undefined, ["ready", "plan Fenced", "insert", "next Fenced"]],
        ["insert", { offset: 0, metadata: "plan 0-9" }, ["plan accepted", "ready", "insert", "next Fenced"]],
        ["next", { offset: 0, metadata: "plan 0-9" }, ["plan accepted", "insert", "ready", "next Fenced"]]
      ] as const

      it.live.each(cases)("frozen before step %s", ([step, found, words]) =>
        use(() =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const group = unique("group")
            const old = yield* zombie("sink", address(), group, name, step)
            yield* eventually(
              Effect.sync(() => old.words()),
              (all) => all.includes("ready")
            )
            yield* old.freeze
            const { claim } = yield* claimOf(group, name)
            // The plan of the one before is there for its successor, which does just that again.
            assert.deepStrictEqual(yield* claim.committed, found)
            yield* claim.commit(10, "mine")
            yield* old.thaw
            yield* old.go
            assert.deepStrictEqual(yield* old.says(words.length), [...words])
            assert.deepStrictEqual(yield* claim.committed, { offset: 10, metadata: "mine" })
            yield* claim.commit(20, "mine too")
          })
        )
      )

      it.live.each([
        ["plan", 1],
        ["next", 2]
      ] as const)("frozen with the commit of step %s on the way", ([step, n]) =>
        use(() =>
          Effect.gen(function* () {
            const { name } = yield* makeTopic()
            const group = unique("group")
            const held = hold(proxy(), Api.commit, n)
            const old = yield* zombie("sink", address(), group, name, "none")
            yield* held.reached
            yield* old.freeze
            const { claim } = yield* claimOf(group, name)
            yield* claim.commit(10, "mine")
            yield* held.release
            yield* old.thaw
            const words = yield* old.says(3)
            assert.strictEqual(words.at(-1), "next Fenced")
            assert.strictEqual(words[0], step === "plan" ? "plan Fenced" : "plan accepted")
            assert.deepStrictEqual(yield* claim.committed, { offset: 10, metadata: "mine" })
          })
        )
      )
    })
  }
)
