import { dumps } from "../expression/Json.ts"
import { StreamSlice } from "../expression/Dict.ts"
import type { PlainDict, Value } from "../expression/Value.ts"

/** The same text for equal partitions: JSON with sorted keys. */
export const partitionKey = (partition: PlainDict): string => dumps(partition, { sortKeys: true, indent: null })

/** Under this name a slice holds its first page, where the record of a parent had it (`lazy_read_pointer`). */
export const embeddedPage = "child_response"

/** One part of a stream that is read by itself: a partition, an interval of its cursor, and what else its router knows. */
export class Slice {
  readonly partition: PlainDict
  readonly cursor: PlainDict
  readonly extra: PlainDict
  /** The slice as expressions see it. */
  readonly value: StreamSlice
  /** Whether a cursor takes a record of the slice for new; undefined: whoever reads the slice knows. */
  readonly isWanted: ((record: PlainDict) => boolean) | undefined
  constructor(
    partition: PlainDict = {},
    cursor: PlainDict = {},
    extra: PlainDict = {},
    isWanted?: (record: PlainDict) => boolean
  ) {
    this.partition = partition
    this.cursor = cursor
    this.extra = extra
    this.isWanted = isWanted
    this.value = new StreamSlice(partition, cursor, extra)
  }
  get(name: string): Value | undefined {
    if (Object.hasOwn(this.cursor, name)) return this.cursor[name]
    return Object.hasOwn(this.partition, name) ? this.partition[name] : undefined
  }
  /** Equal for slices with the same partition and interval. */
  get key(): string {
    return partitionKey({ ...this.partition, ...this.cursor })
  }
  withExtra(extra: PlainDict): Slice {
    return new Slice(this.partition, this.cursor, { ...this.extra, ...extra }, this.isWanted)
  }
}

/** The slice of a stream that has no parts. */
export const wholeSlice = new Slice()
