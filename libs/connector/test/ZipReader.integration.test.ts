import { assert, describe, it } from "@effect/vitest"
import { env } from "node:process"
import { constants, crc32, deflateRawSync } from "node:zlib"
import { ZipReader } from "../src/ZipReader.ts"

interface File {
  readonly name: string
  readonly content: Buffer
  readonly method: 0 | 8
  /** Sizes of 8 bytes (Zip64), and where they stand: in the header, or behind the file, with a mark or without. */
  readonly isWide: boolean
  readonly sizes: "before" | "behind" | "behind, unmarked"
}

const numbers = (...pairs: ReadonlyArray<readonly [value: number, bytes: 2 | 4 | 8]>): Buffer =>
  Buffer.concat(
    pairs.map(([value, bytes]) => {
      const buffer = Buffer.alloc(bytes)
      if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value))
      else buffer.writeUIntLE(value, 0, bytes)
      return buffer
    })
  )

/** An archive as APPNOTE.TXT describes it. */
const archive = (files: ReadonlyArray<File>, comment = ""): Buffer => {
  const parts: Array<Buffer> = []
  for (const { content, isWide, method, name, sizes } of files) {
    const data = method === 8 ? deflateRawSync(content) : content
    const isBehind = sizes !== "before"
    const sum = crc32(content)
    const extra = isWide
      ? numbers([1, 2], [16, 2], [isBehind ? 0 : content.length, 8], [isBehind ? 0 : data.length, 8])
      : Buffer.alloc(0)
    const shown = (size: number) => (isWide ? 0xffffffff : isBehind ? 0 : size)
    parts.push(
      numbers([0x04034b50, 4], [45, 2], [isBehind ? 8 : 0, 2], [method, 2], [0, 4], [isBehind ? 0 : sum, 4]),
      numbers([shown(data.length), 4], [shown(content.length), 4], [Buffer.byteLength(name), 2], [extra.length, 2]),
      Buffer.from(name),
      extra,
      data
    )
    const bytes = isWide ? 8 : 4
    if (isBehind) {
      if (sizes === "behind") parts.push(numbers([0x08074b50, 4]))
      parts.push(numbers([sum, 4], [data.length, bytes], [content.length, bytes]))
    }
  }
  const directory = files.map(({ name }) =>
    Buffer.concat([
      numbers([0x02014b50, 4]),
      Buffer.alloc(24),
      numbers([name.length, 2]),
      Buffer.alloc(16),
      Buffer.from(name)
    ])
  )
  const wideEnd = files.length > 0xffff
  return Buffer.concat([
    ...parts,
    ...directory,
    ...(wideEnd
      ? [numbers([0x06064b50, 4], [44, 8]), Buffer.alloc(44), numbers([0x07064b50, 4]), Buffer.alloc(16)]
      : []),
    numbers([0x06054b50, 4]),
    Buffer.alloc(16),
    numbers([comment.length, 2]),
    Buffer.from(comment)
  ])
}

/** Reads an archive in chunks. */
const readAll = async (bytes: Buffer, size: number): Promise<ReadonlyArray<string>> => {
  const reader = new ZipReader()
  const files: Array<string> = [""]
  for (let at = 0; at < bytes.length; at += size) {
    for (const part of await reader.push(bytes.subarray(at, at + size))) {
      if (part === "file") files.push("")
      else files[files.length - 1] += part.toString("latin1")
    }
  }
  reader.end()
  return files
}

const failing = (bytes: Buffer, size = 64): Promise<string> =>
  readAll(bytes, size).then(
    () => "no error",
    (error: Error) => `${error.name}: ${error.message}`
  )

// Marks of the format in the middle of a file mean nothing.
const tricky = Buffer.from("PK\u0007\u0008 PK\u0003\u0004 PK\u0001\u0002 PK\u0005\u0006".repeat(3), "latin1")

describe("an archive", () => {
  it("is read whatever its sizes are written like, and wherever it is cut into chunks", async () => {
    for (const isWide of [false, true]) {
      for (const sizes of ["before", "behind", "behind, unmarked"] as const) {
        for (const method of [0, 8] as const) {
          if (method === 0 && sizes !== "before") continue
          const files = ["first\n", "second\n".repeat(50), ""].map((text, index): File => ({
            name: `${index}.txt`,
            content: Buffer.from(text),
            method,
            isWide,
            sizes
          }))
          const all = [...files, { ...files[0]!, name: "tricky.bin", content: tricky }]
          const bytes = archive(all, "a comment")
          const wanted = all.map(({ content }) => content.toString("latin1"))
          for (const size of [1, 7, 64, bytes.length]) {
            assert.deepStrictEqual(await readAll(bytes, size), wanted, `${isWide} ${sizes} ${method} ${size}`)
          }
        }
      }
    }
  })
  it("that breaks off says so at every byte, and one that is changed is not read", async () => {
    const file: File = { name: "a", content: Buffer.from("some text"), method: 8, isWide: true, sizes: "behind" }
    const bytes = archive([file])
    for (let length = 1; length < bytes.length - 18; length++) {
      assert.match(await failing(bytes.subarray(0, length)), /^CutOff: The zip archive breaks off/u, String(length))
    }
    const wrong = Buffer.from(bytes)
    wrong.writeUInt32LE(1, bytes.indexOf("PK\u0007\u0008", 0, "latin1") + 4)
    assert.match(await failing(wrong), /BadPart: the file a of the archive has a wrong checksum/u)
    const encrypted = Buffer.from(bytes)
    encrypted[6] = 9
    assert.match(await failing(encrypted), /it is encrypted/u)
    assert.match(await failing(Buffer.from("no archive")), /expected a zip archive, found other bytes/u)
  })
  it("may have more files than its old end can count", async () => {
    const count = 66_000
    const files = Array.from({ length: count }, (_, index): File => ({
      name: "x",
      content: Buffer.from(`${index}\n`),
      method: 0,
      isWide: false,
      sizes: "before"
    }))
    const read = await readAll(archive(files), 65_536)
    assert.deepStrictEqual([read.length, read[0], read[count - 1]], [count, "0\n", `${count - 1}\n`])
  })
  it.skipIf(env["TRIBUTARY_TEST_LARGE"] === undefined)(
    "may have a file of more than 4 GB",
    { timeout: 240_000 },
    async () => {
      // A block that stands for a megabyte of zeros, again and again, as a compressor makes it.
      const block = deflateRawSync(Buffer.alloc(1_048_576), { finishFlush: constants.Z_SYNC_FLUSH })
      const end = deflateRawSync(Buffer.alloc(0))
      const blocks = 4100
      const compressed = blocks * block.length + end.length
      const size = blocks * 1_048_576
      const reader = new ZipReader()
      let read = 0
      const push = async (bytes: Buffer) => {
        for (const part of await reader.push(bytes)) read += part.length
      }
      const header = numbers([0x04034b50, 4], [45, 2], [8, 2], [8, 2], [0, 4], [0, 4], [0xffffffff, 4], [0xffffffff, 4])
      await push(
        Buffer.concat([header, numbers([1, 2], [20, 2]), Buffer.from("x"), numbers([1, 2], [16, 2], [0, 8], [0, 8])])
      )
      let sum = 0
      const zeros = Buffer.alloc(1_048_576)
      for (let n = 0; n < blocks; n++) {
        await push(block)
        sum = crc32(zeros, sum)
      }
      await push(end)
      await push(numbers([0x08074b50, 4], [sum, 4], [compressed, 8], [size, 8]))
      await push(
        Buffer.concat([numbers([0x02014b50, 4]), Buffer.alloc(24), numbers([1, 2]), Buffer.alloc(16), Buffer.from("x")])
      )
      await push(Buffer.concat([numbers([0x06054b50, 4]), Buffer.alloc(18)]))
      reader.end()
      assert.strictEqual(read, size)
    }
  )
})
