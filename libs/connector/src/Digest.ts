/**
 * 64-bit digests of records (MurmurHash3_x86_128 by Austin Appleby, the first two words). They tell a record that has not
 * changed from one that has; they are no protection against forgery, which needs none: who makes the records may as well
 * leave them out.
 */

/** The digest of the last call of `digest`: its two halves as unsigned 32-bit integers. Read at once, to spare an object per record. */
export const digested = { high: 0, low: 0 }

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
const mix = (x: number): number => {
  let h = x ^ (x >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
const c1 = 0x239b961b
const c2 = 0xab0e9789 | 0
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93 | 0

/** Computes the digest of `bytes` from `start` to `end` into `digested`. */
export const digest = (bytes: Uint8Array, start: number, end: number): void => {
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  const length = end - start
  const blocks = start + (length & ~15)
  for (let i = start; i < blocks; i += 16) {
    let k1 = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    let k2 = bytes[i + 4]! | (bytes[i + 5]! << 8) | (bytes[i + 6]! << 16) | (bytes[i + 7]! << 24)
    let k3 = bytes[i + 8]! | (bytes[i + 9]! << 8) | (bytes[i + 10]! << 16) | (bytes[i + 11]! << 24)
    let k4 = bytes[i + 12]! | (bytes[i + 13]! << 8) | (bytes[i + 14]! << 16) | (bytes[i + 15]! << 24)
    k1 = Math.imul(rotate(Math.imul(k1, c1), 15), c2)
    h1 = (Math.imul((rotate(h1 ^ k1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
    k2 = Math.imul(rotate(Math.imul(k2, c2), 16), c3)
    h2 = (Math.imul((rotate(h2 ^ k2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
    k3 = Math.imul(rotate(Math.imul(k3, c3), 17), c4)
    h3 = (Math.imul((rotate(h3 ^ k3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
    k4 = Math.imul(rotate(Math.imul(k4, c4), 18), c1)
    h4 = (Math.imul((rotate(h4 ^ k4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
  }
  // The rest, less than 16 bytes, is filled with zeros; the length below tells it from real zeros.
  if (blocks < end) {
    const word = (from: number): number => {
      let value = 0
      for (let k = 0; k < 4; k++) if (from + k < end) value |= bytes[from + k]! << (8 * k)
      return value
    }
    h4 ^= Math.imul(rotate(Math.imul(word(blocks + 12), c4), 18), c1)
    h3 ^= Math.imul(rotate(Math.imul(word(blocks + 8), c3), 17), c4)
    h2 ^= Math.imul(rotate(Math.imul(word(blocks + 4), c2), 16), c3)
    h1 ^= Math.imul(rotate(Math.imul(word(blocks), c1), 15), c2)
  }
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = mix(h1)
  h2 = mix(h2)
  h3 = mix(h3)
  h4 = mix(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  digested.high = h1 >>> 0
  digested.low = (h2 + h1) >>> 0
}

/** A set of digests as a checkpoint holds it: base64 of 8 bytes each. */
export class DigestSet {
  // One half and 21 bits of the other make a number that is exact; the remaining 11 bits are compared too.
  readonly #entries = new Map<number, number>()
  get size(): number {
    return this.#entries.size
  }
  add(high: number, low: number): void {
    this.#entries.set((high >>> 11) * 4_294_967_296 + low, high & 0x7ff)
  }
  has(high: number, low: number): boolean {
    return this.#entries.get((high >>> 11) * 4_294_967_296 + low) === (high & 0x7ff)
  }
  /** Whether it was in the set, in which it is not any more. */
  delete(high: number, low: number): boolean {
    return this.has(high, low) && this.#entries.delete((high >>> 11) * 4_294_967_296 + low)
  }
  *[Symbol.iterator](): Generator<readonly [high: number, low: number]> {
    for (const [key, rest] of this.#entries) {
      const low = key % 4_294_967_296
      // The quotient is an integer below 2^21, so multiplying by 2^11 stays within 32 bits.
      yield [((key - low) / 4_294_967_296) * 2048 + rest, low]
    }
  }
  static decode(text: string | undefined): DigestSet {
    const set = new DigestSet()
    if (text === undefined) return set
    const bytes = Buffer.from(text, "base64")
    for (let i = 0; i + 8 <= bytes.length; i += 8) set.add(bytes.readUInt32BE(i), bytes.readUInt32BE(i + 4))
    return set
  }
}

/** The text of digests, two numbers each. */
export const encodeDigests = (halves: ReadonlyArray<number>): string => {
  const bytes = Buffer.allocUnsafe(halves.length * 4)
  for (let i = 0; i < halves.length; i++) bytes.writeUInt32BE(halves[i]!, 4 * i)
  return bytes.toString("base64")
}
