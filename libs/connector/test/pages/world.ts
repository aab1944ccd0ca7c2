import type { seeded } from "@tributary/testkit"
import { timeOf } from "../harness.ts"
import { type Cell, type Change, changesBetween, changesDuring } from "./cells.ts"

export type Rng = ReturnType<typeof seeded>

interface Item {
  readonly id: string
  readonly part: string
  readonly at: number
  readonly seq: number
  readonly version: number
}

const wide = (value: number): string => String(value).padStart(6, "0")

/** The value that the API sorts by where it sorts by time; of no two items the same. */
const keyOf = ({ at, id }: Item): string => `${timeOf(at)}|${id}`

/** A record as the API sends it. */
const recordText = (item: Item): string =>
  JSON.stringify({
    id: item.id,
    part: item.part,
    at: timeOf(item.at),
    seq: item.seq,
    k: keyOf(item),
    v: item.version,
    // Not a copy of anything, and not ASCII.
    note: `${item.id}·${"é".repeat(item.seq % 7)}`
  })

/** A record with what the API finds and sorts it by. */
export interface Entry {
  readonly text: string
  readonly at: number
  readonly id: string
  readonly seq: string
  readonly key: string
}

const entryOf = (item: Item): Entry => ({
  text: recordText(item),
  at: item.at,
  id: item.id,
  seq: wide(item.seq),
  key: keyOf(item)
})

/** Most changes during the walks of a run. */
const mostChanges = 14

/** What the API has, and everything that it ever had. */
export class World {
  readonly #cell: Cell
  readonly #rng: Rng
  /** The API's own time, milliseconds since 1970. */
  readonly #now: () => number
  readonly #items = new Map<string, Item>()
  readonly #parents = new Map<string, Item>()
  /** Texts of all versions of all items. */
  readonly written = new Set<string>()
  changes = 0
  #isQuiet = false
  #count = 0
  #seq = 0
  #last = 0

  readonly #changesDuring: boolean

  constructor(cell: Cell, rng: Rng, now: () => number, begin: number, changesDuring: boolean) {
    this.#changesDuring = changesDuring
    this.#cell = cell
    this.#rng = rng
    this.#now = now
    this.#last = begin
    const parts = cell.parting === "whole" ? 1 : 3
    for (let part = 0; part < parts; part++) this.#addParent(begin + part)
    const count = 10 + rng.below(8)
    const end = now() - 1000
    let isShared = true
    for (let i = 0; i < count; i++) {
      // Some times are shared by two; of more, an API that caps what it shows could not show all.
      isShared = !isShared && rng.below(4) === 0
      const at = isShared ? this.#last : Math.floor(begin + ((end - begin) * (i + 1)) / count)
      this.#put({ id: this.#name(), part: this.#anyPart(), at, seq: ++this.#seq, version: 1 })
      this.#last = at
    }
  }

  #name(): string {
    return `r${wide(++this.#count)}`
  }
  #anyPart(): string {
    return this.#rng.pick([...this.#parents.keys()])
  }
  #addParent(at: number): void {
    const id = `p${this.#parents.size}`
    this.#parents.set(id, { id, part: id, at, seq: ++this.#seq, version: 1 })
  }
  #put(item: Item): void {
    this.#items.set(item.id, item)
    this.written.add(recordText(item))
  }
  /** A time that no other change had. */
  #later(): number {
    this.#last = Math.max(this.#last + 1, Math.floor(this.#now()))
    return this.#last
  }
  #touch(part: string): void {
    const parent = this.#parents.get(part)
    if (parent === undefined) return
    this.#parents.set(part, { ...parent, at: this.#later(), seq: ++this.#seq, version: parent.version + 1 })
  }

  /** Nothing changes any more. */
  quiet(): void {
    this.#isQuiet = true
  }

  /** While a walk is under way. */
  during(): void {
    if (!this.#changesDuring || this.#isQuiet || this.changes >= mostChanges || this.#rng.below(3) > 0) return
    this.#change(changesDuring(this.#cell))
  }

  /** When no walk is under way. */
  between(): void {
    if (this.#isQuiet) return
    for (let i = this.#rng.below(4); i >= 0; i--) this.#change(changesBetween(this.#cell))
  }

  #change(kinds: ReadonlyArray<Change>): void {
    const rng = this.#rng
    this.changes++
    const kind = rng.pick(kinds)
    const some = this.#items.size === 0 ? undefined : rng.pick([...this.#items.values()])
    const isNested = this.#cell.parting.startsWith("parent")
    if (kind === "remove") {
      if (some !== undefined) this.#items.delete(some.id)
      return
    }
    if (kind === "change" && some !== undefined) {
      this.#put({ ...some, at: this.#later(), seq: ++this.#seq, version: some.version + 1 })
      this.#touch(some.part)
      return
    }
    if (isNested && rng.below(4) === 0) this.#addParent(this.#later())
    const part = this.#anyPart()
    const at =
      kind === "late"
        ? Math.floor(this.#now()) - rng.below(3_600_000)
        : // As the one before it, which is still the newest. Without a lookback a window that was read is not read again.
          rng.below(4) === 0 && this.#cell.parting === "whole" && this.#cell.cursor !== "windows"
          ? this.#last
          : this.#later()
    this.#put({ id: this.#name(), part, at, seq: ++this.#seq, version: 1 })
    this.#touch(part)
  }

  /** What belongs to a part (`undefined`: to any); of parents with `"parents"`. */
  entries(part: string | undefined): ReadonlyArray<Entry> {
    const items = part === "parents" ? this.#parents : this.#items
    return [...items.values()]
      .filter((item) => part === undefined || part === "parents" || item.part === part)
      .map(entryOf)
  }

  get live(): ReadonlyArray<string> {
    return [...this.#items.values()].map(recordText)
  }
}
