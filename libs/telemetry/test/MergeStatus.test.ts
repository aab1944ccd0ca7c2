import { assert, describe, it } from "@effect/vitest"
import { mergeStatus } from "../src/MergeStatus.ts"
import { initialStatus, type StageStatus } from "../src/Status.ts"
import type { WorkerStatus } from "../src/WorkerStatus.ts"

const now = 1_000_000
const stage = (fields: Partial<StageStatus>): StageStatus => ({ ...initialStatus, state: "running", ...fields })
const report = (worker: string, ago: number, stages: WorkerStatus["stages"], stream = "orders"): WorkerStatus => ({
  connector: "shop",
  stream,
  worker,
  at: now - ago,
  stages
})
const problem = (message: string, at: number) => ({ class: "transient" as const, message, at })

describe("mergeStatus", () => {
  it("sums the counters of the workers that live, per stage", () => {
    const [merged] = mergeStatus(
      [
        report("a", 60_000, {
          sink: stage({ records: 1, bytes: 10, rejected: 1, batches: 1, skipped: 1, restarts: 1 })
        }),
        report("b", 5_000, {
          sink: stage({ records: 2, bytes: 20, rejected: 2, batches: 2, skipped: 2, restarts: 2 })
        }),
        report("c", 60_001, { sink: stage({ records: 100, bytes: 100, restarts: 100 }) }),
        report("d", 1, { source: stage({ records: 7 }) })
      ],
      now
    )
    assert.deepInclude(merged?.stages.sink, { records: 3, bytes: 30, rejected: 3, batches: 3, skipped: 3, restarts: 3 })
    assert.strictEqual(merged?.stages.source?.records, 7)
    assert.isFalse("transform" in (merged?.stages ?? {}))
    assert.deepStrictEqual(
      merged?.workers.map(({ isLive, worker }) => [worker, isLive]),
      [
        ["d", true],
        ["b", true],
        ["a", true],
        ["c", false]
      ]
    )
  })

  it("takes the last state, unless one has a problem; then the last problem", () => {
    const fine = [
      report("a", 20, { source: stage({ state: "waiting", nextAt: 5 }) }),
      report("b", 10, { source: stage({ state: "running" }) })
    ]
    assert.deepInclude(mergeStatus(fine, now)[0]?.stages.source, { state: "running", nextAt: null, problem: null })
    const troubled = [
      ...fine,
      report("c", 30, { source: stage({ state: "retrying", problem: problem("newer", 9), nextAt: 3 }) }),
      report("d", 5, { source: stage({ state: "paused", problem: problem("older", 8), nextAt: 4 }) })
    ]
    assert.deepInclude(mergeStatus(troubled, now)[0]?.stages.source, {
      state: "retrying",
      problem: problem("newer", 9),
      nextAt: 3
    })
  })

  it("takes no problem of a worker that is gone, as long as another one lives", () => {
    const gone = report("a", 70_000, { source: stage({ state: "paused", problem: problem("old", 1), records: 5 }) })
    assert.deepInclude(mergeStatus([gone], now)[0]?.stages.source, { state: "paused", records: 5 })
    const merged = mergeStatus([gone, report("b", 0, { source: stage({ records: 1 }) })], now)
    assert.deepInclude(merged[0]?.stages.source, { state: "running", problem: null, records: 1 })
    // When all are gone the last word stays, and only that.
    const all = mergeStatus([gone, report("b", 80_000, { source: stage({ records: 1 }) })], now)
    assert.deepInclude(all[0]?.stages.source, { state: "paused", records: 5 })
  })

  it("takes time and freshness from the worker that came forward last", () => {
    const merged = mergeStatus(
      [
        report("a", 1, { sink: stage({ lastAt: 10, freshness: 600_000 }) }),
        report("b", 2, { sink: stage({ lastAt: 20, freshness: 900 }) }),
        report("c", 3, { sink: stage({}) })
      ],
      now
    )
    assert.deepInclude(merged[0]?.stages.sink, { lastAt: 20, freshness: 900 })
  })

  it("gives every stream once, in order", () => {
    const entries = ["b", "a", "b", "c"].map((stream, index) => report(`w${index}`, 0, {}, stream))
    assert.deepStrictEqual(
      mergeStatus(entries, now).map(({ stream }) => stream),
      ["a", "b", "c"]
    )
    assert.deepStrictEqual(mergeStatus([], now), [])
  })
})
