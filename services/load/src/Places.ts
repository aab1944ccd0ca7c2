/** Where the records of one partition are, in the order of their offsets. Grows as they come, 20 bytes a record at most. */
export class Places {
  count = 0
  #offsets = new Float64Array(1_024)
  #slots = new Int32Array(1_024)
  #times = new Float64Array(0)
  readonly #keepsTimes: boolean

  constructor(keepsTimes = false) {
    this.#keepsTimes = keepsTimes
    if (keepsTimes) this.#times = new Float64Array(1_024)
  }

  /** Adds the next record: its offset, its slot (-1 for none), and when it was written (milliseconds since 1970). */
  push(offset: number, slot: number, time: number): void {
    if (this.count === this.#offsets.length) this.#grow()
    this.#offsets[this.count] = offset
    this.#slots[this.count] = slot
    if (this.#keepsTimes) this.#times[this.count] = time
    this.count++
  }

  #grow(): void {
    const size = Math.ceil(this.#offsets.length * 1.5)
    const [offsets, slots] = [new Float64Array(size), new Int32Array(size)]
    offsets.set(this.#offsets)
    slots.set(this.#slots)
    this.#offsets = offsets
    this.#slots = slots
    if (!this.#keepsTimes) return
    const times = new Float64Array(size)
    times.set(this.#times)
    this.#times = times
  }

  get offsets(): Float64Array {
    return this.#offsets.subarray(0, this.count)
  }

  get slots(): Int32Array {
    return this.#slots.subarray(0, this.count)
  }

  /** Empty unless they are kept. */
  get times(): Float64Array {
    return this.#times.subarray(0, this.count)
  }

  /** Offset of the record that is the `at`th; there must be so many. */
  offset(at: number): number {
    return this.#offsets[at]!
  }

  slot(at: number): number {
    return this.#slots[at]!
  }

  /** The positions of a slot, from the first on. */
  *positionsOf(slot: number): Generator<number> {
    for (let at = this.#slots.indexOf(slot); at >= 0 && at < this.count; at = this.#slots.indexOf(slot, at + 1))
      yield at
  }
}
