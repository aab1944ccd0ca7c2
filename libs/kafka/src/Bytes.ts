/** Writes values as Kafka's protocol has them: big endian, strings and arrays with their length before them. */
export class Writer {
  #buffer: Buffer
  #length = 0

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
  get length(): number {
    return this.#length
  }

  #room(size: number): number {
    const at = this.#length
    const needed = at + size
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    this.#length = needed
    return at
  }

  int8(value: number): this {
    const at = this.#room(1)
    this.#buffer[at] = value
    return this
  }
  bool(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }
  int16(value: number): this {
    const at = this.#room(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }
  int32(value: number): this {
    const at = this.#room(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }
  /** Whole numbers that are exact as a double. */
  int64(value: number): this {
    const at = this.#room(8)
    this.#buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at)
    this.#buffer.writeUInt32BE(value >>> 0, at + 4)
    return this
  }
  /** Sets an `int32` that was written before. */
  patchInt32(at: number, value: number): void {
    this.#buffer.writeInt32BE(value | 0, at)
  }
  unsignedVarint(value: number): this {
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.int8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    return this.int8(rest)
  }
  varint(value: number): this {
    return this.unsignedVarint((value << 1) ^ (value >> 31))
  }
  raw(value: Uint8Array): this {
    const at = this.#room(value.length)
    this.#buffer.set(value, at)
    return this
  }
  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const size = Buffer.byteLength(value)
    this.int16(size)
    const at = this.#room(size)
    this.#buffer.write(value, at)
    return this
  }
  bytes32(value: Uint8Array): this {
    return this.int32(value.length).raw(value)
  }
  array<A>(values: ReadonlyArray<A>, write: (value: A) => void): this {
    this.int32(values.length)
    for (const value of values) write(value)
    return this
  }
  compactString(value: string | null): this {
    if (value === null) return this.unsignedVarint(0)
    const size = Buffer.byteLength(value)
    this.unsignedVarint(size + 1)
    const at = this.#room(size)
    this.#buffer.write(value, at)
    return this
  }
  compactArray<A>(values: ReadonlyArray<A> | null, write: (value: A) => void): this {
    if (values === null) return this.unsignedVarint(0)
    this.unsignedVarint(values.length + 1)
    for (const value of values) write(value)
    return this
  }
  /** No tagged fields. */
  tags(): this {
    return this.int8(0)
  }
}

/** Reads what `Writer` writes. Throws `RangeError` beyond the end. */
export class Reader {
  readonly buffer: Buffer
  at: number

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer
    this.at = at
  }

  get left(): number {
    return this.buffer.length - this.at
  }
  #step(size: number): number {
    const { at } = this
    if (size < 0 || at + size > this.buffer.length) throw new RangeError("The bytes end too early.")
    this.at = at + size
    return at
  }
  int8(): number {
    return this.buffer.readInt8(this.#step(1))
  }
  bool(): boolean {
    return this.int8() !== 0
  }
  int16(): number {
    return this.buffer.readInt16BE(this.#step(2))
  }
  int32(): number {
    return this.buffer.readInt32BE(this.#step(4))
  }
  int64(): number {
    const at = this.#step(8)
    return this.buffer.readInt32BE(at) * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4)
  }
  /** Up to 2^53. */
  unsignedVarint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.buffer[this.#step(1)]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 0x80
    }
  }
  varint(): number {
    const value = this.unsignedVarint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  raw(size: number): Buffer {
    const at = this.#step(size)
    return this.buffer.subarray(at, at + size)
  }
  text(size: number): string {
    const at = this.#step(size)
    return this.buffer.toString("utf8", at, at + size)
  }
  nullableString(): string | null {
    const size = this.int16()
    return size < 0 ? null : this.text(size)
  }
  string(): string {
    return this.nullableString() ?? ""
  }
  bytes32(): Buffer {
    const size = this.int32()
    return size < 0 ? this.raw(0) : this.raw(size)
  }
  array<A>(read: (reader: Reader) => A): Array<A> {
    const size = this.int32()
    const values: Array<A> = []
    for (let i = 0; i < size; i++) values.push(read(this))
    return values
  }
  nullableCompactString(): string | null {
    const size = this.unsignedVarint()
    return size === 0 ? null : this.text(size - 1)
  }
  compactString(): string {
    return this.nullableCompactString() ?? ""
  }
  compactArray<A>(read: (reader: Reader) => A): Array<A> {
    const size = this.unsignedVarint()
    const values: Array<A> = []
    for (let i = 1; i < size; i++) values.push(read(this))
    return values
  }
  uuid(): string {
    const hex = this.raw(16).toString("hex")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
  /** Skips tagged fields. */
  tags(): void {
    for (let count = this.unsignedVarint(); count > 0; count--) {
      this.unsignedVarint()
      this.raw(this.unsignedVarint())
    }
  }
}
