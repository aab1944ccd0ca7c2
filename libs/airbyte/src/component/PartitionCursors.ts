import { PyTimeDelta } from "../expression/DateTime.ts"
import { compare, truthy } from "../expression/Compare.ts"
import { PyError } from "../expression/PyError.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { copyOfDict } from "./copyOf.ts"
import { Cursor, type CursorSettings } from "./Cursor.ts"
import { partitionKey, Slice } from "./Slice.ts"
import type { SourceRecord } from "./Selector.ts"

/** Above this many partitions, one position stands for all of them. */
const switchToGlobal = 10_000
/** So many cursors are kept at all. */
const mostPartitions = 25_000
/** So many partitions of the run are remembered, so that none is read twice. */
const mostRemembered = 100_000

const own = (state: PlainDict, name: string): Value | undefined =>
  Object.hasOwn(state, name) ? state[name] : undefined

interface ParentState {
  readonly state: PlainDict | undefined
  readonly sequence: number
}

/**
 * A cursor per partition, and one for all of them to begin new partitions with: the CDK's `ConcurrentPerPartitionCursor`.
 * Partitions above 10,000 have the one for all only.
 */
export class PartitionCursors {
  private readonly settings: CursorSettings
  private readonly cursors = new Map<string, { readonly partition: PlainDict; readonly cursor: Cursor }>()
  /** Slices of a partition that are not read yet; -1 while they are still being made. */
  private readonly open = new Map<string, { unread: number; isComplete: boolean; readonly sequence: number }>()
  /** Partitions that the run has come to. */
  private readonly begunWith = new Set<string>()
  private parents: Array<ParentState> = []
  private sequence = 0
  private count = 0
  private isGlobal: boolean
  private globalState: PlainDict | undefined = {}
  private newGlobalState: PlainDict | undefined
  private lookback = 0
  private parentState: PlainDict | undefined
  private hasData = false
  private now: () => number
  private begun: number | undefined

  constructor(settings: CursorSettings, state: PlainDict, isGlobal: boolean, now: () => number) {
    this.settings = settings
    this.isGlobal = isGlobal
    this.now = now
    if (Object.keys(state).length === 0) return
    const states = own(state, "states")
    const global = own(state, "state")
    if (states === undefined && global === undefined) this.setGlobal(state)
    else {
      this.isGlobal = truthy(own(state, "use_global_cursor") ?? false)
      this.lookback = Math.trunc(Number(own(state, "lookback_window") ?? 0))
      for (const item of Array.isArray(states) ? states : []) {
        if (!isPlainDict(item)) continue
        const [partition, cursor] = [own(item, "partition"), own(item, "cursor")]
        if (partition === undefined || !isPlainDict(partition)) continue
        this.count++
        const kept = cursor !== undefined && isPlainDict(cursor) ? cursor : {}
        this.cursors.set(partitionKey(partition), { partition, cursor: new Cursor(settings, kept) })
      }
      if (global !== undefined && isPlainDict(global)) this.setGlobal(global)
    }
    const parent = own(state, "parent_state")
    if (parent !== undefined && isPlainDict(parent) && Object.keys(parent).length > 0) this.parentState = parent
  }

  private setGlobal(state: PlainDict): void {
    const { axis, field } = this.settings
    const value = own(state, field)
    if (value === undefined) return
    this.globalState = { [field]: axis.output(axis.parse(value)) }
    this.newGlobalState = { ...this.globalState }
  }

  get state(): PlainDict {
    const state: PlainDict = { use_global_cursor: this.isGlobal }
    if (!this.isGlobal) {
      state["states"] = Array.from(this.cursors.values(), ({ cursor, partition }) => ({
        partition,
        cursor: cursor.state
      })).filter((entry) => Object.keys(entry.cursor).length > 0)
    }
    if (this.globalState !== undefined && Object.keys(this.globalState).length > 0) state["state"] = this.globalState
    state["lookback_window"] = this.lookback
    if (this.parentState !== undefined) state["parent_state"] = this.parentState
    return state
  }

  /** The cursor of a partition that has none: from where all of them are, minus the time a run took. */
  private fresh(): Cursor {
    return new Cursor(this.settings, this.beginning())
  }

  /** The state that a partition begins with that has none. */
  beginning(): PlainDict {
    const state = { ...this.globalState }
    const seconds = Object.keys(state).length > 0 ? this.lookback : 0
    const { axis, field } = this.settings
    const value = own(state, field)
    if (seconds > 0 && value !== undefined && truthy(value)) {
      state[field] = axis.output(axis.subtract(axis.parse(value), new PyTimeDelta(BigInt(seconds) * 1_000_000n)))
    }
    return state
  }

  begin(): void {
    this.begun = this.now()
  }

  /** The slices of the next partition; `parent` is where the router stands with it. */
  *slices(partition: Slice, parent: PlainDict | undefined): Generator<Slice> {
    if (!this.isGlobal && this.count > switchToGlobal) this.isGlobal = true
    this.makeRoom()
    const key = partitionKey(partition.partition)
    let cursor = this.cursors.get(key)?.cursor
    if (cursor === undefined) {
      cursor = this.fresh()
      this.count++
      this.cursors.set(key, { partition: partition.partition, cursor })
    }
    // A partition that comes again in the same run is read once: its children have the same records.
    if (this.begunWith.has(key)) return
    this.begunWith.add(key)
    if (this.begunWith.size > mostRemembered) {
      const [oldest] = this.begunWith
      if (oldest !== undefined) this.begunWith.delete(oldest)
    }
    const sequence = this.sequence++
    const entry = { unread: 0, isComplete: false, sequence }
    this.open.set(key, entry)
    const last = this.parents.at(-1)
    if (last === undefined || JSON.stringify(last.state) !== JSON.stringify(parent)) {
      this.parents.push({ state: parent === undefined ? undefined : copyOfDict(parent), sequence })
    }
    let held: Slice | undefined
    for (const slice of cursor.slices()) {
      if (held !== undefined) {
        entry.unread++
        yield held
      }
      held = new Slice(partition.partition, slice.cursor, partition.extra)
    }
    if (held !== undefined) {
      entry.unread++
      entry.isComplete = true
      yield held
    }
  }

  private makeRoom(): void {
    while (this.cursors.size > mostPartitions - 1) {
      let oldest: string | undefined
      for (const key of this.cursors.keys()) {
        oldest ??= key
        if (!this.open.has(key)) {
          oldest = key
          break
        }
      }
      if (oldest === undefined) return
      this.cursors.delete(oldest)
    }
  }

  observe(record: SourceRecord): void {
    const { axis, field } = this.settings
    const given = own(record.data, field)
    if (given === undefined || given === null) return
    let value: Value
    try {
      value = axis.output(axis.parse(given))
    } catch (error) {
      if (error instanceof PyError && error.kind === "ValueError") return
      throw error
    }
    this.hasData = true
    this.raise(value)
    if (!this.isGlobal) this.cursors.get(partitionKey(record.slice.partition))?.cursor.observe(record)
  }

  private raise(value: Value): void {
    const { field } = this.settings
    const known = this.newGlobalState === undefined ? undefined : own(this.newGlobalState, field)
    if (known === undefined || compare(known, value, "<")) this.newGlobalState = { [field]: value }
  }

  close(slice: Slice): void {
    const key = partitionKey(slice.partition)
    const entry = this.open.get(key)
    if (entry === undefined) return
    entry.unread--
    const isDone = entry.isComplete && entry.unread === 0
    if (!this.isGlobal) {
      const cursor = this.cursors.get(key)?.cursor
      cursor?.close(slice)
      const value = cursor === undefined ? undefined : own(cursor.state, this.settings.field)
      if (isDone && value !== undefined) this.raise(value)
    }
    if (isDone) this.open.delete(key)
    this.advanceParent()
  }

  /** The parent's state moves on when every partition before it is read. */
  private advanceParent(): void {
    const [oldest] = this.open.values()
    let closed: ParentState | undefined
    while (this.parents.length > 0) {
      const [next] = this.parents
      if (next === undefined || (oldest !== undefined && oldest.sequence <= next.sequence)) break
      this.parents.shift()
      closed = next
    }
    if (closed?.state !== undefined) this.parentState = closed.state
  }

  /** Says that the stream is at its end; `parent` is where the router stands. */
  finish(parent: PlainDict | undefined): void {
    if (Array.from(this.open.values()).some(({ unread }) => unread > 0)) return
    if (this.hasData) {
      this.globalState = this.newGlobalState
      this.lookback = Math.max(1, Math.ceil(this.begun === undefined ? 0 : this.now() - this.begun))
    }
    this.parentState = parent
  }

  /** Whether there is a state to tell of while the stream is being read. */
  get isTellable(): boolean {
    return !this.isGlobal || (this.parentState !== undefined && Object.keys(this.parentState).length > 0)
  }

  isWanted(record: PlainDict, slice: Slice): boolean {
    if (this.isGlobal) return this.fresh().isWanted(record)
    const cursor = this.cursors.get(partitionKey(slice.partition))?.cursor ?? this.fresh()
    return cursor.isWanted(record)
  }
}
