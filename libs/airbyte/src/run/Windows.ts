import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import type { CursorSettings } from "../component/Cursor.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { Slice } from "../component/Slice.ts"
import { PyDateTime, PyTimeDelta } from "../expression/DateTime.ts"
import { parseDuration } from "../expression/Duration.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { log } from "./Message.ts"
import { pure } from "./pure.ts"
import { makeRemedy, type RemedyOptions } from "./Remedy.ts"

/** A part of a slice's interval that is asked for by itself. */
export interface Window {
  readonly cursor: PlainDict
  /** How often it was halved. */
  readonly depth: number
}

/** Halves the interval of a slice when the API says that it is too long: `request_window_splitting`. */
export interface Windows {
  /** The two halves; fails where there are none. */
  readonly halves: (
    walked: Slice,
    depth: number,
    message: string | undefined
  ) => Effect.Effect<readonly [first: Window, second: Window], RunError>
}

const mostDepth = 10

/** The shortest time that a format's directives can tell apart, in microseconds. */
const units: ReadonlyArray<readonly [directive: string, micros: bigint]> = [
  ["%epoch_microseconds", 1n],
  ["%s_as_float", 1n],
  ["%f", 1n],
  ["%_ms", 1000n],
  ["%ms", 1000n],
  ["%S", 1_000_000n],
  ["%s", 1_000_000n],
  ["%M", 60_000_000n],
  ["%H", 3_600_000_000n],
  ["%I", 3_600_000_000n],
  ["%d", 86_400_000_000n]
]

const finest = (format: string): bigint | undefined => {
  const found = units.flatMap(([directive, micros]) => (format.includes(directive) ? [micros] : []))
  return found.length === 0 ? undefined : found.reduce((a, b) => (a < b ? a : b))
}

/** The two halves of an interval; undefined where it is not to be made shorter. */
const halvesOf = (settings: CursorSettings, slice: Slice, least: PyTimeDelta | undefined): ReadonlyArray<PlainDict> => {
  const { axis, boundaries, granularity } = settings
  if (boundaries === undefined || !(granularity instanceof PyTimeDelta)) return []
  const [startName, endName] = boundaries
  const start = axis.parse(slice.get(startName) ?? null)
  const end = axis.parse(slice.get(endName) ?? null)
  if (!(start instanceof PyDateTime) || !(end instanceof PyDateTime)) return []
  const span = end.epochMicros - start.epochMicros
  const step = granularity.micros
  if (span <= 0n || (least !== undefined && span <= least.micros)) return []
  const count = span / step + 1n
  if (count <= 1n) return []
  const firstEnd = axis.add(start, new PyTimeDelta((count / 2n - 1n) * step))
  const secondStart = axis.add(firstEnd, granularity)
  return [
    { [startName]: axis.output(start), [endName]: axis.output(firstEnd) },
    { [startName]: axis.output(secondStart), [endName]: axis.output(end) }
  ]
}

/** The `request_window_splitting` of a `SimpleRetriever`; undefined without one. Fails where it cannot work. */
export const makeWindows = Effect.fnUntraced(function* (
  retriever: Component,
  options: RemedyOptions & {
    /** The stream's cursor, and what it is made of. */
    readonly sync: Component | undefined
    readonly settings: CursorSettings | undefined
  }
): Effect.fn.Return<Windows | undefined, RunError> {
  const { emit, name, settings, sync } = options
  const kind = { setting: "request_window_splitting", action: "SPLIT_REQUEST_WINDOW" } as const
  const remedy = yield* makeRemedy(retriever, kind, options)
  if (remedy === undefined) return undefined
  const { component, refused, unused } = remedy
  const leastText = component.optionalText("min_split_window") ?? ""
  const made = yield* pure(() => {
    const granularity = sync?.optionalText("cursor_granularity") ?? ""
    if (settings === undefined || sync?.type !== "DatetimeBasedCursor" || granularity === "") {
      return component.fail("", "it needs a DatetimeBasedCursor with cursor_granularity.")
    }
    if (sync.isSet("is_client_side_incremental")) {
      component.fail("", "the interval of a stream with is_client_side_incremental is not asked of the API.")
    }
    const step = parseDuration(granularity)
    if (!(step instanceof PyTimeDelta)) {
      return component.fail(
        "",
        `cursor_granularity is ${granularity}; expected a fixed length, without months and years.`
      )
    }
    if (step.micros <= 0n) sync.fail("cursor_granularity", "it must be longer than nothing to split intervals.")
    const format = sync.text("datetime_format")
    const unit = finest(format)
    if (unit !== undefined && step.micros < unit) {
      sync.fail("cursor_granularity", `it is shorter than what the datetime_format ${format} can say.`)
    }
    const least = leastText === "" ? undefined : parseDuration(leastText)
    if (least !== undefined && (!(least instanceof PyTimeDelta) || least.micros <= 0n)) {
      return component.fail(
        "min_split_window",
        `found ${leastText}, expected a fixed length above nothing, such as PT1H.`
      )
    }
    return { settings, least }
  })
  if (unused !== undefined) yield* emit(unused)
  return {
    halves: Effect.fnUntraced(function* (walked, depth, message) {
      if (depth >= mostDepth) {
        return yield* refused(
          `Stream ${name}: the API refuses an interval that was halved ${mostDepth} times.`,
          message
        )
      }
      const [first, second] = yield* pure(() => {
        try {
          return halvesOf(made.settings, walked, made.least)
        } catch (error) {
          throw failure(
            `Stream ${name} has an interval whose bounds cannot be read: ${error instanceof Error ? error.message : String(error)}`
          )
        }
      })
      if (first === undefined || second === undefined) {
        return yield* refused(
          `The API refuses an interval of stream ${name} that cannot be halved any further${leastText === "" ? "" : ` (min_split_window is ${leastText})`}.`,
          message
        )
      }
      yield* emit(log("INFO", `Stream ${name}: the API refused an interval; it is read in halves (${depth + 1}).`))
      return [
        { cursor: first, depth: depth + 1 },
        { cursor: second, depth: depth + 1 }
      ] as const
    })
  }
})

/** The intervals that are still to be read, as a position keeps them. */
export const windowsIn = (value: Value | undefined): ReadonlyArray<Window> =>
  (Array.isArray(value) ? value : []).flatMap((item) => {
    if (item === null || !isPlainDict(item)) return []
    const { cursor, depth } = item
    return cursor !== undefined && cursor !== null && isPlainDict(cursor)
      ? [{ cursor, depth: typeof depth === "number" ? depth : 0 }]
      : []
  })

/** A slice with the interval of a window. */
export const inWindow = (slice: Slice, cursor: PlainDict | undefined): Slice =>
  cursor === undefined ? slice : new Slice(slice.partition, cursor, slice.extra, slice.isWanted)
