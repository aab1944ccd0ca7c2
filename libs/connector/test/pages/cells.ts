/**
 * The fault matrix: every paginator with every cursor, over a stream that is whole or in parts, under every fault; and for each of
 * them what may change at the API during a walk without its own pages leaving something out.
 */

export const paginators = [
  "cursor",
  "header",
  "last record",
  "next url",
  "link",
  "page",
  "offset",
  "page, capped",
  "offset, capped",
  "none"
] as const
export type PaginatorKind = (typeof paginators)[number]

export const cursors = [
  "everything",
  "time",
  "time, lookback",
  "number",
  "windows",
  "windows, lookback",
  "descending",
  "descending, lookback",
  "filter"
] as const
export type CursorKind = (typeof cursors)[number]

export const partings = ["whole", "list", "parent", "parent, incremental"] as const
export type Parting = (typeof partings)[number]

export const faults = [
  "429 in seconds",
  "429 as a date",
  "5xx",
  "no connection",
  "no headers",
  "no end of body",
  "cut off",
  "dropped",
  "cursor repeated",
  "cursor forgotten",
  "changes",
  "clock skew",
  "clock jumps",
  "restarts",
  "all"
] as const
export type Fault = (typeof faults)[number]

export interface Cell {
  readonly paginator: PaginatorKind
  readonly cursor: CursorKind
  readonly parting: Parting
  readonly fault: Fault
}

export const nameOf = ({ cursor, fault, paginator, parting }: Cell): string =>
  [paginator, cursor, parting, fault].join(" x ")

/** Pages by number: a record that goes or moves during a walk shifts all behind it. */
export const isCounted = ({ paginator }: Pick<Cell, "paginator">): boolean => /^(page|offset)/u.test(paginator)
export const isCapped = ({ paginator }: Pick<Cell, "paginator">): boolean => paginator.endsWith("capped")
export const looksBack = ({ cursor }: Pick<Cell, "cursor">): boolean => cursor.endsWith("lookback")
export const isDescending = ({ cursor }: Pick<Cell, "cursor">): boolean => cursor.startsWith("descending")
export const isWindowed = ({ cursor }: Pick<Cell, "cursor">): boolean => cursor.startsWith("windows")

/** Whether there is such a stream, and the fault can meet it. */
export const isCell = (cell: Cell): boolean => {
  const { cursor, fault, paginator, parting } = cell
  // What an API caps is asked for again from the last value, so it must ascend by one.
  if (isCapped(cell) && (cursor === "everything" || cursor === "filter" || isDescending(cell))) return false
  if (fault === "cursor repeated" && paginator === "none") return false
  // What an API dates ahead of us is in none of our windows yet, and its parent is not new any more when it is.
  if (parting === "parent, incremental" && isWindowed(cell) && fault.startsWith("clock")) return false
  return fault !== "cursor forgotten" || (!isCounted(cell) && paginator !== "none" && paginator !== "last record")
}

export const cells: ReadonlyArray<Cell> = paginators
  .flatMap((paginator) =>
    cursors.flatMap((cursor) =>
      partings.flatMap((parting) => faults.map((fault): Cell => ({ paginator, cursor, parting, fault })))
    )
  )
  .filter(isCell)

export type Change = "insert" | "change" | "remove" | "late"

/** What may happen at the API while a walk is under way, if nothing is to be missed. */
export const changesDuring = (cell: Cell): ReadonlyArray<Change> => {
  const { cursor } = cell
  // What pages leave out below a parent is read when the parent changes again, and no earlier.
  if (isCounted(cell) && cell.parting === "parent, incremental") return ["insert"]
  // Whatever is missed or late is read by one of the next walks.
  if (looksBack(cell)) return ["insert", "change", "remove", "late"]
  // Not in the order of the field: what changes behind the walk is before what it reads last.
  if (cursor === "filter") return isCounted(cell) ? ["insert"] : ["insert", "remove"]
  if (!isCounted(cell)) return ["insert", "change", "remove"]
  // In an order that no change touches; or what changes comes to the front, and only repeats others.
  if (cursor === "everything" || cursor === "descending") return ["insert", "change"]
  return ["insert"]
}

/**
 * Whether pages end with an empty one, whatever they hold: what is added to a short page after it was read is on no page that is asked
 * for, and behind the cursor when something that was added later is on the next.
 */
export const mayGrow = (cell: Cell, hasSize: boolean): boolean =>
  cell.paginator === "page" && !hasSize && cell.cursor !== "everything" && !isDescending(cell) && !looksBack(cell)

/** What may happen between walks. */
export const changesBetween = (cell: Cell): ReadonlyArray<Change> =>
  looksBack(cell) ? ["insert", "change", "remove", "late"] : ["insert", "change", "remove"]

/** Whether pages may hold a record twice because others came or went before it. */
export const mayShift = (cell: Cell): boolean => isCounted(cell) && (looksBack(cell) || isDescending(cell))
