import { inflateRawSync } from "node:zlib"
import { failure } from "./RunError.ts"

const endOfDirectory = 0x06054b50
const directoryEntry = 0x02014b50

/** Largest sum of what the files of an archive unpack to. */
const mostBytes = 268_435_456

/** Files of a zip archive in the order of its directory (no Zip64, no encryption). Throws a `RunError`. */
export const unzip = (archive: Buffer): ReadonlyArray<{ readonly name: string; readonly bytes: Buffer }> => {
  const broken = () => failure("Received an invalid zip file in response.")
  let end = archive.length - 22
  while (end >= 0 && archive.readUInt32LE(end) !== endOfDirectory) end--
  if (end < 0) throw broken()
  const count = archive.readUInt16LE(end + 10)
  let at = archive.readUInt32LE(end + 16)
  const files: Array<{ readonly name: string; readonly bytes: Buffer }> = []
  let total = 0
  for (let index = 0; index < count; index++) {
    if (at + 46 > archive.length || archive.readUInt32LE(at) !== directoryEntry) throw broken()
    const method = archive.readUInt16LE(at + 10)
    const packed = archive.readUInt32LE(at + 20)
    const unpacked = archive.readUInt32LE(at + 24)
    const nameLength = archive.readUInt16LE(at + 28)
    const local = archive.readUInt32LE(at + 42)
    const name = archive.toString("utf8", at + 46, at + 46 + nameLength)
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32)
    if (local + 30 > archive.length) throw broken()
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
    const bytes = archive.subarray(start, start + packed)
    total += unpacked
    if (total > mostBytes) throw failure(`the zip file unpacks to more than ${mostBytes} bytes`)
    if (method === 0) files.push({ name, bytes })
    else if (method === 8)
      files.push({ name, bytes: inflateRawSync(bytes, { maxOutputLength: Math.max(1, unpacked) }) })
    else throw failure(`the zip file uses compression method ${method}; expected stored or deflated`)
  }
  return files
}
