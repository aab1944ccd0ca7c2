/**
 * Records of the synthetic API. Record `i` is the same in every process, so that a test can tell what must arrive: 13 fields,
 * about 390 bytes, with an integer beyond 2^53, a decimal as text, a nested object, an array, text that is not ASCII, and
 * escaped quotes. Seven records in a row share one `updated_at`, 100 ms after the seven before.
 */

const firstSeq = 9_007_199_254_740_993n
const seqBase = 9_007_199_000_000_000n
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

const updatedAt = (index: number): string => isoTime(firstTime + Math.floor(index / perTime) * timeStep)

/** The text of record `index`. */
export const syntheticRecord = (index: number): string => {
  const v = index % variants
  const r = Math.imul(v + 1, 2_654_435_761) >>> 0
  return JSON.stringify({
    id: `evt_${String(index).padStart(10, "0")}`,
    seq: 0,
    type: of(types, r),
    account_id: `acc_${hex(r, 8)}`,
    status: of(statuses, r >>> 3),
    created_at: isoTime(firstTime - (r % 864_000) * 1000),
    updated_at: updatedAt(index),
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
  }).replace('"seq":0', `"seq":${firstSeq + BigInt(index)}`)
}

const writeDigits = (bytes: Buffer, at: number, value: number, width: number): void => {
  let rest = value
  for (let i = at + width - 1; i >= at; i--) {
    const next = Math.floor(rest / 10)
    bytes[i] = 0x30 + rest - next * 10
    rest = next
  }
}

/** Records one after the other with commas between, and where each one's changing digits are. */
interface Template {
  readonly bytes: Buffer
  readonly ids: Int32Array
  readonly seqs: Int32Array
  readonly times: Int32Array
}

const templates = new Map<string, Template>()

/** The template for `count` records from one that is `variant`; all such pages differ only in the digits. */
const templateOf = (variant: number, count: number): Template => {
  const name = `${variant}/${count}`
  let template = templates.get(name)
  if (template === undefined) {
    const ids = new Int32Array(count)
    const seqs = new Int32Array(count)
    const times = new Int32Array(count)
    const parts: Array<Buffer> = []
    let at = 0
    for (let i = 0; i < count; i++) {
      const text = Buffer.from(`${i === 0 ? "" : ","}${syntheticRecord(variant + i)}`)
      ids[i] = at + text.indexOf('"evt_') + 5
      // The low nine digits of the sixteen change.
      seqs[i] = at + text.indexOf('"seq":') + 6 + 7
      times[i] = at + text.indexOf('"updated_at":') + 14
      parts.push(text)
      at += text.length
    }
    template = { bytes: Buffer.concat(parts), ids, seqs, times }
    if (templates.size >= 256) templates.clear()
    templates.set(name, template)
  }
  return template
}

/** Size of `count` records from `start`, with commas. */
export const sizeOfRecords = (start: number, count: number): number =>
  count === 0 ? 0 : templateOf(start % variants, count).bytes.length

/** Writes `count` records from `start`, with commas between, to `target` at `at`; returns the position after them. */
export const writeRecords = (target: Buffer, at: number, start: number, count: number): number => {
  if (count === 0) return at
  const { bytes, ids, seqs, times } = templateOf(start % variants, count)
  bytes.copy(target, at)
  const low = Number(firstSeq - seqBase) + start
  let group = -1
  let minute = -1
  let time = Buffer.alloc(24)
  for (let i = 0; i < count; i++) {
    const index = start + i
    writeDigits(target, at + ids[i]!, index, 10)
    writeDigits(target, at + seqs[i]!, low + i, 9)
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
    const to = at + times[i]!
    for (let k = 0; k < 23; k++) target[to + k] = time[k]!
  }
  return at + bytes.length
}
