/** From `at` (milliseconds since 1970) on, records from number `from` on are offered, `rate` of them a second; 0: all at once. */
export interface OfferSegment {
  readonly at: number
  readonly from: number
  readonly rate: number
}

/** What has been offered of each stream, and when: all streams follow the same segments. */
export interface SyntheticOffers {
  readonly segments: ReadonlyArray<OfferSegment>
  /** Of each stream: at which times (milliseconds since 1970) pages went out that had new records, and how many had gone out then. */
  readonly sent: ReadonlyArray<{ readonly at: ReadonlyArray<number>; readonly records: ReadonlyArray<number> }>
  /** Records that each stream has by now. */
  readonly records: number
}

/** Hands records out over time: as many a second as it is told, up to a number. */
export class Offers {
  readonly segments: Array<OfferSegment>
  readonly sent: ReadonlyArray<{ readonly at: Array<number>; readonly records: Array<number> }>
  #most: number

  constructor(streams: number, at: number, most: number, rate: number) {
    this.#most = most
    this.segments = [{ at, from: 0, rate }]
    this.sent = Array.from({ length: streams }, () => ({ at: [], records: [] }))
  }

  /** Records that each stream has at a time. */
  available(at: number): number {
    const last = this.segments.at(-1)!
    if (last.rate === 0) return this.#most
    return Math.min(this.#most, last.from + Math.max(0, Math.floor(((at - last.at) * last.rate) / 1000)))
  }

  /** Goes on with other numbers from a time on. */
  change(at: number, most: number, rate: number): void {
    const from = this.available(at)
    this.#most = most
    if (rate === 0 && this.segments.at(-1)?.rate === 0) return
    if (from === 0 && this.segments.length === 1) this.segments.length = 0
    this.segments.push({ at, from, rate })
  }

  /** Notes that the first so many records of a stream have gone out. */
  note(stream: number, at: number, records: number): void {
    // A rate says by itself when each record was there.
    if (this.segments.at(-1)!.rate > 0) return
    const marks = this.sent[stream]!
    if (records <= (marks.records.at(-1) ?? 0)) return
    marks.at.push(at)
    marks.records.push(records)
  }
}

/**
 * When a record of a stream was offered, milliseconds since 1970: the moment in which the stream was said to have it, or, when
 * all were there at once, the moment in which it went out first. `undefined` for one that was not.
 */
export const offeredAt = (
  { segments, sent }: SyntheticOffers,
  stream: number
): ((index: number) => number | undefined) => {
  const marks = sent[stream] ?? { at: [], records: [] }
  return (index) => {
    let segment = segments.length - 1
    while (segment > 0 && segments[segment]!.from > index) segment--
    const found = segments[segment]
    if (found === undefined) return undefined
    // The record is there as soon as so many are.
    if (found.rate > 0) return found.at + ((index + 1 - found.from) * 1000) / found.rate
    let low = 0
    let high = marks.records.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (marks.records[middle]! > index) high = middle
      else low = middle + 1
    }
    return marks.at[low]
  }
}
