import type { Component } from "../component/Component.ts"
import { Cursor, type CursorSettings } from "../component/Cursor.ts"
import { failure } from "../component/RunError.ts"
import type { SourceRecord } from "../component/Selector.ts"
import type { Slice } from "../component/Slice.ts"
import type { PlainDict, Value } from "../expression/Value.ts"

/** What a position keeps of a walk, for APIs that give only so many records of one question. */
export interface Tracked {
  /** Records since the walk began again. */
  readonly count: number
  /** How often it began again with the same question. */
  readonly same: number
  /** The interval that is asked for in place of the slice's own. */
  readonly cursor: PlainDict | undefined
  /** Latest value of the cursor since then. */
  readonly latest: Value | undefined
}

/** Of a walk that has only begun. */
export const untracked: Tracked = { count: 0, same: 0, cursor: undefined, latest: undefined }

/** Counts the records of a walk, page by page, where an API gives only so many of them at a time: `pagination_reset`. */
export const makeTracker = (component: Component | undefined, settings: CursorSettings | undefined) => {
  const splitting =
    component?.optionalText("action") === "SPLIT_USING_CURSOR" && settings !== undefined
      ? () => new Cursor(settings, {})
      : undefined
  const limit = component?.child("limits")?.get("number_of_records")
  const allowed = splitting === undefined ? 2 : 1
  /** Takes the records of a page of the question `walked`. */
  const observed = (before: Tracked, walked: Slice, records: ReadonlyArray<SourceRecord>): Tracked => {
    if (component === undefined) return before
    const count = before.count + records.length
    if (splitting === undefined) return { ...before, count }
    const cursor = splitting()
    if (before.latest !== undefined) cursor.resume(walked.key, before.latest)
    for (const record of records) cursor.observe(record)
    return { ...before, count, latest: cursor.seenIn(walked.key) }
  }
  return {
    observed,
    isFull: ({ count }: Tracked) => typeof limit === "number" && count >= limit,
    /** The question for the rest. */
    reduced: (before: Tracked, walked: Slice, original: Slice): Tracked => {
      const cursor = splitting?.()
      if (before.latest !== undefined) cursor?.resume(walked.key, before.latest)
      const next = cursor === undefined ? walked : cursor.reduced(original, walked.key)
      const same = next.key === walked.key ? before.same + 1 : 0
      if (same >= allowed) {
        throw failure(`There were ${same} attempts with the same slice already while the max allowed is ${allowed}`)
      }
      return { count: 0, same, cursor: next.cursor, latest: undefined }
    }
  }
}
