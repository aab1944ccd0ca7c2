import { crc32, createInflateRaw, type InflateRaw } from "node:zlib"
import { BadPart, CutOff } from "./LineExtractor.ts"

// What PKWARE's APPNOTE.TXT 6.3.10 says of a .ZIP file, in the order of its bytes. Section numbers are those of the note.

const localHeader = 0x04034b50
const descriptorMark = 0x08074b50
const directoryHeader = 0x02014b50
const archiveExtra = 0x08064b50
const endOfDirectory = 0x06054b50
const zip64End = 0x06064b50
const localLength = 30
const directoryLength = 46
/** In place of a size that stands in the Zip64 field (4.5.3). */
const elsewhere = 0xffffffff
const zip64Field = 0x0001

/** Of a file: its name, and what the local header says of it. */
interface Entry {
  readonly name: string
  readonly method: number
  /** Whether sizes and checksum stand behind the file. */
  readonly isDescribed: boolean
  /** Whether the header has a Zip64 field. */
  readonly isWide: boolean
  /** Of the local header; 0 where it does not say. */
  readonly compressed: number
  readonly size: number
  readonly checksum: number
}

interface Progress {
  readonly entry: Entry
  readonly inflation: Inflation | undefined
  /** Bytes of the file as it stands in the archive, and as it is. */
  compressed: number
  size: number
  checksum: number
}

const flags = { encrypted: 0x1, described: 0x8, strong: 0x40, masked: 0x2000, utf8: 0x800 } as const

/** Sizes of the Zip64 field of a local header; only those that the header has not are there. */
const zip64Sizes = (extra: Buffer, hasSize: boolean, hasCompressed: boolean): ReadonlyArray<number | undefined> => {
  for (let at = 0; at + 4 <= extra.length;) {
    const length = extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === zip64Field) {
      const field = extra.subarray(at + 4, at + 4 + length)
      const numbers = Array.from({ length: Math.floor(field.length / 8) }, (_, n) =>
        Number(field.readBigUInt64LE(8 * n))
      )
      const size = hasSize ? undefined : numbers.shift()
      return [size, hasCompressed ? undefined : numbers.shift()]
    }
    at += 4 + length
  }
  return []
}

/**
 * Reads an archive from its beginning on, as it comes in: files of any size (Zip64), any number of them, with sizes before or
 * behind them. Where a compressed file ends is what its compression says, never a mark that may stand in it by chance. Checksums
 * and sizes are checked, and that the list of files at the end has as many as there were.
 */
export class ZipReader {
  #rest: Buffer = Buffer.alloc(0)
  #now: Progress | undefined
  /** Bytes of the directory that are passed over. */
  #skip = 0
  #entries = 0
  #listed = 0
  #isOver = false
  #out: Array<Buffer | "file"> = []
  /** Files that had a name, which folders do not count as. */
  files = 0

  /** Takes bytes of the archive; gives those of its files, with `file` between two. */
  async push(chunk: Buffer): Promise<ReadonlyArray<Buffer | "file">> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (await this.#step());
    const found = this.#out
    this.#out = []
    return found
  }

  /** The archive is at its end. */
  end(): void {
    if (this.#entries === 0 && this.#rest.length === 0 && !this.#isOver) return
    if (!this.#isOver) throw new CutOff("The zip archive breaks off.")
    if (this.files === 0) throw new BadPart("expected a zip archive with a file in it")
  }

  /** Goes on by one thing; `false`: more bytes are needed. */
  async #step(): Promise<boolean> {
    const rest = this.#rest
    if (this.#isOver) {
      // A comment.
      this.#rest = Buffer.alloc(0)
      return false
    }
    if (this.#now !== undefined) return this.#read(this.#now)
    if (this.#skip > 0) {
      const passed = Math.min(this.#skip, rest.length)
      this.#skip -= passed
      this.#rest = rest.subarray(passed)
      return this.#skip === 0
    }
    if (rest.length < 4) return false
    switch (rest.readUInt32LE(0)) {
      case localHeader:
        return this.#begin()
      case directoryHeader: {
        if (rest.length < directoryLength) return false
        this.#listed++
        this.#skip = directoryLength + rest.readUInt16LE(28) + rest.readUInt16LE(30) + rest.readUInt16LE(32)
        return true
      }
      case zip64End: {
        if (rest.length < 12) return false
        this.#skip = 12 + Number(rest.readBigUInt64LE(4))
        return true
      }
      case archiveExtra: {
        if (rest.length < 8) return false
        this.#skip = 8 + rest.readUInt32LE(4)
        return true
      }
      case 0x07064b50:
        // The locator of the Zip64 end.
        this.#skip = 20
        return true
      case endOfDirectory: {
        if (rest.length < 22) return false
        if (this.#listed !== this.#entries) {
          throw new BadPart(`the archive lists ${this.#listed} files, and has ${this.#entries}`)
        }
        this.#isOver = true
        return true
      }
      default: {
        const where = this.#entries === 0 ? "" : ` behind its file ${this.#entries}`
        throw new BadPart(`expected a zip archive, found other bytes${where}`)
      }
    }
  }

  /** The header of a file (4.3.7). */
  #begin(): boolean {
    const rest = this.#rest
    if (rest.length < localLength) return false
    const nameLength = rest.readUInt16LE(26)
    const length = localLength + nameLength + rest.readUInt16LE(28)
    if (rest.length < length) return false
    const bits = rest.readUInt16LE(6)
    const nameBytes = rest.subarray(localLength, localLength + nameLength)
    const name = nameBytes.toString((bits & flags.utf8) === 0 ? "latin1" : "utf8")
    const method = rest.readUInt16LE(8)
    const compressed = rest.readUInt32LE(18)
    const size = rest.readUInt32LE(22)
    const extra = rest.subarray(localLength + nameLength, length)
    const [largeSize, largeCompressed] = zip64Sizes(extra, size !== elsewhere, compressed !== elsewhere)
    const entry: Entry = {
      name,
      method,
      isDescribed: (bits & flags.described) !== 0,
      isWide: largeSize !== undefined || largeCompressed !== undefined,
      compressed: largeCompressed ?? compressed,
      size: largeSize ?? size,
      checksum: rest.readUInt32LE(14)
    }
    const cannot = (problem: string) => new BadPart(`the file ${name} of the archive cannot be read (${problem})`)
    if ((bits & (flags.encrypted | flags.strong | flags.masked)) !== 0) throw cannot("it is encrypted")
    if (method !== 0 && method !== 8) throw cannot(`its compression method ${method} is not known; only 0 and 8 are`)
    if (method === 0 && entry.isDescribed && entry.compressed === 0 && !name.endsWith("/")) {
      throw cannot("it is not compressed and its size stands behind it, so its end cannot be told")
    }
    this.#rest = rest.subarray(length)
    this.#entries++
    if (!name.endsWith("/") && this.files++ > 0) this.#out.push("file")
    const now: Progress = {
      entry,
      inflation: method === 8 ? new Inflation((part) => this.#take(now, part)) : undefined,
      compressed: 0,
      size: 0,
      checksum: 0
    }
    this.#now = now
    return true
  }

  /** The bytes of a file. */
  async #read(now: Progress): Promise<boolean> {
    const { entry, inflation } = now
    if (inflation === undefined) {
      const part = this.#rest.subarray(0, entry.compressed - now.compressed)
      now.compressed += part.length
      this.#rest = this.#rest.subarray(part.length)
      this.#take(now, part)
      return now.compressed === entry.compressed && this.#finish(now)
    }
    if (inflation.isOver) return this.#finish(now)
    if (this.#rest.length === 0) return false
    const used = await inflation.write(this.#rest).catch((error: Error) => {
      throw new BadPart(`the file ${entry.name} of the archive cannot be read (${error.message})`)
    })
    now.compressed += used
    this.#rest = this.#rest.subarray(used)
    return inflation.isOver && this.#finish(now)
  }

  #take(now: Progress, part: Buffer): void {
    if (part.length === 0) return
    now.size += part.length
    now.checksum = crc32(part, now.checksum)
    if (!now.entry.name.endsWith("/")) this.#out.push(part)
  }

  /** What stands behind a file (4.3.9): nothing, or checksum and sizes of 4 or of 8 bytes, with a mark or without. */
  #finish(now: Progress): boolean {
    const { entry } = now
    let { checksum } = entry
    if (entry.isDescribed) {
      const length = this.#descriptor(now)
      if (length === undefined) return false
      // With a mark it has 16 or 24 bytes, without one 12 or 20.
      checksum = this.#rest.readUInt32LE(length % 8 === 0 ? 4 : 0)
      this.#rest = this.#rest.subarray(length)
    } else if (now.size !== entry.size || now.compressed !== entry.compressed) {
      throw new BadPart(`the file ${entry.name} of the archive has ${now.size} bytes, and not ${entry.size} as it says`)
    }
    if (now.checksum !== checksum) throw new BadPart(`the file ${entry.name} of the archive has a wrong checksum`)
    this.#now = undefined
    return true
  }

  /** Length of the descriptor: the one whose sizes are those that were read. `undefined`: more bytes are needed. */
  #descriptor({ compressed, entry, size }: Progress): number | undefined {
    const rest = this.#rest
    const isMarked = rest.length >= 4 && rest.readUInt32LE(0) === descriptorMark
    // 12 and 20 are those without a mark; whoever writes none has no checksum that looks like one, but for one in four billion.
    const fits = (start: number, wide: boolean): boolean =>
      rest.length >= start + (wide ? 20 : 12) &&
      (wide
        ? Number(rest.readBigUInt64LE(start + 4)) === compressed && Number(rest.readBigUInt64LE(start + 12)) === size
        : rest.readUInt32LE(start + 4) === compressed % 2 ** 32 && rest.readUInt32LE(start + 8) === size % 2 ** 32)
    // Eight bytes where the header has a Zip64 field, as the note says; some writers do it otherwise.
    const wideFirst = entry.isWide
    for (const wide of [wideFirst, !wideFirst]) {
      if (isMarked && fits(4, wide)) return wide ? 24 : 16
      if (fits(0, wide)) return wide ? 20 : 12
      // What follows, a header or the directory, has more bytes than a descriptor may have.
      if (rest.length < 24) return undefined
    }
    throw new BadPart(`the file ${entry.name} of the archive has ${size} bytes, and not as many as it says`)
  }
}

/** The compressed bytes of one file. */
class Inflation {
  readonly #inflate: InflateRaw = createInflateRaw()
  #problem: Error | undefined
  #isEnded = false
  isOver = false

  constructor(take: (part: Buffer) => void) {
    this.#inflate.on("data", take)
    this.#inflate.on("error", (error) => {
      this.#problem ??= error
    })
    this.#inflate.on("end", () => {
      this.#isEnded = true
    })
  }

  /** Takes what belongs to the file, which is over when not all does. Gives the number of those bytes. */
  async write(chunk: Buffer): Promise<number> {
    const before = this.#inflate.bytesWritten
    await this.#when((done) => this.#inflate.write(chunk, () => done()))
    const used = this.#inflate.bytesWritten - before
    if (used < chunk.length) {
      this.isOver = true
      // What came of it last may still be on its way.
      if (!this.#isEnded) await this.#when((done) => this.#inflate.once("end", done))
    }
    return used
  }

  #when(begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#inflate.off("error", finish)
        if (this.#problem === undefined) resolve()
        else reject(this.#problem)
      }
      this.#inflate.once("error", finish)
      begin(finish)
    })
  }
}
