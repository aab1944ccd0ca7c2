import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { GroupCommit } from "../src/GroupCommit.ts"
import { logWith, withServices } from "./support.ts"

describe("GroupCommit", () => {
  it.live("writes what comes in one turn together, into a log that does not keep it waiting", () =>
    withServices(
      Effect.gen(function* () {
        const groups: Array<number> = []
        const counted = logWith((log) => ({
          publish: (records) =>
            Effect.suspend(() => {
              groups.push(records.length)
              return log.publish(records)
            })
        }))
        yield* Effect.gen(function* () {
          const log = yield* Log
          yield* log.ensureTopic({ name: "inbox.shop.items", partitions: 1 })
          const commits = yield* GroupCommit.make(log)
          // It waits before the first comes.
          yield* commits.drained
          for (let round = 0; round < 2; round++) {
            yield* Effect.callback<void>((resume) => {
              let kept = 0
              const one = () =>
                commits.add({ topic: "inbox.shop.items", key: null, value: new Uint8Array(10) }, (fate) => {
                  assert.strictEqual(fate, "kept")
                  if (++kept === 100) resume(Effect.void)
                })
              // As requests of several connections do: each in its own call, with what it set off run before the next.
              let last = Promise.resolve()
              for (let number = 0; number < 1000; number++) last = last.then(number % 10 === 0 ? one : undefined)
            })
          }
          assert.deepStrictEqual(groups, [100, 100])
        }).pipe(Effect.provide(counted, { local: true }))
      }).pipe(Effect.scoped)
    )
  )
})
