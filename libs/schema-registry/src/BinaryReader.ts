import { isUtf8 } from "node:buffer"

/** Reads values in Avro's binary encoding (Avro 1.12, "Binary Encoding"). Throws `RangeError` for bytes that are none. */
export class BinaryReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Everything must have been read. */
  end(): void {
    if (this.#at < this.#bytes.length) throw new RangeError(`${this.#bytes.length - this.#at} bytes too many`)
  }

  byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new RangeError("the bytes end too soon")
    return byte
  }

  /** A number where it is one without loss. */
  long(): number | bigint {
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1)
    }
    let value = BigInt(low)
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        const signed = BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
        return signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER ? Number(signed) : signed
      }
    }
    throw new RangeError("a number of more than 64 bits")
  }

  /** A length that is not negative. */
  length(): number {
    const length = Number(this.long())
    if (length < 0) throw new RangeError("a negative length")
    return length
  }

  bytes(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new RangeError("the bytes end too soon")
    const found = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return found
  }

  string(): string {
    const found = this.bytes(this.length())
    if (!isUtf8(found)) throw new RangeError("a string that is not UTF-8")
    return found.toString("utf8")
  }

  float(): number {
    return this.bytes(4).readFloatLE()
  }

  double(): number {
    return this.bytes(8).readDoubleLE()
  }

  /** Two's complement of so many bytes, the highest first. */
  units(length: number): bigint {
    const found = this.bytes(length)
    return length === 0 ? 0n : BigInt.asIntN(length * 8, BigInt(`0x${found.toString("hex")}`))
  }

  /** The entries of an array or a map. */
  blocks(read: () => string): Array<string> {
    const entries: Array<string> = []
    for (;;) {
      let count = Number(this.long())
      if (count === 0) return entries
      if (count < 0) {
        count = -count
        // Its size in bytes.
        this.long()
      }
      // Each entry of a map or of `_nulls` takes a byte at least; entries of nothing are not believed.
      if (count > this.#bytes.length) throw new RangeError("more entries than bytes")
      for (let n = 0; n < count; n++) entries.push(read())
    }
  }
}
