import type { Knee, LoadResult } from "../LoadResult.ts"
import { bytes, decimal, duration, shortDuration, si } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { drawHorizontal, drawLine, drawVerticals, markLabel, place, renderFigure, renderPlot, ticks } from "./Plot.ts"
import { coveringTicks, linear, logarithmic, powerTicks, span, timeStep, upward, type Scale } from "./Scale.ts"
import { largest, type Point } from "./Series.ts"
import { cell, renderTable } from "./Table.ts"

/** From here on the lowest of two times is too small to see beside the highest on a straight scale. */
const wide = 12

const list = new Intl.ListFormat("en")

type Step = Knee["steps"][number]

const inOrder = (knee: Knee): ReadonlyArray<Step> =>
  knee.steps
    .filter((step) => Number.isFinite(step.rate) && Number.isFinite(step.p99) && step.rate >= 0 && step.p99 >= 0)
    .toSorted((a, b) => a.rate - b.rate)

/** Where the chain no longer kept up, and why, in words. */
export const kneeSentence = (knee: Knee): string => {
  const steps = inOrder(knee)
  const objective = `p99 within ${duration(knee.objective)}`
  const kept = steps.filter((step) => step.kept)
  if (kept.length === 0) return `The objective (${objective}) was kept at none of the rates that were tried.`
  const left = steps.find((step) => !step.kept && step.rate > knee.rate)
  const found = `The chain kept the objective (${objective}) up to ${decimal(knee.rate)} records/s`
  if (left === undefined) return `${found}, the highest rate that was tried: the knee lies above.`
  const reasons = [
    left.p99 > knee.objective ? `p99 was ${duration(left.p99)}` : "",
    left.lagGrew ? "the lag grew" : "",
    left.reached < left.rate * 0.95 ? `only ${decimal(left.reached)} records/s came through` : ""
  ].filter((reason) => reason !== "")
  return `${found}. At ${decimal(left.rate)} records/s ${reasons.length === 0 ? "it was no longer kept" : list.format(reasons)}.`
}

interface VerticalAxis {
  readonly scale: Scale
  readonly values: ReadonlyArray<number>
  readonly isByPowers: boolean
}

const verticalAxis = (times: ReadonlyArray<number>): VerticalAxis => {
  const positive = times.filter((time) => time > 0)
  const low = Math.min(...positive)
  const high = Math.max(...positive)
  if (positive.length > 1 && high / low > wide) {
    const from = Math.max(0.001, low / 1.5)
    const to = high * 1.5
    return { scale: upward(logarithmic(from, to)), values: powerTicks(from, to), isByPowers: true }
  }
  const values = coveringTicks(0, positive.length === 0 ? 0 : high * 1.05, 4, timeStep)
  return { scale: upward(linear(0, values.at(-1) ?? 1)), values, isByPowers: false }
}

const chart = (knee: Knee, steps: ReadonlyArray<Step>): Html => {
  const objective = Number.isFinite(knee.objective) ? Math.max(0, knee.objective) : 0
  const values = coveringTicks(
    0,
    largest(steps, (step) => step.rate),
    7
  )
  const x = linear(0, values.at(-1) ?? 1)
  const y = verticalAxis([...steps.map((step) => step.p99), objective])
  const line: ReadonlyArray<Point> = steps.map((step) => ({ at: step.rate, value: step.p99 }))
  const isFound = steps.some((step) => step.kept) && Number.isFinite(knee.rate)
  return renderPlot({
    description: kneeSentence(knee),
    size: "tall",
    x: ticks(values, x, si),
    y: ticks(y.values, y.scale, shortDuration),
    xTitle: `offered, records/s${y.isByPowers ? " (freshness: scale by powers)" : ""}`,
    drawing: [
      drawHorizontal(y.scale(objective), "objective"),
      isFound ? drawVerticals([x(knee.rate)], "quantile") : nothing,
      drawLine(line, x, y.scale, "knee")
    ],
    over: [
      markup`<span class="objective-label" ${place(0, y.scale(objective))}>objective ${duration(knee.objective)}</span>`,
      isFound
        ? markLabel({
            place: x(knee.rate),
            label: `knee ${decimal(knee.rate)} records/s`,
            row: 0,
            isLeft: x(knee.rate) > span / 2
          })
        : nothing,
      ...steps.map(
        (step) =>
          markup`<i
            class="dot ${step.kept ? "kept" : "left"}"
            ${place(x(step.rate), y.scale(step.p99))}
            title="${decimal(step.rate)} records/s offered, ${decimal(step.reached)} reached: p99 ${duration(step.p99)}${step.lagGrew ? ", the lag grew" : ""}"
          ></i>`
      )
    ],
    rows: 1,
    tips: steps.map((step) => ({
      place: x(step.rate),
      lines: [
        `${decimal(step.rate)} records/s`,
        `p99 ${duration(step.p99)}`,
        ...(step.lagGrew ? ["the lag grew"] : []),
        step.kept ? "kept" : "not kept"
      ]
    }))
  })
}

const table = (knee: Knee): Html =>
  renderTable({
    head: ["Step", "Offered, /s", "Reached, /s", "Freshness p99", "Lag", "CPU, cores", "Memory"],
    rows: knee.steps
      .toSorted((a, b) => a.rate - b.rate)
      .map((step) => ({
        cells: [
          cell(step.kept ? "✓ kept" : "✕ not kept", step.kept ? "good" : "bad"),
          cell(decimal(step.rate)),
          cell(decimal(step.reached), step.reached < step.rate * 0.95 ? "bad" : "plain"),
          cell(duration(step.p99), step.p99 > knee.objective ? "bad" : "plain"),
          cell(step.lagGrew ? "grew" : "steady", step.lagGrew ? "bad" : "plain"),
          cell(decimal(step.cpu)),
          cell(bytes(step.rss))
        ],
        below: nothing
      }))
  })

/** The rate at which the chain no longer keeps up; absent where it was not looked for. */
export const kneeSection = (result: LoadResult): Html => {
  const { knee } = result
  if (knee === undefined) return nothing
  const steps = inOrder(knee)
  return markup`<section id="knee">
    <h2>The knee</h2>
    <p class="lead">${kneeSentence(knee)}</p>
    ${
      steps.length === 0
        ? markup`<p class="empty">No step of the search was measured.</p>`
        : renderFigure({
            title: "Freshness p99 by rate",
            note: "Full dots kept the objective, crosses did not.",
            legend: [],
            body: chart(knee, steps)
          })
    }${knee.steps.length === 0 ? nothing : table(knee)}
  </section>`
}
