import type { Incremental } from "@tributary/domain"
import type { CursorProgress, CursorState } from "./Checkpoint.ts"
import { digest, digested, DigestSet, encodeDigests } from "./Digest.ts"
import { Intervals } from "./Intervals.ts"
import { isAfter, lookBack, type Mark, mostAhead, readMark, timeText } from "./Mark.ts"
import { MarkReader } from "./MarkReader.ts"
import { putValue } from "./RequestBody.ts"
import type { Cursor, CursorWalk, Extracted, Observed } from "./slots/index.ts"
import { Window, windowSize } from "./Window.ts"

/** Follows the pages of an interval by the marks of their records. */
class MarkWalk implements CursorWalk {
  readonly #incremental: Incremental
  readonly #state: CursorState
  readonly #marks: MarkReader
  /** The highest value of earlier walks; not one that no record may have, as `Intervals` begins anew then. */
  #cursor: Mark | undefined
  readonly #seen: DigestSet
  readonly #window: Window
  /** Where the interval begins; records before it are known, not wanted, or not asked for. */
  readonly #since: Mark | undefined
  /** How far ahead of the clock a value may be, in milliseconds. */
  readonly #ahead: number

  constructor(
    incremental: Incremental,
    state: CursorState,
    since: Mark | undefined,
    progress: CursorProgress | undefined
  ) {
    this.#incremental = incremental
    this.#state = state
    this.#since = since
    this.#ahead = mostAhead(incremental)
    this.#marks = new MarkReader(incremental)
    this.#cursor = state.cursor === undefined ? undefined : readMark(state.cursor, incremental)
    this.#seen = DigestSet.decode(state.seen)
    const maxSeen = progress?.maxSeen === undefined ? undefined : readMark(progress.maxSeen, incremental)
    this.#window = new Window(incremental, maxSeen, progress?.met)
  }

  /** Compares the records with those of earlier walks, and takes note of those that the next walk may meet. */
  observe({ body, scan: { rows, stride } }: Extracted, field: number, now: number): Observed {
    const marks = this.#marks
    const window = this.#window
    const count = rows.length / stride
    const orders: Array<number | bigint | undefined> = []
    /** Bit 1: an earlier walk may have read it. */
    const maybe = new Uint8Array(count)
    const since = this.#since
    /** A time behind this one is a mistake: nothing that comes before it would be asked for any more. */
    const latest = now + this.#ahead
    if (this.#cursor !== undefined && this.#cursor.order > latest) this.#cursor = undefined
    const cursor = this.#cursor
    let highest = -1
    let top: number | bigint = 0
    let topFine = 0
    let unmarked = 0
    let ahead = 0
    let unasked = 0
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      if (!marks.read(body, rows[row + field]!, rows[row + field + 1]!)) {
        orders.push(undefined)
        maybe[index] = 1
        unmarked++
        continue
      }
      const { fine, order } = marks
      if (order > latest) {
        orders.push(undefined)
        maybe[index] = 1
        ahead++
        continue
      }
      orders.push(order)
      if (cursor !== undefined && (order < cursor.order || (order === cursor.order && fine <= cursor.fine)))
        maybe[index] = 1
      if (highest < 0 || order > top || (order === top && fine > topFine)) {
        highest = row
        top = order
        topFine = fine
      }
    }
    if (highest >= 0) {
      const mark = marks.mark(body, rows[highest + field]!, rows[highest + field + 1]!)
      if (mark !== undefined) window.raise(mark)
    }
    const left = new Uint8Array(count)
    const isFirst = this.#seen.size === 0
    const { filter, order: sorting } = this.#incremental
    let skipped = 0
    let known = 0
    for (let row = 0, index = 0; row < rows.length; row += stride, index++) {
      const order = orders[index]
      let isUnasked = false
      if (since !== undefined && order !== undefined && order < since.order) {
        known++
        if (filter) {
          left[index] = 1
          skipped++
          continue
        }
        isUnasked = true
        unasked++
      }
      const stays = order === undefined || window.includes(order)
      const check = !isFirst && maybe[index] === 1
      if (!stays && !check) continue
      digest(body, rows[row]!, rows[row + 1]!)
      const { high, low } = digested
      if (check && this.#seen.has(high, low)) {
        left[index] = 1
        skipped++
        // What is within the lookback was read before, but something late may stand behind it.
        if (isUnasked) unasked--
        else if (order === undefined || since === undefined || order <= since.order) known++
      }
      if (stays) window.add(order === undefined ? Number.NEGATIVE_INFINITY : Number(order), high, low)
    }
    return { left, skipped, unmarked, ahead, unasked, isOver: sorting === "descending" && count > 0 && known >= count }
  }

  progress(): CursorProgress {
    const maxSeen = this.#window.highest
    const met = this.#window.encode()
    return {
      ...(maxSeen === undefined ? {} : { maxSeen: maxSeen.text }),
      ...(met === undefined ? {} : { met })
    }
  }

  finish(): CursorState {
    const maxSeen = this.#window.highest
    const old = this.#cursor
    const cursor = old?.text
    const since = this.#incremental.step === undefined ? undefined : this.#since
    if (since !== undefined && [maxSeen, old].every((mark) => mark === undefined || isAfter(since, mark))) {
      // Nothing was found up to here, so the next walk need not ask for all of it again. It does ask for the last window: the
      // API's clock may be behind.
      const reached = timeText(Number(since.order))
      return { cursor: reached, ...this.#met(this.#reachesBack(readMark(reached, this.#incremental))) }
    }
    if (maxSeen === undefined || (old !== undefined && !isAfter(maxSeen, old))) {
      // The next walk asks as this one did, so it may meet what this one and the one before it met.
      return { ...(cursor === undefined ? {} : { cursor }), ...this.#met(true) }
    }
    return { cursor: maxSeen.text, ...this.#met(this.#reachesBack(maxSeen)) }
  }

  /** Whether a walk after `highest` asks for what was read in intervals before this one. */
  #reachesBack(highest: Mark | undefined): boolean {
    if (this.#since === undefined || highest === undefined) return false
    const from = readMark(lookBack(highest, this.#incremental), this.#incremental)
    return from !== undefined && isAfter(this.#since, from)
  }

  /** The records that the next walk may meet, with those that were met `before` this interval if it reaches there. */
  #met(before: boolean): Pick<CursorState, "seen"> {
    const met = this.#window.encode()
    if (!before) return met === undefined ? {} : { seen: met }
    const both = [...DigestSet.decode(met), ...DigestSet.decode(this.#state.seen)].slice(
      0,
      windowSize(this.#incremental)
    )
    return both.length === 0 ? {} : { seen: encodeDigests(both.flat()) }
  }
}

/**
 * The cursor of a stream's `incremental`: reads from the highest value seen less the lookback, in one go or in windows. `start`
 * has no references left; `setting` names it in messages.
 */
export const markCursor = (incremental: Incremental, setting: string, start: string | undefined): Cursor => {
  const intervals = new Intervals(incremental, setting, start)
  const { param, until_param: untilParam } = incremental
  return {
    field: incremental.field,
    parameters: incremental.in === "query" ? [param, untilParam].filter((name) => name !== undefined) : [],
    interval: (state, startedAt, previous) => intervals.after(state, startedAt, previous),
    restart: ({ maxSeen }, previous) => intervals.restarted(maxSeen, previous),
    apply: (draft, { interval: { since, until } }) => {
      if (since !== undefined && param !== undefined) putValue(draft, { in: incremental.in, name: param }, since)
      if (until !== undefined && untilParam !== undefined) {
        putValue(draft, { in: incremental.in, name: untilParam }, until)
      }
    },
    follow: (state, interval, progress) => new MarkWalk(incremental, state, intervals.mark(interval.since), progress)
  }
}
