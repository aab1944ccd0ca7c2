import { assert, describe, it } from "@effect/vitest"
import type { SyntheticOffers } from "@tributary/testkit"
import { Duration, Effect } from "effect"
import { type LoadOptions, problemOf } from "../src/LoadOptions.ts"
import { loadStreams } from "../src/LoadStreams.ts"
import { checkMemory } from "../src/Machine.ts"
import { bestRate, loadedBy, measure, offeredBy } from "../src/Measure.ts"
import { UseRecorder } from "../src/ProcessUse.ts"
import { QuantileCounter } from "../src/Quantile.ts"
import { partitionOfRecord, Watch } from "../src/Watch.ts"

const options: LoadOptions = {
  records: 1_000,
  connectors: 1,
  streams: 2,
  partitions: 3,
  recordSize: 0,
  rate: 0,
  format: "json",
  transform: "none",
  poll: Duration.seconds(1),
  latency: Duration.zero,
  faults: false,
  killEvery: Duration.minutes(1),
  workers: { source: 1, transform: 1, sink: 1 },
  longest: Duration.minutes(5),
  objective: Duration.seconds(10),
  findKnee: false,
  step: Duration.seconds(20),
  listen: { host: "127.0.0.1", port: 0 },
  url: undefined,
  report: undefined,
  keep: false
}
const perStream = 500
const begun = 1_000_000

/** A watch that saw each record of both streams `delay` milliseconds after it was offered, 1000 a second and stream. */
const watched = (delay: number, count: number, transform: LoadOptions["transform"] = "none") => {
  const watch = new Watch(loadStreams("load_x", { ...options, transform }, perStream))
  for (const { first, number, partitions } of watch.streams) {
    for (let index = 0; index < count; index++) {
      const seen = watch.seen[number]![partitionOfRecord(first + index, partitions)]!
      seen.at.push(begun + index + 1 + delay)
      seen.last.push(first + index)
    }
  }
  return watch
}
const offers: SyntheticOffers = { segments: [{ at: begun, from: 0, rate: 1_000 }], sent: [], records: perStream }
const samples = [begun, begun + 100, begun + 300, begun + 600, begun + 5_000]

describe("what is measured", () => {
  it("is the time from offered to seen, of each record", () => {
    const measured = measure(watched(250, perStream), offers, () => [0, perStream], begun, samples)
    assert.strictEqual(measured.rows, 2 * perStream)
    const { count, longest, p50, p99 } = measured.freshness.result()
    assert.deepStrictEqual([count, longest], [2 * perStream, 250])
    assert.closeTo(p50, 250, 3)
    assert.closeTo(p99, 250, 3)
    assert.strictEqual(measured.firstOffered, begun + 1)
    assert.strictEqual(measured.lastSeen, begun + perStream + 250)
    // 99 ms after the first was offered nothing is there; later the oldest is as old as loading takes.
    assert.strictEqual(measured.lags[1], 99)
    assert.closeTo(measured.lags[2]!, 250, 20)
    assert.strictEqual(measured.lags[4], 0)
    const loaded = loadedBy(measured, begun)
    assert.strictEqual(loaded(begun + 200), 0)
    assert.closeTo(loaded(begun + 450), 2 * 150, 10)
    assert.strictEqual(loaded(begun + 5_000), 2 * perStream)
    assert.closeTo(bestRate(measured), 1_000_000 / 749, 2)
  })
  it("counts what was not seen as lag, and not as fresh", () => {
    const measured = measure(watched(250, 200), offers, () => [0, perStream], begun, samples)
    assert.isBelow(measured.freshness.count, 2 * perStream)
    assert.isAtLeast(measured.freshness.count, 2 * 200 - 10)
    assert.closeTo(measured.lags[4]!, 5_000 - 200, 10)
  })
  it("leaves out records that a filter leaves out", () => {
    const measured = measure(watched(1, perStream, "cast"), offers, () => [0, perStream], begun, [])
    assert.isBelow(measured.rows, 2 * perStream)
    assert.strictEqual(measured.freshness.count, measured.rows)
  })
  it("knows when all is there", () => {
    const watch = watched(1, perStream - 1)
    assert.isTrue(watch.hasAll(() => perStream - 1))
    assert.isFalse(watch.hasAll(() => perStream))
  })
  it("counts what was offered by a rate and by what was sent", () => {
    const { streams } = watched(1, 1)
    assert.strictEqual(offeredBy(offers, streams, perStream, begun + 100), 200)
    assert.strictEqual(offeredBy(offers, streams, perStream, begun + 10_000), 2 * perStream)
    const sent: SyntheticOffers = {
      segments: [{ at: begun, from: 0, rate: 0 }],
      sent: [
        { at: [begun + 10, begun + 20], records: [100, 200] },
        { at: [begun + 15], records: [100] }
      ],
      records: perStream
    }
    assert.deepStrictEqual(
      [5, 10, 15, 20].map((at) => offeredBy(sent, streams, perStream, begun + at)),
      [0, 100, 200, 300]
    )
  })
})

describe("quantiles", () => {
  it("are right to a percent, over seven decades", () => {
    const counter = new QuantileCounter()
    const values = Array.from({ length: 20_000 }, (_, k) => 1.0008 ** k)
    for (const value of values) counter.add(value)
    for (const share of [0.5, 0.95, 0.99, 0.999]) {
      const exact = values[Math.ceil(share * values.length) - 1]!
      assert.closeTo(counter.quantile(share) / exact, 1, 0.011)
    }
    const { bounds, histogram } = counter.result()
    assert.strictEqual(histogram.length, bounds.length + 1)
    assert.strictEqual(
      histogram.reduce((sum, count) => sum + count, 0),
      values.length
    )
    assert.strictEqual(histogram[0], values.filter((value) => value < bounds[0]!).length)
  })
  it("of nothing are 0", () => {
    assert.deepInclude(new QuantileCounter().result(), { count: 0, p50: 0, p99: 0, longest: 0 })
  })
})

describe("what processes use", () => {
  it("is added up over their lives, without what they used before", () => {
    const recorder = new UseRecorder(0)
    recorder.add("own", 1, { cpu: 2, rss: 10 }, 0)
    recorder.add("own", 1, { cpu: 4, rss: 30 }, 2_000)
    recorder.add("own", 2, { cpu: 1, rss: 20 }, 4_000)
    recorder.add("running", 7, { cpu: 100, rss: 5 }, 0, true)
    recorder.add("running", 7, { cpu: 101, rss: 5 }, 2_000, true)
    const [own, running] = recorder.result()
    assert.deepInclude(own, { name: "own", cpu: 5, rss: 30, restarts: 1 })
    assert.deepStrictEqual(
      own?.samples.map(({ cpu }) => cpu),
      [1, 0.5]
    )
    assert.deepInclude(running, { name: "running", cpu: 1, restarts: 0 })
  })
})

describe("options", () => {
  it("are right, or the first that is not is named", () => {
    assert.isUndefined(problemOf(options, true))
    const of = (change: Partial<LoadOptions>) => problemOf({ ...options, ...change }, true)?.message ?? ""
    assert.match(of({ streams: 150, connectors: 2 }), /^--streams makes 300 streams/u)
    assert.match(of({ records: 1 }), /^--records is 1, fewer than the 2 streams/u)
    assert.match(of({ rate: -1 }), /^--rate is -1/u)
    assert.match(
      of({ workers: { source: 1, transform: 0, sink: 1 }, transform: "cast" }),
      /^--workers has no transform/u
    )
    assert.match(of({ findKnee: true, rate: 5 }), /^--find-knee looks for the rate by itself/u)
  })
  it.effect("ask for the memory that is needed", () =>
    Effect.gen(function* () {
      yield* checkMemory(0, false, 1)
      const error = yield* Effect.flip(checkMemory(1, true, 10 ** 12))
      assert.match(error.message, /^There are \d+ MiB of memory left, and the test needs about \d+ MiB/u)
    })
  )
})
