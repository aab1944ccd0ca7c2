import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { fullSize, sizeData, sizeIn, type SizeKept } from "./PageSize.ts"
import { type Tracked, untracked } from "./PaginationReset.ts"
import { type Window, windowsIn } from "./Windows.ts"

/** What a walk through the pages of a slice keeps beside the paginator's token. */
export interface Walk {
  readonly tracked: Tracked
  readonly size: SizeKept
  /** The intervals that are read in place of the slice's, the one that is being read first. */
  readonly windows: ReadonlyArray<Window>
}

/** A walk that begins, through these intervals. */
export const unbegun = (windows: ReadonlyArray<Window>): Walk => ({ tracked: untracked, size: fullSize, windows })

const own = (position: PlainDict | undefined, name: string): Value | undefined =>
  position !== undefined && Object.hasOwn(position, name) ? position[name] : undefined

const numberOf = (value: Value | undefined): number => (typeof value === "number" ? value : 0)

const dictIn = (value: Value | undefined): PlainDict | undefined =>
  value !== undefined && value !== null && isPlainDict(value) ? value : undefined

/** The token of a position; undefined for the first page. */
export const tokenAt = (position: PlainDict | undefined): Value | undefined => own(position, "token")

/** The walk that a position is of; without one it begins. */
export const walkAt = (position: PlainDict | undefined): Walk => ({
  tracked: {
    count: numberOf(own(position, "count")),
    same: numberOf(own(position, "same")),
    cursor: dictIn(own(position, "cursor")),
    latest: own(position, "latest")
  },
  size: sizeIn(own(position, "size")),
  windows: windowsIn(own(position, "windows"))
})

/** Where a walk is to go on, as data. */
export const positionOf = (token: Value | undefined, { size, tracked, windows }: Walk): PlainDict => {
  const { count, cursor, latest, same } = tracked
  const position: PlainDict = {}
  if (token !== undefined) position["token"] = token
  if (count > 0) position["count"] = count
  if (same > 0) position["same"] = same
  if (cursor !== undefined) position["cursor"] = cursor
  if (latest !== undefined) position["latest"] = latest
  const kept = sizeData(size)
  if (kept !== undefined) position["size"] = kept
  if (windows.length > 0) position["windows"] = windows.map(({ cursor: bounds, depth }) => ({ cursor: bounds, depth }))
  return position
}
