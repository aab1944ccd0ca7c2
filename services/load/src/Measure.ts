import { partitionOf } from "@tributary/log"
import { offeredAt, syntheticId, type SyntheticOffers } from "@tributary/testkit"
import { becomesOf, type LoadStream, variants } from "./LoadStreams.ts"
import { QuantileCounter } from "./Quantile.ts"
import type { Watch } from "./Watch.ts"

/** Width of the bins in which loaded rows are counted, milliseconds. */
const width = 100

/** What became of the records over time. */
export interface Measured {
  readonly freshness: QuantileCounter
  /** Rows that became queryable in each tenth of a second since the begin. */
  readonly loaded: Float64Array
  /** Of each sample the age of the oldest record that was offered and not yet loaded, milliseconds. */
  readonly lags: Float64Array
  readonly rows: number
  readonly firstOffered: number
  readonly lastSeen: number
}

const zero = 0x30

/** Bytes of a record's identifier, again and again in the same place. */
const idWriter = () => {
  const bytes = Buffer.from(syntheticId(0))
  return (number: number): Uint8Array => {
    let rest = number
    for (let at = bytes.length - 1; at >= bytes.length - 10; at--) {
      const next = Math.floor(rest / 10)
      bytes[at] = zero + rest - next * 10
      rest = next
    }
    return bytes
  }
}

/**
 * Freshness of each record and what was loaded when, from what was offered when and seen when. `from` and `to` bound when records
 * were offered; `samples` are moments (milliseconds since 1970).
 */
export const measure = (
  watch: Watch,
  offers: SyntheticOffers,
  count: (stream: LoadStream) => readonly [from: number, to: number],
  begun: number,
  samples: ReadonlyArray<number>
): Measured => {
  const freshness = new QuantileCounter()
  const lags = new Float64Array(samples.length)
  let loaded = new Float64Array(600)
  let rows = 0
  let firstOffered = Number.POSITIVE_INFINITY
  let lastSeen = 0
  const id = idWriter()
  for (const stream of watch.streams) {
    const { first, number, partitions } = stream
    const becomes = becomesOf(stream)
    const offered = offeredAt(offers, number)
    const looks = Array.from({ length: partitions }, () => 0)
    const passed = Array.from({ length: partitions }, () => 0)
    const [from, to] = count(stream)
    for (let index = from; index < to; index++) {
      const made = becomes[(first + index) % variants]!
      if (made === 0) continue
      const at = offered(index)
      if (at === undefined) continue
      if (at < firstOffered) firstOffered = at
      const partition = partitions === 1 ? 0 : partitionOf(id(first + index), partitions)
      const seen = watch.seen[number]![partition]!
      let look = looks[partition]!
      while (look < seen.at.length && seen.last[look]! < first + index) look++
      looks[partition] = look
      const seenAt = seen.at[look] ?? Number.POSITIVE_INFINITY
      // Of the records of a partition that are not there yet this one is the oldest.
      let sample = passed[partition]!
      while (sample < samples.length && samples[sample]! < seenAt) {
        const age = samples[sample]! - at
        if (age > lags[sample]!) lags[sample] = age
        sample++
      }
      passed[partition] = sample
      if (seenAt === Number.POSITIVE_INFINITY) continue
      freshness.add(seenAt - at)
      rows += made
      if (seenAt > lastSeen) lastSeen = seenAt
      const bin = Math.max(0, Math.floor((seenAt - begun) / width))
      if (bin >= loaded.length) {
        const grown = new Float64Array(Math.ceil(bin * 1.5) + 1)
        grown.set(loaded)
        loaded = grown
      }
      loaded[bin] = loaded[bin]! + made
    }
  }
  return { freshness, loaded, lags, rows, firstOffered, lastSeen }
}

/** Rows that were loaded by a moment, to the tenth of a second before it. */
export const loadedBy = ({ loaded }: Measured, begun: number) => {
  let bin = 0
  let sum = 0
  /** To be asked for moments in their order. */
  return (at: number): number => {
    const end = Math.min(loaded.length, Math.floor((at - begun) / width))
    while (bin < end) sum += loaded[bin++]!
    return sum
  }
}

/** Most rows a second over any ten seconds; over all of it when that is less. */
export const bestRate = ({ firstOffered, lastSeen, loaded, rows }: Measured): number => {
  const bins = 10_000 / width
  const lasted = lastSeen - firstOffered
  if (lasted <= 0) return 0
  if (lasted <= 10_000) return (rows * 1_000) / lasted
  let sum = 0
  let best = 0
  for (let bin = 0; bin < loaded.length; bin++) {
    sum += loaded[bin]! - (bin >= bins ? loaded[bin - bins]! : 0)
    if (sum > best) best = sum
  }
  return best / 10
}

/** Records of all streams that had been offered by a moment. */
export const offeredBy = (
  offers: SyntheticOffers,
  streams: ReadonlyArray<LoadStream>,
  most: number,
  at: number
): number => {
  let sum = 0
  const segment = offers.segments.findLast((one) => one.at <= at) ?? offers.segments[0]
  for (const { number } of streams) {
    if (segment === undefined) continue
    if (segment.rate > 0) {
      sum += Math.min(most, segment.from + Math.max(0, Math.floor(((at - segment.at) * segment.rate) / 1_000)))
      continue
    }
    const { at: times, records } = offers.sent[number] ?? { at: [], records: [] }
    let low = 0
    let high = times.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (times[middle]! > at) high = middle
      else low = middle + 1
    }
    sum += low === 0 ? 0 : records[low - 1]!
  }
  return sum
}
