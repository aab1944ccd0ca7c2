import { connectorsTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Result, type Scope } from "effect"
import { Catalog, connectorPartition, connectorPartitions, type Registrations } from "../src/Catalog.ts"
import { readCompacted } from "../src/CompactedTopic.ts"
import { revisionOf } from "../src/Registration.ts"
import { type Cable, catalogBehind, register } from "./support.ts"

const utf8 = new TextEncoder()

const on = <E>(work: (cable: Cable) => Effect.Effect<void, E, Catalog | Log | Scope.Scope>) => {
  const cable: Cable = { isCut: false, refused: 0 }
  return work(cable).pipe(Effect.scoped, Effect.provide(catalogBehind(cable)))
}

/** Identifiers with `!` for those that cannot be read, and the text of the others. */
const shown = (registered: Registrations): Record<string, string> =>
  Object.fromEntries(
    [...registered].map(([id, entry]) => [
      id,
      Result.match(entry, { onSuccess: ({ text }) => text, onFailure: () => "!" })
    ])
  )

/** Follows from now on; what is shown comes through the queue. */
const following = Effect.fnUntraced(function* (partition?: number) {
  const catalog = yield* Catalog
  const views = yield* Queue.unbounded<Record<string, string>>()
  yield* Effect.forkScoped(catalog.follow(partition, (view) => Effect.asVoid(Queue.offer(views, shown(view)))))
  /** Takes views until one is as expected: what is written in one go may show in two. */
  const until = (expected: Record<string, string>) =>
    Effect.gen(function* () {
      let last: Record<string, string> = {}
      do last = yield* Queue.take(views)
      while (JSON.stringify(sorted(last)) !== JSON.stringify(sorted(expected)))
    }).pipe(
      Effect.timeoutOrElse({
        duration: "10 seconds",
        orElse: () => Effect.die(new Error(`${JSON.stringify(expected)} was never shown`))
      })
    )
  return { until, views }
})

const sorted = (view: Record<string, string>) =>
  Object.entries(view).toSorted(([left], [right]) => (left < right ? -1 : 1))

/** An identifier in the same partition as another one, or in another. */
const other = (id: string, isTogether: boolean): string => {
  for (let number = 0; ; number++) {
    const found = `other${number}`
    if ((connectorPartition(found) === connectorPartition(id)) === isTogether) return found
  }
}

describe("a catalog", () => {
  it.live("lists what was written, and nothing that was deleted", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        assert.deepStrictEqual(shown(yield* catalog.list), {})
        yield* catalog.write([register("a", "1"), register("b", "1"), register("c", "1")])
        yield* catalog.write([register("a", "2"), { remove: "b" }])
        assert.deepStrictEqual(shown(yield* catalog.list), { a: "2", c: "1" })
        yield* catalog.write([{ remove: "a" }, { remove: "c" }, { remove: "never-there" }])
        assert.deepStrictEqual(shown(yield* catalog.list), {})
        yield* catalog.write([register("b", "3")])
        assert.deepStrictEqual(shown(yield* catalog.list), { b: "3" })
        yield* catalog.write([])
      })
    )
  )

  it.live("keeps every connector in the partition that its identifier says", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        const ids = Array.from({ length: 100 }, (_, index) => `connector${index}`)
        yield* catalog.write(ids.map((id) => register(id)))
        const topic = (yield* log.topics).find(({ name }) => name === connectorsTopic)
        assert.deepInclude(topic, { partitions: connectorPartitions, compacted: true })
        for (const { end, partition } of yield* log.offsets(connectorsTopic)) {
          assert.strictEqual(end, ids.filter((id) => connectorPartition(id) === partition).length)
        }
        assert.isAbove(new Set(ids.map((id) => connectorPartition(id))).size, 40)
      })
    )
  )

  it.live("shows followers every change, and those of one partition only theirs", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const near = other("a", true)
        const far = other("a", false)
        yield* catalog.write([register("a", "1"), register(far, "1")])
        const all = yield* following()
        const part = yield* following(connectorPartition("a"))
        yield* all.until({ a: "1", [far]: "1" })
        yield* part.until({ a: "1" })
        yield* catalog.write([register(near, "1"), register("a", "2")])
        yield* all.until({ a: "2", [near]: "1", [far]: "1" })
        yield* part.until({ a: "2", [near]: "1" })
        yield* catalog.write([{ remove: "a" }])
        yield* all.until({ [near]: "1", [far]: "1" })
        yield* part.until({ [near]: "1" })
        // One who comes later is shown what there is at once.
        const late = yield* following()
        yield* late.until({ [near]: "1", [far]: "1" })
      })
    )
  )

  it.live("makes the topic for a follower that was first, and shows it that nothing is registered", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const { until } = yield* following()
        yield* until({})
        yield* catalog.write([register("a", "1")])
        yield* until({ a: "1" })
      })
    )
  )

  it.live("fails for a follower whose work fails, and goes on for the others", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        yield* catalog.write([register("a", "1")])
        const { until } = yield* following()
        const failing = yield* Effect.forkScoped(
          catalog.follow(undefined, (view) => (view.size > 1 ? Effect.fail("too many" as const) : Effect.void))
        )
        yield* until({ a: "1" })
        yield* catalog.write([register("b", "1")])
        assert.strictEqual(yield* Effect.flip(Fiber.join(failing)), "too many")
        yield* until({ a: "1", b: "1" })
      })
    )
  )

  it.live("says which registrations it cannot read, beside those that it can", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        yield* catalog.write([register("a", "1")])
        const { until } = yield* following()
        const strange = ["not JSON", '{"v":2,"connector":"strange"}', "\u{0}", ""]
        for (const value of strange) {
          yield* log.publish([{ topic: connectorsTopic, key: utf8.encode("strange"), value: utf8.encode(value) }])
          const listed = yield* catalog.list
          assert.deepStrictEqual(shown(listed), { a: "1", strange: "!" }, value)
          const entry = listed.get("strange")
          assert.isTrue(entry !== undefined && Result.isFailure(entry))
          if (entry === undefined || Result.isSuccess(entry)) continue
          assert.strictEqual(entry.failure.failureClass, "misconfigured")
          assert.match(entry.failure.message, /strange cannot be read .*tributary apply/)
        }
        yield* until({ a: "1", strange: "!" })
        // Registered again it is well, and a deletion takes it away.
        yield* catalog.write([register("strange", "2")])
        yield* until({ a: "1", strange: "2" })
        yield* catalog.write([{ remove: "strange" }])
        yield* until({ a: "1" })
      })
    )
  )

  it.live("goes on as it was while the log is away, and catches up when it is back", () =>
    on((cable) =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        yield* catalog.write([register("a", "1")])
        const { until, views } = yield* following()
        yield* until({ a: "1" })
        cable.isCut = true
        const lost = yield* Effect.flip(catalog.write([register("b", "1")]))
        assert.strictEqual(lost.failureClass, "transient")
        assert.strictEqual((yield* Effect.flip(catalog.list)).reason._tag, "LogUnavailable")
        const before = cable.refused
        yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => cable.refused > before + 1 })
        assert.strictEqual(yield* Queue.size(views), 0)
        cable.isCut = false
        yield* catalog.write([register("b", "1"), { remove: "a" }])
        yield* until({ b: "1" })
      })
    )
  )

  it.live("reads a topic that was deleted and made anew from its start", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        const near = other("a", true)
        yield* catalog.write([register("a", "1"), register(near, "1"), register("a", "2")])
        const { until } = yield* following()
        yield* until({ a: "2", [near]: "1" })
        yield* log.deleteTopic(connectorsTopic)
        // Fewer, as many and more records than before: only the new ones count.
        yield* catalog.write([register("a", "new")])
        yield* until({ a: "new" })
        yield* log.deleteTopic(connectorsTopic)
        yield* catalog.write([register("a", "newer")])
        yield* until({ a: "newer" })
        yield* log.deleteTopic(connectorsTopic)
        yield* catalog.write([register(near, "1"), register(near, "2"), register(near, "3"), register(near, "4")])
        yield* until({ [near]: "4" })
        assert.deepStrictEqual(shown(yield* catalog.list), { [near]: "4" })
      })
    )
  )

  it.live("shows the followers of a partition what is in it, however many partitions the topic has", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        const ids = Array.from({ length: 20 }, (_, index) => `connector${index}`)
        const follows = (partitions: number) =>
          Effect.forEach(
            Array.from({ length: partitions }, (_, partition) => partition),
            (partition) =>
              Effect.gen(function* () {
                const own = ids.filter((id) => connectorPartition(id, partitions) === partition)
                const { until } = yield* following(partition)
                yield* until(Object.fromEntries(own.map((id) => [id, `${partitions}`])))
              })
          )
        yield* log.ensureTopic({ name: connectorsTopic, partitions: 5, compacted: true })
        yield* catalog.write(ids.map((id) => register(id, "5")))
        yield* follows(5)
        // Made anew with fewer, nothing is left of the others.
        const { until } = yield* following()
        yield* log.deleteTopic(connectorsTopic)
        yield* log.ensureTopic({ name: connectorsTopic, partitions: 2, compacted: true })
        yield* catalog.write(ids.slice(1).map((id) => register(id, "2")))
        yield* until(Object.fromEntries(ids.slice(1).map((id) => [id, "2"])))
      })
    )
  )

  it.live("shows one who begins to follow nothing of a topic that was made anew meanwhile", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        yield* catalog.write([register("a", "1")])
        yield* (yield* following()).until({ a: "1" })
        yield* log.deleteTopic(connectorsTopic)
        yield* catalog.write([register("b", "1")])
        const { views } = yield* following()
        assert.deepStrictEqual(yield* Queue.take(views), { b: "1" })
      })
    )
  )

  it.live("goes on as it was when the topic is deleted, until something is written to a new one", () =>
    on(() =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const log = yield* Log
        yield* catalog.write([register("a", "1")])
        const { until, views } = yield* following()
        yield* until({ a: "1" })
        yield* log.deleteTopic(connectorsTopic)
        // Each looks before it is shown something.
        assert.deepStrictEqual(yield* Queue.take((yield* following()).views), { a: "1" })
        // As a worker does that starts.
        yield* catalog.prepare
        assert.deepStrictEqual(yield* Queue.take((yield* following()).views), { a: "1" })
        assert.strictEqual(yield* Queue.size(views), 0)
        yield* catalog.write([{ remove: "a" }])
        yield* until({})
      })
    )
  )

  it.live("is the same for two processes that write at the same time", () =>
    on(() =>
      Effect.gen(function* () {
        const log = yield* Log
        const one = yield* Catalog
        const { until } = yield* following()
        yield* Effect.gen(function* () {
          const two = yield* Catalog
          yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (index) =>
              (index % 2 === 0 ? one : two).write([register("a", `${index}`), register(`of${index % 2}`, `${index}`)]),
            { concurrency: 6 }
          )
          const seen = shown(yield* two.list)
          assert.deepStrictEqual(shown(yield* one.list), seen)
          assert.sameMembers(Object.keys(seen), ["a", "of0", "of1"])
          yield* until(seen)
        }).pipe(
          Effect.provide(Layer.fresh(Catalog.layer).pipe(Layer.provide(Layer.succeed(Log, log))), { local: true })
        )
      })
    )
  )
})

describe("a compacted topic", () => {
  it.live("that is not there has no keys", () =>
    on(() =>
      Effect.gen(function* () {
        assert.strictEqual((yield* readCompacted("nothing")).size, 0)
      })
    )
  )

  it.live("is read to its end in many steps", () =>
    on(() =>
      Effect.gen(function* () {
        const log = yield* Log
        yield* log.ensureTopic({ name: "many", partitions: 2, compacted: true })
        for (let round = 0; round < 5; round++) {
          yield* log.publish(
            Array.from({ length: 600 }, (_, index) => ({
              topic: "many",
              key: utf8.encode(`key${index}`),
              value: index % 3 === 0 && round === 4 ? null : utf8.encode(`${round}`)
            }))
          )
        }
        const all = yield* readCompacted("many")
        assert.strictEqual(all.size, 400)
        for (const { value } of all.values()) assert.strictEqual(new TextDecoder().decode(value ?? undefined), "4")
      })
    )
  )
})

describe("a revision", () => {
  it("differs whenever the text or a module does, and by nothing else", () => {
    const script = { path: "./a.ts", text: "1" }
    const revisions = [
      revisionOf("text", []),
      revisionOf("text2", []),
      revisionOf("text", [script]),
      revisionOf("text", [{ path: "./b.ts", text: "1" }]),
      revisionOf("text", [{ path: "./a.ts", text: "2" }]),
      revisionOf("text", [script, script])
    ]
    assert.strictEqual(new Set(revisions).size, revisions.length)
    assert.strictEqual(revisionOf("text", [{ ...script }]), revisions[2])
  })
})
