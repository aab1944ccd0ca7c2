import { Clock, Duration, Effect } from "effect"
import type { Knee } from "./LoadResult.ts"
import { awaitArrival, type LoadSession, offeredOf } from "./LoadSession.ts"
import { loadedBy, measure } from "./Measure.ts"

type Step = Knee["steps"][number]

/** So that a stream never runs out; far below what identifiers have room for. */
const burst = 200_000
/** Left out at the begin of each step: connections, batches and caches adapt to the new rate. */
const warmUp = Duration.seconds(5)
/** The rate of a step is reached when so much of it is loaded meanwhile. */
const reachedShare = 0.93
/** Growth of the lag (milliseconds) over a step that is more than chance: loading goes in batches, polls have pauses. */
const growth = 1_000
/** Rates are told apart so finely. */
const precision = 1.08
const factor = 1.3
const mostSteps = 24
/** What fails so clearly is not tried again. */
const clearly = 0.6

const mean = (values: Float64Array): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/**
 * Looks for the highest rate at which the 99th percentile of freshness stays below the objective and the lag does not grow: a burst
 * tells about where that is, then rates around it are held for a while each. A rate counts as failed when it has failed twice.
 */
export const findKnee = Effect.fn("load.findKnee")(function* (session: LoadSession, perStream: number, until: number) {
  const { api, begun, options, recorder, screen, streams, watch } = session
  const objective = Duration.toMillis(options.objective)
  const steps: Array<Step> = []

  const setRate = (rate: number) => api.set({ records: perStream, rate: rate / streams.length })

  /** Waits until what was offered two seconds ago is loaded, while little is offered. */
  const drain = Effect.fnUntraced(function* (rate: number) {
    yield* setRate(Math.max(1, rate / 20))
    const begun = yield* Clock.currentTimeMillis
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      const offered = offeredOf(yield* api.offers, now - 2_000)
      if (watch.hasAll(() => offered) || now - begun > 180_000 || now > until) return
      yield* Effect.sleep("500 millis")
    }
  })

  const hold = Effect.fnUntraced(function* (rate: number) {
    yield* setRate(rate)
    yield* Effect.sleep(warmUp)
    const from = yield* Clock.currentTimeMillis
    const before = recorder.total()
    yield* Effect.sleep(options.step)
    const to = yield* Clock.currentTimeMillis
    const used = recorder.total()
    // What was offered last has the time of the objective to arrive.
    for (let now = to; now < to + objective + 1_000; now = yield* Clock.currentTimeMillis) {
      const last = offeredOf(yield* api.offers, to)
      if (watch.hasAll(() => last)) break
      yield* Effect.sleep("250 millis")
    }
    const offers = yield* api.offers
    const now = yield* Clock.currentTimeMillis
    const [first, last] = [offeredOf(offers, from), offeredOf(offers, to)]
    const lasted = (to - from) / 1_000
    const samples = Array.from({ length: Math.floor(lasted) }, (_, k) => from + k * 1_000)
    const own = measure(watch, offers, () => [first, last], begun, [])
    // Rows of before the step, too, are loaded while it lasts.
    const wide = measure(watch, offers, () => [Math.max(0, first - (last - first)), last], begun, samples)
    const loaded = loadedBy(wide, begun)
    const atFrom = loaded(from)
    const becomes = own.freshness.count === 0 ? 1 : own.rows / own.freshness.count
    const reached = (loaded(to) - atFrom) / becomes / lasted
    const third = Math.floor(samples.length / 3)
    const lagGrew = mean(wide.lags.slice(-third)) - mean(wide.lags.slice(0, third)) > growth
    const isWhole = watch.hasAll(() => last)
    const p99 = isWhole
      ? Math.round(own.freshness.quantile(0.99))
      : Math.round(Math.max(now - to, own.freshness.quantile(0.99)))
    const step: Step = {
      rate: Math.round(rate),
      reached: Math.round(reached),
      p99,
      lagGrew,
      kept: isWhole && p99 <= objective && !lagGrew && reached >= reachedShare * rate,
      cpu: (used.cpu - before.cpu) / lasted,
      rss: used.rss
    }
    steps.push(step)
    yield* screen.note(
      `${step.rate.toLocaleString("en-US")} records/s: loaded ${step.reached.toLocaleString("en-US")}/s, p99 ${step.p99} ms, ` +
        `${lagGrew ? "the lag grew" : "the lag stayed"}, ${step.cpu.toFixed(2)} cores: ${step.kept ? "kept" : "not kept"}`
    )
    return step
  })

  const isKept = Effect.fnUntraced(function* (rate: number) {
    const first = yield* hold(rate)
    if (first.kept) return true
    yield* drain(rate)
    if (first.reached < clearly * rate) return false
    const second = yield* hold(rate)
    if (second.kept) return true
    yield* drain(rate)
    return false
  })

  // About where it is: what a backlog is loaded with.
  yield* screen.note(`a burst of ${burst.toLocaleString("en-US")} records`)
  const each = Math.ceil(burst / streams.length)
  yield* api.set({ records: each, rate: 0 })
  yield* awaitArrival(session, each, until)
  const offers = yield* api.offers
  const all = measure(watch, offers, () => [0, each], begun, [])
  const capacity = (all.freshness.count * 1_000) / Math.max(1, all.lastSeen - all.firstOffered)
  yield* screen.note(`loaded with ${Math.round(capacity).toLocaleString("en-US")} records/s`)

  let kept = 0
  let failed = Number.POSITIVE_INFINITY
  let rate = capacity * 0.8
  while (rate >= 1 && steps.length < mostSteps && (yield* Clock.currentTimeMillis) < until) {
    if (yield* isKept(rate)) kept = Math.max(kept, rate)
    else failed = Math.min(failed, rate)
    if (failed / Math.max(1, kept) <= precision) break
    rate = failed === Number.POSITIVE_INFINITY ? kept * factor : kept === 0 ? failed / factor : Math.sqrt(kept * failed)
  }
  // No more is offered; what has been is waited for.
  yield* drain(kept)
  yield* api.set({ records: perStream, rate: 1e-9 })
  return { rate: Math.round(kept), objective, steps } satisfies Knee
})
