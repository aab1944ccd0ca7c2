import type { Vitest } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Option, Queue } from "effect"
import { assert, describe } from "vitest"
import { type Claim, LogError } from "../../src/index.ts"
import type { Storage } from "../LogConformance.ts"
import {
  claimOf,
  eventually,
  failureOf,
  join,
  makeTopic,
  numbers,
  patience,
  pump,
  reasonOf,
  record,
  unique,
  values,
  withLog
} from "./support.ts"

const nothing = { maxRecords: 1, maxBytes: 1, wait: Duration.zero }
const placeOf = ({ partition, topic }: Claim): string => `${topic.name}/${partition}`

export const groupCases = (it: Vitest.Methods, engine: Storage): void => {
  const use = withLog(engine)

  describe("a claim", () => {
    it.live("keeps offset and metadata as committed; none at first", () =>
      use((log) =>
        Effect.gen(function* () {
          const { id, name } = yield* makeTopic()
          const group = unique("group")
          const { claim } = yield* claimOf(group, name)
          assert.strictEqual(claim.topic.id, id)
          assert.isUndefined(yield* claim.committed)
          assert.deepStrictEqual(yield* log.positions(group), [])
          for (const metadata of ["", "plan", '{"v":1,"first":0}', "größe 🚀", "é".repeat(4096), "x".repeat(4096)]) {
            yield* claim.commit(metadata.length, metadata)
            assert.deepStrictEqual(yield* claim.committed, { offset: metadata.length, metadata })
          }
          const long = "x".repeat(4097)
          assert.strictEqual(yield* reasonOf(claim.commit(1, long)), "InvalidRequest")
          assert.strictEqual(yield* reasonOf(claim.commit(-1, "")), "InvalidRequest")
          assert.strictEqual(yield* reasonOf(claim.commit(0.5, "")), "InvalidRequest")
          assert.deepStrictEqual(yield* log.positions(group), [
            { topic: name, partition: 0, offset: 4096, metadata: "x".repeat(4096) }
          ])
        })
      )
    )

    it.live("moves only its own group", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* log.publish(numbers(0, 3).map((value) => record(name, null, value)))
          const one = yield* claimOf(unique("group"), name)
          const other = yield* claimOf(unique("group"), name)
          yield* one.claim.commit(2, "one")
          assert.isUndefined(yield* other.claim.committed)
          const batch = yield* other.claim.read(0, { ...nothing, maxRecords: 10, maxBytes: 1000, wait: patience })
          assert.deepStrictEqual(values(batch.records), ["0", "1", "2"])
        })
      )
    )

    it.live("reads fail out of range, and never jump", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          yield* log.publish([record(name, null, "a")])
          const { claim } = yield* claimOf(unique("group"), name)
          assert.strictEqual(yield* reasonOf(claim.read(1000, nothing)), "OffsetOutOfRange")
        })
      )
    )

    it.live("is over when its work has ended and another member has the partition", () =>
      use(() =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const group = unique("group")
          const old = yield* claimOf(group, name)
          yield* old.claim.commit(1, "old")
          yield* old.member.leave
          const { claim } = yield* claimOf(group, name)
          assert.isAbove(claim.generation, old.claim.generation)
          assert.strictEqual(yield* reasonOf(old.claim.commit(9, "zombie")), "Fenced")
          assert.strictEqual(yield* reasonOf(old.claim.committed), "Fenced")
          assert.strictEqual(yield* reasonOf(old.claim.read(0, nothing)), "Fenced")
          assert.deepStrictEqual(yield* claim.committed, { offset: 1, metadata: "old" })
        })
      )
    )
  })

  describe("a group", () => {
    it.live("spreads the partitions over its members, and each record is worked on once", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 4 })
          const group = unique("group")
          const seen: Array<string | null> = []
          const workers = [new Set<string>(), new Set<string>()]
          for (const places of workers) {
            yield* join(group, [name], (claim) =>
              pump(claim, (records) => {
                places.add(placeOf(claim))
                seen.push(...values(records))
                return Effect.void
              })
            )
          }
          const all: Array<string> = []
          // Both work in the end: publish until each has had records.
          for (let i = 0; i === 0 || workers.some((places) => places.size === 0); i += 100) {
            assert.isBelow(i, 100_000, "one member never got a partition")
            const batch = numbers(i, i + 100)
            all.push(...batch)
            yield* log.publish(batch.map((value) => record(name, value, value)))
            yield* eventually(
              Effect.sync(() => seen.length),
              (length) => length >= all.length
            )
          }
          assert.deepStrictEqual([...seen].sort(), [...all].sort())
        })
      )
    )

    it.live("spreads evenly, and leaves partitions where they are as far as it can", () =>
      use(() =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 6 })
          const group = unique("group")
          const owners = new Map<string, string>()
          let moves = 0
          const member = (id: string) =>
            join(group, [name], (claim) =>
              Effect.suspend(() => {
                moves++
                owners.set(placeOf(claim), id)
                return Effect.never
              }).pipe(Effect.ensuring(Effect.sync(() => owners.delete(placeOf(claim)))))
            )
          const spread = (...counts: ReadonlyArray<number>) =>
            eventually(
              Effect.sync(() => [...owners.values()]),
              (held) =>
                counts.every((count, i) => held.filter((id) => id === ["a", "b", "c"][i]).length === count) &&
                held.length === 6
            )
          yield* member("a")
          yield* spread(6)
          const b = yield* member("b")
          yield* spread(3, 3)
          assert.isAtMost(moves, 9)
          yield* member("c")
          yield* spread(2, 2, 2)
          assert.isAtMost(moves, 11)
          const before = new Map(owners)
          yield* b.leave
          yield* spread(3, 0, 3)
          for (const [place, id] of before) if (id !== "b") assert.strictEqual(owners.get(place), id)
        })
      )
    )

    it.live("goes on from the committed offset when a member leaves", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 2 })
          const group = unique("group")
          const seen: Array<string | null> = []
          const work = (claim: Claim) =>
            pump(claim, (records) => {
              seen.push(...values(records))
              return Effect.void
            })
          const first = yield* join(group, [name], work)
          yield* join(group, [name], work)
          yield* log.publish(numbers(0, 40).map((value) => record(name, value, value)))
          yield* eventually(
            Effect.sync(() => seen.length),
            (length) => length === 40
          )
          yield* first.leave
          yield* log.publish(numbers(40, 80).map((value) => record(name, value, value)))
          yield* eventually(
            Effect.sync(() => seen.length),
            (length) => length >= 80
          )
          assert.deepStrictEqual([...seen].sort(), [...numbers(0, 80)].sort())
        })
      )
    )

    it.live("starts the next owner only when the work of the one before has ended, its last commit included", () =>
      use(() =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const group = unique("group")
          const order: Array<string> = []
          const started = yield* Deferred.make<void>()
          const finish = yield* Deferred.make<void>()
          const first = yield* join(group, [name], (claim) =>
            Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
              Effect.onInterrupt(() =>
                Effect.gen(function* () {
                  order.push("interrupted")
                  yield* Deferred.await(finish)
                  yield* Effect.orDie(claim.commit(7, "last words"))
                  order.push("ended")
                })
              )
            )
          )
          yield* Deferred.await(started)
          const committed = yield* Deferred.make<unknown>()
          yield* join(group, [name], (claim) =>
            Effect.gen(function* () {
              order.push("next")
              yield* Deferred.succeed(committed, yield* claim.committed)
              return yield* Effect.never
            })
          )
          const leaving = yield* Effect.forkScoped(first.leave, { startImmediately: true })
          yield* eventually(
            Effect.sync(() => order.length),
            (length) => length > 0
          )
          yield* Effect.sleep("200 millis")
          assert.deepStrictEqual(order, ["interrupted"])
          yield* Deferred.succeed(finish, undefined)
          yield* Fiber.join(leaving)
          assert.deepStrictEqual(yield* Effect.timeout(Deferred.await(committed), patience), {
            offset: 7,
            metadata: "last words"
          })
          assert.deepStrictEqual(order, ["interrupted", "ended", "next"])
        })
      )
    )

    it.live("interrupts only the work that moves", () =>
      use(() =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 2 })
          const group = unique("group")
          const one = yield* join(group, [name])
          yield* one.next
          yield* one.next
          const two = yield* join(group, [name])
          const moved = yield* one.next
          const taken = yield* two.next
          assert.strictEqual(moved.kind, "ended")
          assert.strictEqual(taken.kind, "started")
          assert.strictEqual(taken.claim.partition, moved.claim.partition)
          yield* Effect.sleep("100 millis")
          assert.strictEqual(yield* Queue.size(one.events), 0)
        })
      )
    )

    it.live("fails its member when work fails, and gives the member's partitions to the others", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 2 })
          const group = unique("group")
          const trigger = yield* Deferred.make<void>()
          const failing = yield* log
            .consume({ group, topics: [name] }, ({ partition }) =>
              partition === 0 ? Effect.andThen(Deferred.await(trigger), Effect.fail("broken" as const)) : Effect.never
            )
            .pipe(Effect.forkScoped({ startImmediately: true }))
          yield* Effect.sleep("50 millis")
          yield* Deferred.succeed(trigger, undefined)
          const exit = yield* Effect.timeout(Fiber.await(failing), patience)
          assert.strictEqual(failureOf(exit), "broken")
          const other = yield* join(group, [name])
          yield* other.next
          yield* other.next
          const defect = yield* log
            .consume({ group: unique("group"), topics: [name] }, () => Effect.die("defect"))
            .pipe(Effect.exit, Effect.timeout(patience))
          assert.isTrue(Exit.hasDies(defect))
        })
      )
    )

    it.live("assigns topics and partitions that are made while it runs", () =>
      use((log) =>
        Effect.gen(function* () {
          const name = unique("later")
          const present = yield* makeTopic()
          const member = yield* join(unique("group"), [present.name, name])
          assert.strictEqual(placeOf((yield* member.next).claim), `${present.name}/0`)
          yield* log.ensureTopic({ name, partitions: 1 })
          assert.strictEqual(placeOf((yield* member.next).claim), `${name}/0`)
          yield* log.ensureTopic({ name, partitions: 2 })
          const added = yield* member.next
          assert.deepStrictEqual([added.kind, placeOf(added.claim)], ["started", `${name}/1`])
        })
      )
    )

    it.live("ends the work on a topic that is deleted", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const group = unique("group")
          const { claim, member } = yield* claimOf(group, name)
          yield* claim.commit(0, "old")
          yield* log.deleteTopic(name)
          assert.strictEqual((yield* member.next).kind, "ended")
          assert.strictEqual(yield* reasonOf(claim.commit(1, "")), "Fenced")
          assert.deepStrictEqual(yield* log.positions(group), [])
          yield* log.ensureTopic({ name, partitions: 1 })
          const again = yield* member.next
          assert.notStrictEqual(again.claim.topic.id, claim.topic.id)
          assert.isUndefined(yield* again.claim.committed)
        })
      )
    )

    it.live("ends all work before `consume` ends, when that is interrupted", () =>
      use(() =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic({ partitions: 3 })
          const member = yield* join(unique("group"), [name])
          for (let i = 0; i < 3; i++) yield* member.next
          assert.isTrue(Option.isSome(yield* Effect.timeoutOption(member.leave, patience)))
          assert.strictEqual(yield* Queue.size(member.events), 3)
          const ended = yield* Queue.takeAll(member.events)
          assert.deepStrictEqual(
            ended.map((event) => event.kind),
            ["ended", "ended", "ended"]
          )
        })
      )
    )

    it.live("passes the log's own errors on to `consume`", () =>
      use((log) =>
        Effect.gen(function* () {
          const { name } = yield* makeTopic()
          const exit = yield* log
            .consume({ group: unique("group"), topics: [name] }, (claim) =>
              Effect.andThen(claim.read(99, nothing), Effect.never)
            )
            .pipe(Effect.exit, Effect.timeout(patience))
          const failure = failureOf(exit)
          assert.instanceOf(failure, LogError)
          assert.strictEqual(failure.reason._tag, "OffsetOutOfRange")
        })
      )
    )
  })
}
