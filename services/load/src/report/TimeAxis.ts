import type { LoadResult } from "../LoadResult.ts"
import { shortDuration, stopwatch } from "./Format.ts"
import { ticks, type Tick } from "./Plot.ts"
import { innerTicks, linear, timeStep, type Scale } from "./Scale.ts"
import { largest } from "./Series.ts"

/** The time of the test, the same in every chart over time. */
export interface TimeAxis {
  readonly scale: Scale
  readonly ticks: ReadonlyArray<Tick>
  readonly title: string
}

const leastSpan = 1000

export const timeAxis = (result: LoadResult): TimeAxis => {
  const end = Math.max(
    leastSpan,
    largest(result.samples, (sample) => sample.at),
    largest(result.faults, (fault) => fault.at),
    largest(result.processes, (process) => largest(process.samples, (sample) => sample.at))
  )
  const scale = linear(0, end)
  const isLong = end >= 60_000
  return {
    scale,
    ticks: ticks(innerTicks(0, end, 8, timeStep), scale, isLong ? stopwatch : shortDuration),
    title: isLong
      ? `time since the start, ${end >= 3_600_000 ? "hours:minutes:seconds" : "minutes:seconds"}`
      : "time since the start"
  }
}
