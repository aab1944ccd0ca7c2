import { assert, describe, it } from "@effect/vitest"
import { murmur2, partitionOf } from "../src/Partitioner.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

// From `UtilsTest.testMurmur2` of Apache Kafka.
const known: ReadonlyArray<readonly [string, number]> = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107]
]

describe("Partitioner", () => {
  it("hashes as Kafka's Java client does", () => {
    for (const [text, hash] of known) assert.strictEqual(murmur2(bytes(text)), hash, text)
  })

  it("clears the sign and takes the remainder", () => {
    for (const [text, hash] of known)
      for (const partitions of [1, 2, 7, 100])
        assert.strictEqual(partitionOf(bytes(text), partitions), (hash & 0x7fffffff) % partitions)
    assert.strictEqual(partitionOf(new Uint8Array(0), 10), (murmur2(new Uint8Array(0)) & 0x7fffffff) % 10)
  })
})
