import type { Cursor as EngineCursor, CursorState, Extracted, Interval, SourceReason } from "@tributary/connector"
import { Effect } from "effect"
import { Cursor, type CursorSettings } from "../component/Cursor.ts"
import { parseJson, writeJson } from "../component/jsonText.ts"
import type { RunError } from "../component/RunError.ts"
import type { SourceRecord } from "../component/Selector.ts"
import { Slice } from "../component/Slice.ts"
import { compare } from "../expression/Compare.ts"
import { PyError } from "../expression/PyError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { pure } from "../run/pure.ts"

/** What is kept of a cursor between pages. */
interface Kept {
  /** Airbyte's state when the walk began. */
  readonly base: PlainDict
  /** What the walk has read since, interval by interval, and when it began. */
  readonly read?: PlainDict | undefined
  readonly at?: number | undefined
}

const dictIn = (value: Value | undefined): PlainDict | undefined =>
  value !== undefined && value !== null && isPlainDict(value) ? value : undefined

const keptOf = ({ state }: CursorState): Kept => {
  const dict = typeof state === "string" ? dictIn(parseJson(state)) : undefined
  if (dict === undefined) return { base: {} }
  const at = dict["at"]
  return { base: dictIn(dict["base"]) ?? {}, read: dictIn(dict["read"]), at: typeof at === "number" ? at : undefined }
}

/** A cursor's state as a checkpoint has it: JSON text, which keeps every number as it is. */
export const checkpointState = ({ at, base, read }: Kept): CursorState => ({
  state: writeJson({ base, ...(read === undefined ? {} : { read }), ...(at === undefined ? {} : { at }) })
})

/** Whether a cursor has never come to the end of a walk. */
export const isBlank = (state: CursorState): boolean => Object.keys(keptOf(state).base).length === 0

const namesOf = ({ boundaries }: CursorSettings) => boundaries ?? (["start", "end"] as const)

const finite = (value: Value | undefined): Value | undefined =>
  typeof value === "number" && !Number.isFinite(value) ? undefined : value

const intervalOf = (settings: CursorSettings, slice: Slice): Interval => {
  const [start, end] = namesOf(settings)
  const [since, until] = [finite(slice.get(start)), finite(slice.get(end))]
  return {
    ...(since === undefined ? {} : { since: writeJson(since) }),
    ...(until === undefined ? {} : { until: writeJson(until) })
  }
}

/** The slice of an interval, as the manifest's expressions see it. */
const sliceOf = (settings: CursorSettings, { since, until }: Interval): Slice => {
  const [start, end] = namesOf(settings)
  return new Slice(
    {},
    {
      [start]: since === undefined ? null : parseJson(since),
      [end]: until === undefined ? Number.POSITIVE_INFINITY : parseJson(until)
    }
  )
}

/** Lists of intervals that are remembered: partitions are asked for ahead. */
const mostLists = 64

/** A manifest's cursor in the engine. */
export interface ManifestCursor {
  readonly cursor: EngineCursor
  /** The interval as the slice's part that the cursor makes. */
  readonly sliceOf: (interval: Interval, startedAt: number) => PlainDict
  /** What the cursor takes for new in a walk. */
  readonly wanted: (state: CursorState, startedAt: number) => (record: PlainDict) => boolean
}

/**
 * Whether a record has a value that moves the cursor. What is no time at all, or cannot be compared with those before it, as a list with
 * a number, does not, and the record is given all the same.
 */
const isObserved = (follower: Cursor, record: SourceRecord): boolean => {
  try {
    if (follower.valueOf(record.data) === undefined) return false
    follower.observe(record)
    return true
  } catch (cause) {
    if (cause instanceof PyError) return false
    throw cause
  }
}

/**
 * The cursor slot of `DatetimeBasedCursor` and `IncrementingCountCursor`. `settingsAt` gives its settings for a walk that began at
 * that time, so that a walk goes on after a restart with the same intervals. `recordsOf` has the records of a page.
 */
export const manifestCursor = (
  settingsAt: (startedAt: number) => CursorSettings,
  recordsOf: (page: Extracted) => ReadonlyArray<PlainDict>,
  toReason: (error: RunError) => SourceReason
): ManifestCursor => {
  let known: { readonly at: number; readonly settings: CursorSettings } | undefined
  const settingsFor = (at: number): CursorSettings => {
    if (known?.at !== at) known = { at, settings: settingsAt(at) }
    return known.settings
  }
  /** The state that a walk begins with: that of an earlier one that was given up counts as far as it came. */
  const baseAt = (settings: CursorSettings, kept: Kept, at: number): PlainDict =>
    kept.read === undefined || kept.at === at ? kept.base : new Cursor(settings, kept.read).state

  const lists = new Map<string, ReadonlyArray<Interval>>()
  const intervals = (settings: CursorSettings, base: PlainDict, at: number): ReadonlyArray<Interval> => {
    const key = `${at} ${writeJson(base)}`
    let list = lists.get(key)
    if (list === undefined) {
      list = Array.from(new Cursor(settings, base).slices(), (slice) => intervalOf(settings, slice))
      const [oldest] = lists.keys()
      if (lists.size >= mostLists && oldest !== undefined) lists.delete(oldest)
      lists.set(key, list)
    }
    return list
  }
  const next = (settings: CursorSettings, base: PlainDict, at: number, previous: Interval | undefined) => {
    const list = intervals(settings, base, at)
    if (previous === undefined) return list[0]
    const index = list.findIndex(({ since, until }) => since === previous.since && until === previous.until)
    if (index >= 0) return list[index + 1]
    // The manifest was changed in the middle of a walk: what begins behind the last interval is still to be read.
    const end = previous.until
    if (end === undefined) return undefined
    const point = (text: string) => settings.axis.parse(parseJson(text))
    return list.find(({ since }) => since !== undefined && compare(point(since), point(end), ">="))
  }

  const cursor: EngineCursor = {
    // Values are read as the manifest's formats say, from the records themselves.
    field: undefined,
    parameters: [],
    apply: () => {},
    interval: (state, startedAt, previous) =>
      Effect.mapError(
        pure(() => {
          const settings = settingsFor(startedAt)
          return next(settings, baseAt(settings, keptOf(state), startedAt), startedAt, previous)
        }),
        toReason
      ),
    follow: (state, interval, progress, startedAt) => {
      const settings = settingsFor(startedAt)
      const kept = keptOf(state)
      const base = baseAt(settings, kept, startedAt)
      const follower = new Cursor(settings, kept.at === startedAt ? (kept.read ?? base) : base)
      const slice = sliceOf(settings, interval)
      const before = progress?.progress
      if (typeof before === "string") follower.resume(slice.key, parseJson(before))
      return {
        observe: (page) => {
          let unmarked = 0
          for (const data of recordsOf(page)) if (!isObserved(follower, { data, slice })) unmarked++
          return { left: undefined, skipped: 0, unmarked, isOver: false }
        },
        progress: () => {
          const seen = follower.seenIn(slice.key)
          return seen === undefined ? {} : { progress: writeJson(seen) }
        },
        finish: () => {
          follower.close(slice)
          const hasMore = next(settings, base, startedAt, interval) !== undefined
          return checkpointState(
            hasMore ? { base, read: follower.intervalState, at: startedAt } : { base: follower.state }
          )
        }
      }
    }
  }
  return {
    cursor,
    sliceOf: (interval, startedAt) => sliceOf(settingsFor(startedAt), interval).cursor,
    wanted: (state, startedAt) => {
      const settings = settingsFor(startedAt)
      const judge = new Cursor(settings, baseAt(settings, keptOf(state), startedAt))
      return (record) => judge.isWanted(record)
    }
  }
}
