/** Writes values in Avro's binary encoding (Avro 1.12, "Binary Encoding"), one record after the other, into shared buffers. */
export class BinaryWriter {
  #buffer: Buffer
  #start = 0
  #at = 0

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 1_024))
  }

  /** Begins a record in Confluent's wire format: a zero byte and the id of its schema. */
  begin(schema: number): void {
    this.#start = this.#at
    this.#ensure(5)
    this.#buffer[this.#at++] = 0
    this.#at = this.#buffer.writeInt32BE(schema, this.#at)
  }

  /** The record since `begin`. */
  end(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#at)
  }

  /** Forgets the record since `begin`. */
  drop(): void {
    this.#at = this.#start
  }

  byte(value: number): void {
    this.#ensure(1)
    this.#buffer[this.#at++] = value
  }

  long(value: number | bigint): void {
    this.#ensure(10)
    if (typeof value === "bigint" && (value > exact || value < -exact)) return this.#big(value)
    const n = Number(value)
    let rest = n >= 0 ? n * 2 : -n * 2 - 1
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#buffer[this.#at++] = rest
  }

  #big(value: bigint): void {
    let rest = value >= 0n ? value << 1n : (-value << 1n) - 1n
    while (rest >= 0x80n) {
      this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#buffer[this.#at++] = Number(rest)
  }

  double(value: number): void {
    this.#ensure(8)
    this.#at = this.#buffer.writeDoubleLE(value, this.#at)
  }

  string(text: string): void {
    const length = Buffer.byteLength(text)
    this.long(length)
    this.#ensure(length)
    this.#at += this.#buffer.write(text, this.#at, "utf8")
  }

  /** Bytes from `from` to `to`, with their number before them: `bytes`, or a `string` that is UTF-8 already. */
  bytes(source: Uint8Array, from = 0, to = source.length): void {
    this.long(to - from)
    this.#ensure(to - from)
    this.#buffer.set(source.subarray(from, to), this.#at)
    this.#at += to - from
  }

  /** A decimal's units as two's complement, the highest byte first, in as few bytes as hold it. */
  decimal(units: bigint): void {
    let length = 1
    while (BigInt.asIntN(length * 8, units) !== units) length++
    this.long(length)
    this.#ensure(length)
    let rest = BigInt.asUintN(length * 8, units)
    for (let k = length - 1; k >= 0; k--) {
      this.#buffer[this.#at + k] = Number(rest & 0xffn)
      rest >>= 8n
    }
    this.#at += length
  }

  /** Records that were written stay in the buffer they are in. */
  #ensure(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const written = this.#at - this.#start
    const next = Buffer.allocUnsafeSlow(Math.max(65_536, (written + bytes) * 2))
    this.#buffer.copy(next, 0, this.#start, this.#at)
    this.#buffer = next
    this.#start = 0
    this.#at = written
  }
}

/** Twice as much is still a number without loss. */
const exact = 2n ** 51n
