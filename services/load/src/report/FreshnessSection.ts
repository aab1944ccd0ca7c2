import type { LoadResult, Quantiles } from "../LoadResult.ts"
import { count, duration, plural, shortDuration, si } from "./Format.ts"
import { markup, type Html } from "./Html.ts"
import { drawBar, drawVerticals, markLabel, renderFigure, renderPlot, ticks } from "./Plot.ts"
import { coveringTicks, linear, logarithmic, powerTicks, span, upward, type Scale } from "./Scale.ts"
import { largest, sum } from "./Series.ts"

/** More bars than these are put together by twos, fours and so on. */
const mostBars = 90

interface Bar {
  readonly from: number
  readonly to: number
  readonly records: number
}

/** Lowest time of the scale by powers, which has no zero. Milliseconds. */
const shortest = 0.001
const furthest = 1e12

const onScale = (ms: number): number => Math.max(shortest, Math.min(furthest, ms))

/** The bars with something in them and those between, with ends on the scale. */
const barsOf = ({ bounds, histogram, longest }: Quantiles): ReadonlyArray<Bar> => {
  // A last bound without end says no more than that the count has no bound above.
  const ends = bounds.filter((bound) => Number.isFinite(bound) && bound > 0)
  const last = ends.at(-1)
  const first = ends[0]
  if (last === undefined || first === undefined) return []
  const ratio = Math.max(1.05, ends.length > 1 ? (ends[1] ?? first) / first : 2)
  const bars: Array<Bar> = histogram.map((records, k) => ({
    from: onScale(ends[k - 1] ?? (k === 0 ? first / ratio : last)),
    to: onScale(ends[k] ?? Math.max(last * ratio, Number.isFinite(longest) ? longest : 0)),
    records: Number.isFinite(records) ? Math.max(0, records) : 0
  }))
  const used = bars.findIndex((bar) => bar.records > 0)
  const end = bars.findLastIndex((bar) => bar.records > 0)
  return used < 0 ? [] : together(bars.slice(used, end + 1).filter((bar) => bar.to > bar.from))
}

const together = (bars: ReadonlyArray<Bar>): ReadonlyArray<Bar> => {
  const size = Math.ceil(bars.length / mostBars)
  if (size <= 1) return bars
  return Array.from({ length: Math.ceil(bars.length / size) }, (_, k) => bars.slice(k * size, (k + 1) * size)).flatMap(
    (group) => {
      const first = group[0]
      const last = group.at(-1)
      if (first === undefined || last === undefined) return []
      return [{ from: first.from, to: last.to, records: sum(group, (bar) => bar.records) }]
    }
  )
}

const marksOf = (freshness: Quantiles): ReadonlyArray<{ readonly name: string; readonly value: number }> =>
  [
    { name: "p50", value: freshness.p50 },
    { name: "p95", value: freshness.p95 },
    { name: "p99", value: freshness.p99 }
  ].filter((mark) => Number.isFinite(mark.value) && mark.value > 0)

const histogram = (freshness: Quantiles, bars: ReadonlyArray<Bar>): Html => {
  const marks = marksOf(freshness)
  const low = Math.min(...bars.map((bar) => bar.from), ...marks.map((mark) => onScale(mark.value)))
  const high = Math.max(...bars.map((bar) => bar.to), ...marks.map((mark) => onScale(mark.value)))
  const x: Scale = logarithmic(low, high)
  const values = coveringTicks(
    0,
    largest(bars, (bar) => bar.records),
    4
  )
  const height = linear(0, values.at(-1) ?? 1)
  const total = sum(bars, (bar) => bar.records)
  // Further right, a label would leave the paper on a phone.
  const isLeft = (value: number): boolean => x(value) > span * 0.68
  return renderPlot({
    description: `Histogram of freshness. ${marks.map((mark) => `${mark.name} ${duration(mark.value)}`).join(", ")}.`,
    size: "tall",
    x: ticks(powerTicks(low, high), x, shortDuration),
    y: ticks(values, upward(height), si),
    xTitle: "from offered to there to be queried (scale by powers)",
    drawing: [
      ...bars.map((bar) =>
        drawBar(
          x,
          bar.from,
          bar.to,
          // A few among a million are still there to be seen.
          bar.records > 0 ? Math.max(span / 80, height(bar.records)) : 0,
          bar.from >= freshness.p99 ? "tail" : "body",
          `${duration(bar.from)} to ${duration(bar.to)}: ${plural(bar.records, "record")} of ${count(total)}`
        )
      ),
      drawVerticals(
        marks.map((mark) => x(mark.value)),
        "quantile"
      )
    ],
    over: marks.map((mark, k) =>
      markLabel({
        place: x(mark.value),
        label: `${mark.name} ${duration(mark.value)}`,
        // The label that starts furthest out is the highest, so that none lies on the line of another.
        row: isLeft(marks.at(-1)?.value ?? 0) ? k : 2 - k,
        isLeft: isLeft(mark.value)
      })
    ),
    rows: 3,
    tips: []
  })
}

/** How old records were when they could be queried. */
export const freshnessSection = (result: LoadResult): Html => {
  const { freshness } = result
  const bars = barsOf(freshness)
  return markup`<section id="freshness">
    <h2>Freshness</h2>
    ${
      bars.length === 0
        ? markup`<p class="empty">No record's freshness was measured.</p>`
        : renderFigure({
            title: "Records by their age when they could be queried",
            note: `${plural(freshness.count, "record")} measured. Half were there within ${duration(freshness.p50)}, 95 of 100 within ${duration(freshness.p95)}, 99 of 100 within ${duration(freshness.p99)}; the slowest took ${duration(freshness.longest)}.`,
            legend: [],
            body: histogram(freshness, bars)
          })
    }
  </section>`
}
