import type { LoadResult, LoadSample } from "../LoadResult.ts"
import { drawFaults, faultBadges, faultList, faultsOf } from "./Faults.ts"
import { count, decimal, duration, shortDuration, si, stopwatch } from "./Format.ts"
import { markup, type Html } from "./Html.ts"
import { drawArea, drawLine, legendEntry, renderFigure, renderPlot, ticks, type Tip } from "./Plot.ts"
import { coveringTicks, linear, timeStep, upward, type Scale } from "./Scale.ts"
import { evenly, largest, points, rates, type Point } from "./Series.ts"
import type { TimeAxis } from "./TimeAxis.ts"

/** More places than a pointer can tell apart are not needed. */
const mostTips = 200

interface Chart {
  readonly result: LoadResult
  readonly axis: TimeAxis
}

const verticalScale = (values: ReadonlyArray<number>): Scale => upward(linear(values[0] ?? 0, values.at(-1) ?? 1))

const tipsOf = ({ axis, result }: Chart, lines: (sample: LoadSample) => ReadonlyArray<string>): ReadonlyArray<Tip> =>
  evenly(
    result.samples.filter((sample) => Number.isFinite(sample.at)),
    mostTips
  ).map((sample) => ({ place: axis.scale(sample.at), lines: [stopwatch(sample.at), ...lines(sample)] }))

const totals = (chart: Chart): Html => {
  const { axis, result } = chart
  const faults = faultsOf(result)
  const last = result.samples.at(-1)
  const values = coveringTicks(
    0,
    largest(result.samples, (sample) => Math.max(sample.offered, sample.published, sample.loaded)),
    4
  )
  const y = verticalScale(values)
  const line = (value: (sample: LoadSample) => number, style: string) =>
    drawLine(points(result.samples, value), axis.scale, y, style)
  return renderFigure({
    title: "Records in all",
    note: "Offered by the API, published to the log, and loaded: there to be queried. The closer the lines, the fresher the data.",
    legend: [
      legendEntry("offered", `offered ${count(last?.offered ?? 0)}`),
      legendEntry("published", `published ${count(last?.published ?? 0)}`),
      legendEntry("loaded", `loaded ${count(last?.loaded ?? 0)}`)
    ],
    body: renderPlot({
      description: `Records offered, published and loaded over time. At the end: ${count(last?.offered ?? 0)}, ${count(last?.published ?? 0)} and ${count(last?.loaded ?? 0)}.`,
      size: "tall",
      x: axis.ticks,
      y: ticks(values, y, si),
      xTitle: axis.title,
      drawing: [
        drawFaults(faults, axis.scale),
        // The dashed lines come on top, so that all three are seen where they run together.
        line((sample) => sample.loaded, "loaded"),
        line((sample) => sample.published, "published"),
        line((sample) => sample.offered, "offered")
      ],
      over: faultBadges(faults, axis.scale),
      rows: faults.length === 0 ? 0 : 1,
      tips: tipsOf(chart, (sample) => [
        `offered ${count(sample.offered)}`,
        `published ${count(sample.published)}`,
        `loaded ${count(sample.loaded)}`,
        `lag ${duration(sample.lag)}`
      ])
    })
  })
}

const speed = ({ axis, result }: Chart): Html => {
  const faults = faultsOf(result)
  const offered = rates(points(result.samples, (sample) => sample.offered))
  const loaded = rates(points(result.samples, (sample) => sample.loaded))
  const values = coveringTicks(
    0,
    largest([...offered, ...loaded], (point) => point.value),
    3
  )
  const y = verticalScale(values)
  return renderFigure({
    title: "Records per second",
    note: "Where loaded runs above offered, the chain is catching up.",
    legend: [legendEntry("offered", "offered"), legendEntry("loaded", "loaded")],
    body: renderPlot({
      description: `Records per second over time, at most ${decimal(largest(loaded, (point) => point.value))} loaded.`,
      size: "middle",
      x: axis.ticks,
      y: ticks(values, y, si),
      xTitle: axis.title,
      drawing: [
        drawFaults(faults, axis.scale),
        drawLine(loaded, axis.scale, y, "loaded"),
        drawLine(offered, axis.scale, y, "offered")
      ],
      over: faultBadges(faults, axis.scale),
      rows: faults.length === 0 ? 0 : 1,
      tips: rateTips(offered, loaded, axis.scale)
    })
  })
}

/** Both lines have their windows from the same samples, so a place in one is the same time in the other. */
const rateTips = (offered: ReadonlyArray<Point>, loaded: ReadonlyArray<Point>, x: Scale): ReadonlyArray<Tip> =>
  loaded.map((point, k) => ({
    place: x(point.at),
    lines: [stopwatch(point.at), `offered ${decimal(offered[k]?.value ?? 0)}/s`, `loaded ${decimal(point.value)}/s`]
  }))

const lag = (chart: Chart): Html => {
  const { axis, result } = chart
  const faults = faultsOf(result)
  const line = points(result.samples, (sample) => sample.lag)
  const longest = largest(line, (point) => point.value)
  const values = coveringTicks(0, longest, 3, timeStep)
  const y = verticalScale(values)
  return renderFigure({
    title: "Lag",
    note: `Age of the oldest record that was offered and not yet loaded. At most ${duration(longest)}.`,
    legend: [],
    body: renderPlot({
      description: `Lag over time, at most ${duration(longest)}.`,
      size: "middle",
      x: axis.ticks,
      y: ticks(values, y, shortDuration),
      xTitle: axis.title,
      drawing: [
        drawArea(line, axis.scale, y, "lag"),
        drawFaults(faults, axis.scale),
        drawLine(line, axis.scale, y, "lag")
      ],
      over: faultBadges(faults, axis.scale),
      rows: faults.length === 0 ? 0 : 1,
      tips: tipsOf(chart, (sample) => [`lag ${duration(sample.lag)}`])
    })
  })
}

/** The way of the records over time. */
export const flowSection = (result: LoadResult, axis: TimeAxis): Html => {
  const chart = { result, axis }
  return markup`<section id="flow">
    <h2>Over time</h2>
    ${
      result.samples.length === 0
        ? markup`<p class="empty">No samples were taken, so there is nothing to draw.</p>`
        : markup`${totals(chart)}${speed(chart)}${lag(chart)}`
    }${faultList(faultsOf(result))}
  </section>`
}
