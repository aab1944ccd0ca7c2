/**
 * Records of the synthetic API. Record `i` is the same in every process, so that a test can tell what must arrive: 13 fields,
 * about 390 bytes, with an integer beyond 2^53, a decimal as text, a nested object, an array, text that is not ASCII, and
 * escaped quotes. Seven records in a row share one `updated_at`, 100 ms after the seven before. Records of a size that is given
 * have one field more, `padding`, which fills them up.
 */

/** `seq` of record 0. */
export const firstSeq = 9_007_199_254_740_993n
/** `seq` of all records begins so; the twelve digits that follow differ. */
const seqHigh = "9007"
const seqDigits = 12
const lowOfFirst = Number(firstSeq - BigInt(seqHigh) * 10n ** BigInt(seqDigits))
const firstTime = 1_735_689_600_000 // 2025-01-01T00:00:00Z
const perTime = 7
const timeStep = 100
/** Records whose texts differ; after that they repeat, but for id, seq and updated_at. */
const variants = 64

const types = [
  "invoice.paid",
  "invoice.created",
  "charge.refunded",
  "customer.updated",
  "payout.failed",
  "order.shipped"
]
const statuses = ["active", "pending", "closed", "archived"]
const names = ["Zoë Müller", "Anna Kowalska", 'John "Jack" O\'Neil', "李小龙", 'María José "Pepa" Díaz', "Søren Ægir"]
const words = ["late", "partial", "manual", "recurring", "first", "annual", "disputed", "prorated", "adjusted", "bulk"]

const of = <A>(items: ReadonlyArray<A>, n: number): A => items[n % items.length]!
const hex = (n: number, width: number) => n.toString(16).padStart(width, "0").slice(-width)

/** Number of the first record with an `updated_at` at or after a time (milliseconds since 1970). */
export const firstSince = (millis: number): number => Math.max(0, Math.ceil((millis - firstTime) / timeStep) * perTime)

// oxlint-disable-next-line eslint/no-restricted-globals -- formats a given time; this is no clock
const isoTime = (millis: number): string => new Date(millis).toISOString()

const fieldsOf = (v: number) => {
  const r = Math.imul(v + 1, 2_654_435_761) >>> 0
  return {
    id: `evt_${"0".repeat(10)}`,
    seq: 0,
    type: of(types, r),
    account_id: `acc_${hex(r, 8)}`,
    status: of(statuses, r >>> 3),
    created_at: isoTime(firstTime - (r % 864_000) * 1000),
    updated_at: isoTime(firstTime),
    amount: `${(r >>> 8) % 1_000_000}.${String(r % 100).padStart(2, "0")}`,
    currency: of(["EUR", "USD", "GBP", "JPY"], r >>> 5),
    description: `${of(words, r >>> 2)} ${of(words, r >>> 7)} ${of(words, r >>> 13)}`,
    customer: {
      id: `cus_${hex(r, 6)}`,
      name: of(names, v),
      country: of(["DE", "FR", "NL", "US", "JP", "BR"], r >>> 9)
    },
    tags: [of(words, r >>> 11), of(words, r >>> 17)],
    deleted: v % 50 === 0
  }
}

const emptyPadding = ',"padding":""'.length

/** Text of so many characters, which compresses about as well as words do. */
const padding = (v: number, length: number): string => {
  let text = ""
  for (let n = v + 1; text.length < length; n = (Math.imul(n, 1_103_515_245) + 12_345) >>> 0) text += of(words, n >>> 9)
  return text.slice(0, length)
}

const variantText = (v: number, size: number): string => {
  const fields = fieldsOf(v)
  const text = JSON.stringify(fields).replace('"seq":0', `"seq":${seqHigh}${"0".repeat(seqDigits)}`)
  if (size === 0) return text
  const room = size - Buffer.byteLength(text) - emptyPadding
  return `${text.slice(0, -1)},"padding":"${padding(v, Math.max(0, room))}"}`
}

/** Smallest size that records can be filled up to, bytes. */
export const smallestSize = 512

/** All variants of one size, one after the other, each with a comma before it, and where each one's changing digits are. */
interface Ring {
  readonly bytes: Buffer
  /** Where each variant's comma is, and the end of the last. */
  readonly starts: Int32Array
  readonly ids: Int32Array
  readonly seqs: Int32Array
  readonly times: Int32Array
  /** Each variant's text around its id, the digits of its seq, and its updated_at. */
  readonly texts: ReadonlyArray<readonly [string, string, string, string]>
}

const rings = new Map<number, Ring>()

const ringOf = (size: number): Ring => {
  let ring = rings.get(size)
  if (ring !== undefined) return ring
  const starts = new Int32Array(variants + 1)
  const [ids, seqs, times] = [new Int32Array(variants), new Int32Array(variants), new Int32Array(variants)]
  const parts: Array<Buffer> = []
  const texts: Array<Ring["texts"][number]> = []
  let at = 0
  for (let v = 0; v < variants; v++) {
    const text = variantText(v, size)
    const bytes = Buffer.from(`,${text}`)
    starts[v] = at
    ids[v] = at + bytes.indexOf('"evt_') + 5
    seqs[v] = at + bytes.indexOf('"seq":') + 6 + seqHigh.length
    times[v] = at + bytes.indexOf('"updated_at":') + 14
    const id = text.indexOf('"evt_') + 5
    const seq = text.indexOf('"seq":') + 6 + seqHigh.length
    const time = text.indexOf('"updated_at":') + 14
    texts.push([
      text.slice(0, id),
      text.slice(id + 10, seq),
      text.slice(seq + seqDigits, time),
      text.slice(time + isoTime(firstTime).length)
    ])
    parts.push(bytes)
    at += bytes.length
  }
  starts[variants] = at
  ring = { bytes: Buffer.concat(parts), starts, ids, seqs, times, texts }
  if (rings.size >= 8) rings.clear()
  rings.set(size, ring)
  return ring
}

let lastGroup = -1
let lastTime = ""
const updatedAt = (index: number): string => {
  const group = Math.floor(index / perTime)
  if (group !== lastGroup) {
    lastGroup = group
    lastTime = isoTime(firstTime + group * timeStep)
  }
  return lastTime
}

/** Identifier of record `index`. */
export const syntheticId = (index: number): string => `evt_${String(index).padStart(10, "0")}`

/** The text of record `index`; `size` in bytes fills it up, 0 leaves it as it is. */
export const syntheticRecord = (index: number, size = 0): string => {
  const [first, second, third, last] = ringOf(size).texts[index % variants]!
  const seq = String(lowOfFirst + index).padStart(seqDigits, "0")
  return `${first}${String(index).padStart(10, "0")}${second}${seq}${third}${updatedAt(index)}${last}`
}

const writeDigits = (bytes: Buffer, at: number, value: number, width: number): void => {
  let rest = value
  for (let i = at + width - 1; i >= at; i--) {
    const next = Math.floor(rest / 10)
    bytes[i] = 0x30 + rest - next * 10
    rest = next
  }
}

/** Bytes of `count` records from `start`, with commas between. */
export const sizeOfRecords = (start: number, count: number, size = 0): number => {
  if (count === 0) return 0
  const { bytes, starts } = ringOf(size)
  const v = start % variants
  const rest = v + (count % variants)
  const part = rest <= variants ? starts[rest]! - starts[v]! : bytes.length - starts[v]! + starts[rest - variants]!
  return Math.floor(count / variants) * bytes.length + part - 1
}

/** Writes `count` records from `start`, with commas between, to `target` at `at`; returns the position after them. */
export const writeRecords = (target: Buffer, at: number, start: number, count: number, size = 0): number => {
  const { bytes, ids, seqs, starts, times } = ringOf(size)
  let group = -1
  let minute = -1
  let time = Buffer.alloc(24)
  let to = at
  for (let done = 0; done < count;) {
    const v = (start + done) % variants
    const n = Math.min(variants - v, count - done)
    // The first record has no comma before it.
    const from = starts[v]! + (done === 0 ? 1 : 0)
    bytes.copy(target, to, from, starts[v + n]!)
    const shift = to - from
    for (let i = 0; i < n; i++) {
      const index = start + done + i
      writeDigits(target, shift + ids[v + i]!, index, 10)
      writeDigits(target, shift + seqs[v + i]!, lowOfFirst + index, seqDigits)
      const own = Math.floor(index / perTime)
      if (own !== group) {
        group = own
        const millis = firstTime + own * timeStep
        if (Math.floor(millis / 60_000) === minute) {
          writeDigits(time, 17, Math.floor(millis / 1000) % 60, 2)
          writeDigits(time, 20, millis % 1000, 3)
        } else {
          minute = Math.floor(millis / 60_000)
          time = Buffer.from(isoTime(millis), "latin1")
        }
      }
      const place = shift + times[v + i]!
      for (let k = 0; k < 23; k++) target[place + k] = time[k]!
    }
    to += starts[v + n]! - from
    done += n
  }
  return to
}
