import type { LoadResult, ProcessUse } from "../LoadResult.ts"
import { drawFaults, faultsOf } from "./Faults.ts"
import { bytes, count, decimal, percent, plural, stopwatch } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { drawArea, drawLine, renderPlot, ticks, type Tip } from "./Plot.ts"
import { binaryStep, coveringTicks, linear, upward } from "./Scale.ts"
import { evenly, largest, points, sum } from "./Series.ts"
import { cell, renderTable } from "./Table.ts"
import type { TimeAxis } from "./TimeAxis.ts"

/** Processes that are drawn; the table has all. */
const mostDrawn = 16
const mostTips = 100

const byUse = (result: LoadResult): ReadonlyArray<ProcessUse> =>
  result.processes.toSorted((a, b) => (Number.isFinite(b.cpu) ? b.cpu : 0) - (Number.isFinite(a.cpu) ? a.cpu : 0))

const busiest = (process: ProcessUse): number => largest(process.samples, (sample) => sample.cpu)

const tipsOf = (
  process: ProcessUse,
  axis: TimeAxis,
  line: (sample: ProcessUse["samples"][number]) => string
): ReadonlyArray<Tip> =>
  evenly(
    process.samples.filter((sample) => Number.isFinite(sample.at)),
    mostTips
  ).map((sample) => ({ place: axis.scale(sample.at), lines: [stopwatch(sample.at), line(sample)] }))

/** One process: its CPU on the scale all share, so that rows can be compared, and its memory on one of its own, so that growth shows. */
const row = (process: ProcessUse, result: LoadResult, axis: TimeAxis, cores: ReadonlyArray<number>): Html => {
  const marks = drawFaults(faultsOf(result), axis.scale)
  const cpuScale = upward(linear(0, cores.at(-1) ?? 1))
  const cpu = points(process.samples, (sample) => sample.cpu)
  const memory = points(process.samples, (sample) => sample.rss)
  const sizes = coveringTicks(
    0,
    Math.max(
      largest(memory, (point) => point.value),
      1024
    ),
    2,
    binaryStep
  )
  const memoryScale = upward(linear(0, sizes.at(-1) ?? 1))
  const frame = { size: "mini", x: axis.ticks, xTitle: "", over: [], rows: 0 } as const
  return markup`<div class="process">
    <div class="who">
      <h4>${process.name}</h4>
      <p>${decimal(process.cpu)} CPU seconds<br>at most ${decimal(busiest(process))} cores<br>at most ${bytes(process.rss)}${
        process.restarts > 0 ? markup`<br><b>${plural(process.restarts, "restart")}</b>` : nothing
      }</p>
    </div>
    ${
      cpu.length === 0
        ? markup`<p class="empty">No samples.</p>`
        : markup`<div class="measure">
              <h5>CPU, cores</h5>
              ${renderPlot({
                ...frame,
                description: `CPU of ${process.name} over time, at most ${decimal(busiest(process))} cores.`,
                y: ticks(cores, cpuScale, decimal),
                drawing: [
                  drawArea(cpu, axis.scale, cpuScale, "cpu"),
                  marks,
                  drawLine(cpu, axis.scale, cpuScale, "cpu")
                ],
                tips: tipsOf(process, axis, (sample) => `${decimal(sample.cpu)} cores`)
              })}
            </div>
            <div class="measure">
              <h5>Memory</h5>
              ${renderPlot({
                ...frame,
                description: `Resident memory of ${process.name} over time, at most ${bytes(process.rss)}.`,
                y: ticks(sizes, memoryScale, bytes),
                drawing: [
                  drawArea(memory, axis.scale, memoryScale, "memory"),
                  marks,
                  drawLine(memory, axis.scale, memoryScale, "memory")
                ],
                tips: tipsOf(process, axis, (sample) => bytes(sample.rss))
              })}
            </div>`
    }
  </div>`
}

const table = (processes: ReadonlyArray<ProcessUse>, total: number): Html =>
  renderTable({
    head: ["Process", "CPU seconds", "Share of all", "CPU at most, cores", "Memory at most", "Restarts"],
    rows: processes.map((process) => ({
      cells: [
        cell(process.name),
        cell(decimal(process.cpu)),
        cell(percent(process.cpu / total)),
        cell(decimal(busiest(process))),
        cell(bytes(process.rss)),
        cell(count(process.restarts))
      ],
      below: nothing
    }))
  })

/** What each process used. */
export const processSection = (result: LoadResult, axis: TimeAxis): Html => {
  const processes = byUse(result)
  if (processes.length === 0) {
    return markup`<section id="processes">
      <h2>Processes</h2>
      <p class="empty">No process was measured.</p>
    </section>`
  }
  const drawn = processes.slice(0, mostDrawn)
  const cores = coveringTicks(0, Math.max(0.1, largest(drawn, busiest)), 2)
  const total = sum(processes, (process) => process.cpu)
  return markup`<section id="processes">
    <h2>Processes</h2>
    <p class="lead">
      ${decimal(total)} CPU seconds in
      all${
        total > 0 && result.records > 0
          ? markup`: ${decimal(result.records / total)} records for each CPU second`
          : nothing
      }.
    </p>
    <figure>
      <figcaption>
        <p>
          Busiest first. CPU has the same scale in every row, memory its own.
          ${
            result.faults.length === 0 ? "" : "Upright dashed lines are the faults listed above. "
          }${drawn.length < processes.length ? `Drawn are the ${count(drawn.length)} busiest.` : ""}
        </p>
      </figcaption>
      ${drawn.map((process) => row(process, result, axis, cores))}
    </figure>
    ${table(processes, total)}
  </section>`
}
