import { truthy } from "../expression/Compare.ts"
import { PyError } from "../expression/PyError.ts"
import { dictGet, dictOf } from "../expression/Dict.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { atMost, type Axis, earlier, type Gap, later, less, type Point } from "./Axis.ts"
import type { Clamp } from "./Clamping.ts"
import { Slice } from "./Slice.ts"
import type { SourceRecord } from "./Selector.ts"

/** An interval that has been read, with the latest value seen in it. */
interface Interval {
  start: Point
  end: Point
  latest: Point | undefined
}

export interface CursorSettings {
  readonly axis: Axis
  readonly field: string
  /** Names of a slice's start and end; undefined for a cursor that has one slice only. */
  readonly boundaries: readonly [start: string, end: string] | undefined
  readonly start: Point | undefined
  /** The end of what is read; called when it is needed, for it may be now. */
  readonly end: () => Point
  readonly lookback: Gap | undefined
  /** Length of a slice; undefined: one slice. */
  readonly step: Gap | undefined
  readonly granularity: Gap | undefined
  readonly clamp: Clamp
  readonly isCompareStrict: boolean
}

const own = (state: PlainDict, name: string): Value | undefined =>
  Object.hasOwn(state, name) ? state[name] : undefined

/** Reads on from where it was: the CDK's `ConcurrentCursor`. A mutable record of one stream, or one partition of it. */
export class Cursor {
  readonly settings: CursorSettings
  /** From where records are new. */
  readonly from: Point
  private intervals: Array<Interval>
  private readonly legacy: PlainDict
  private readonly latest = new Map<string, Point>()
  private hasClosed = false

  constructor(settings: CursorSettings, state: PlainDict) {
    this.settings = settings
    const { axis, start } = settings
    if (own(state, "state_type") === "date-range" || own(state, "state_type") === "integer") {
      this.intervals = this.readIntervals(own(state, "slices"))
      const legacy = own(state, "legacy")
      this.legacy = legacy !== undefined && isPlainDict(legacy) ? { ...legacy } : {}
      const [first] = this.intervals
      this.from = first?.latest ?? first?.end ?? start ?? axis.zero()
      return
    }
    const begin = start ?? axis.zero()
    const stored = own(state, settings.field)
    const known = stored === undefined ? undefined : axis.parse(stored)
    this.from = known !== undefined && truthy(known) && !less(known, begin) ? known : begin
    this.intervals = [{ start: start ?? this.from, end: this.from, latest: this.from }]
    this.legacy = { ...state }
  }

  private readIntervals(given: Value | undefined): Array<Interval> {
    if (!Array.isArray(given)) return []
    const { axis } = this.settings
    return given.flatMap((item) => {
      if (!isPlainDict(item)) return []
      const latest = own(item, "most_recent_cursor_value")
      return [
        {
          start: axis.parse(own(item, "start") ?? null),
          end: axis.parse(own(item, "end") ?? null),
          latest: latest === undefined || latest === null ? undefined : axis.parse(latest)
        }
      ]
    })
  }

  /** What is kept for the next run. */
  get state(): PlainDict {
    const [first] = this.merged(this.intervals)
    if (first === undefined) return { ...this.legacy }
    const at = first.latest !== undefined && truthy(first.latest) ? first.latest : first.start
    return { ...this.legacy, [this.settings.field]: this.settings.axis.output(at) }
  }

  private merged(intervals: ReadonlyArray<Interval>): Array<Interval> {
    const sorted = intervals
      .map((interval) => ({ ...interval }))
      .toSorted((a, b) =>
        less(a.start, b.start) ? -1 : less(b.start, a.start) ? 1 : less(a.end, b.end) ? -1 : less(b.end, a.end) ? 1 : 0
      )
    const result: Array<Interval> = []
    for (const interval of sorted) {
      const last = result.at(-1)
      if (last === undefined || less(this.settings.axis.increment(last.end), interval.start)) result.push(interval)
      else {
        last.end = later(last.end, interval.end)
        last.latest =
          last.latest !== undefined && interval.latest !== undefined
            ? later(interval.latest, last.latest)
            : (interval.latest ?? last.latest)
      }
    }
    return result
  }

  /** The cursor's value in a record; undefined when there is none that can be read. */
  valueOf(record: PlainDict): Point | undefined {
    const given = dictGet(dictOf(record) ?? {}, this.settings.field)
    if (given === undefined || given === null) return undefined
    try {
      return this.settings.axis.parse(given)
    } catch (error) {
      if (error instanceof PyError && error.kind === "ValueError") return undefined
      throw error
    }
  }

  observe({ data, slice }: SourceRecord): void {
    const value = this.valueOf(data)
    if (value === undefined) return
    const key = slice.key
    const known = this.latest.get(key)
    if (known === undefined || less(known, value)) this.latest.set(key, value)
  }

  /** Says that all of a slice was read. True when that changed the state. */
  close(slice: Slice): boolean {
    const { axis, boundaries } = this.settings
    const latest = this.latest.get(slice.key)
    const before = this.intervals.length
    if (boundaries !== undefined) {
      const [start, end] = boundaries
      this.intervals.push({
        start: axis.parse(slice.get(start) ?? null),
        end: axis.parse(slice.get(end) ?? null),
        latest
      })
    } else if (latest !== undefined && truthy(latest)) {
      this.intervals.push({ start: this.from, end: latest, latest })
    }
    const isChanged = this.intervals.length > before
    if (isChanged) this.intervals = this.merged(this.intervals)
    this.hasClosed = true
    return isChanged
  }

  get hasClosedSlice(): boolean {
    return this.hasClosed
  }

  /** The slices still to be read, in order. */
  *slices(): Generator<Slice> {
    const { end, granularity, axis, start, lookback } = this.settings
    this.intervals = this.merged(this.intervals)
    const [first] = this.intervals
    const last = this.intervals.at(-1)
    if (first === undefined || last === undefined) return
    const below = (point: Point) => (lookback === undefined ? point : axis.subtract(point, lookback))
    // Taken now: closing slices changes the intervals.
    const intervals = this.intervals.map((interval) => ({ ...interval }))
    if (start !== undefined && less(start, first.start)) yield* this.split(start, first.start, false)
    for (let index = 0; index + 1 < intervals.length; index++) {
      const [here, next] = [intervals[index], intervals[index + 1]]
      if (here === undefined || next === undefined) continue
      const from = granularity === undefined ? here.end : axis.add(here.end, granularity)
      yield* this.split(from, next.start, false)
    }
    yield* this.split(below(intervals.at(-1)?.end ?? last.end), end(), true)
  }

  private slice(from: Point, to: Point): Slice {
    const { axis, boundaries } = this.settings
    const [startName, endName] = boundaries ?? ["start", "end"]
    return new Slice({}, { [startName]: axis.output(from), [endName]: axis.output(to) })
  }

  /** The point a step further; the end where there is no such point. */
  private upper(from: Point): Point {
    const { axis, step } = this.settings
    if (step === undefined) return this.settings.end()
    try {
      return axis.add(from, step)
    } catch (error) {
      if (error instanceof PyError && error.kind === "OverflowError") return this.settings.end()
      throw error
    }
  }

  private *split(lower: Point, upper: Point, isEnd: boolean): Generator<Slice> {
    const { axis, clamp, granularity, isCompareStrict, start, step } = this.settings
    const isSame = (a: Point, b: Point) => !less(a, b) && !less(b, a)
    if (less(upper, lower) || (isSame(lower, upper) && granularity === undefined)) return
    if (start !== undefined && truthy(start) && less(upper, start)) return
    const from = clamp(start !== undefined && truthy(start) ? later(lower, start) : lower)
    if (less(upper, from) || (isSame(from, upper) && (isCompareStrict || !isEnd))) return
    const isWhole =
      step === undefined
        ? axis.stateType === "integer" || atMost(upper, this.upper(from))
        : atMost(upper, this.upper(from))
    if (isWhole) {
      const clamped = isEnd && granularity !== undefined ? upper : clamp(upper)
      yield this.slice(from, granularity !== undefined && !isEnd ? axis.subtract(clamped, granularity) : clamped)
      return
    }
    let current = from
    for (;;) {
      const border = earlier(this.upper(current), upper)
      const clamped = isSame(border, upper) ? border : clamp(border)
      const isLast = atMost(upper, border) || isSame(clamped, upper)
      const low = clamp(current)
      if (atMost(clamped, low)) return
      yield this.slice(
        low,
        granularity !== undefined && (!isEnd || !isLast) ? axis.subtract(clamped, granularity) : clamped
      )
      current = clamped
      if (isLast) return
    }
  }

  /** Whether a record is new; one without a value is taken for new. */
  isWanted(record: PlainDict): boolean {
    const value = this.valueOf(record)
    if (value === undefined) return true
    return atMost(this.lowest(), value) && atMost(value, this.settings.end())
  }

  private lowest(): Point {
    const { axis, lookback, start } = this.settings
    if (lookback === undefined) return this.from
    try {
      const low = axis.subtract(this.from, lookback)
      return start !== undefined && truthy(start) ? later(low, earlier(this.from, start)) : low
    } catch (error) {
      if (error instanceof PyError && error.kind === "OverflowError") return this.from
      throw error
    }
  }

  /** The slice from the latest value seen in it on: after the API refused to page further. */
  reduced(slice: Slice, read: string): Slice {
    const { axis, boundaries } = this.settings
    const [startName, endName] = boundaries ?? ["start", "end"]
    const latest = this.latest.get(read)
    if (latest === undefined) return slice
    const end = slice.get(endName) ?? null
    return new Slice(slice.partition, { [startName]: axis.output(latest), [endName]: end }, slice.extra, slice.isWanted)
  }

  /** The latest value seen in a slice, as it is kept; undefined: none. */
  seenIn(slice: string): Value | undefined {
    const latest = this.latest.get(slice)
    return latest === undefined ? undefined : this.settings.axis.output(latest)
  }

  /** Goes on in a slice where `seenIn` was taken. */
  resume(slice: string, seen: Value): void {
    this.latest.set(slice, this.settings.axis.parse(seen))
  }

  /** All that was read, interval by interval: what a walk goes on with that has not come to its end. */
  get intervalState(): PlainDict {
    const { axis } = this.settings
    return {
      state_type: axis.stateType,
      legacy: { ...this.legacy },
      slices: this.merged(this.intervals).map(({ end, latest, start }) => ({
        start: axis.output(start),
        end: axis.output(end),
        most_recent_cursor_value: latest === undefined ? null : axis.output(latest)
      }))
    }
  }

  /** The point a state stands at; undefined when it has none. */
  pointOf(state: PlainDict): Point | undefined {
    const type = own(state, "state_type")
    const slices = own(state, "slices")
    const first = Array.isArray(slices) ? slices[0] : undefined
    const value =
      type === undefined
        ? own(state, this.settings.field)
        : first !== undefined && isPlainDict(first)
          ? (own(first, "most_recent_cursor_value") ?? own(first, "end"))
          : undefined
    if (value === undefined || !truthy(value)) return undefined
    try {
      return this.settings.axis.parse(value)
    } catch (error) {
      if (error instanceof PyError) return undefined
      throw error
    }
  }
}
