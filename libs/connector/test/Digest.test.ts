import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { digest, digested, DigestSet, encodeDigests } from "../src/Digest.ts"
import { readMark } from "../src/Mark.ts"
import { largestWindow, Window } from "../src/Window.ts"

const of = (text: string): string => {
  const bytes = Buffer.from(`__${text}`)
  digest(bytes, 2, bytes.length)
  return digested.high.toString(16).padStart(8, "0") + digested.low.toString(16).padStart(8, "0")
}

describe("digest", () => {
  it("is MurmurHash3_x86_128", () => {
    assert.strictEqual(of(""), "0000000000000000")
    assert.strictEqual(of("The quick brown fox jumps over the lazy dog"), "2f1583c3ecee2c67")
  })
  it("differs for texts of every length", () => {
    const all = new Set<string>()
    for (let length = 0; length < 500; length++)
      for (const tail of ["", "\0", "x"]) all.add(of("a".repeat(length) + tail))
    assert.strictEqual(all.size, 1500)
  })
  it("survives a checkpoint", () => {
    const halves = [0xffffffff, 0, 0, 0xffffffff, 0x12345678, 0x9abcdef0]
    const set = DigestSet.decode(encodeDigests(halves))
    assert.deepStrictEqual([...set].flat(), halves)
    assert.isTrue(set.has(0xffffffff, 0))
    assert.isFalse(set.has(0xfffffffe, 0))
    assert.isFalse(set.has(0xffffffff, 1))
  })
})

describe("Window", () => {
  const incremental = { field: "n", param: "since", type: "number" as const, lookback: Duration.seconds(10) }
  const numbers = (window: Window) =>
    [...DigestSet.decode(window.encode())].map(([, low]) => low).toSorted((a, b) => a - b)
  const mark = (n: number) => readMark(String(n), { type: "number" })!
  it("keeps what the next walk meets again, in whatever order it came", () => {
    for (const order of [
      [1, 85, 90, 95, 100],
      [100, 95, 90, 85, 1],
      [90, 1, 100, 85, 95]
    ]) {
      const window = new Window(incremental, undefined, undefined)
      for (const n of order) {
        window.raise(mark(n))
        if (window.includes(n)) window.add(n, 0, n)
      }
      assert.deepStrictEqual(numbers(window), [90, 95, 100])
      assert.strictEqual(window.highest?.text, "100")
    }
  })
  it("keeps the newest when there are too many, and those of a restart last", () => {
    for (const isAscending of [true, false]) {
      const window = new Window(
        { ...incremental, lookback: Duration.seconds(100_000) },
        undefined,
        encodeDigests([7, 7])
      )
      for (let i = 0; i < 20_000; i++) {
        const n = isAscending ? i : 20_000 - 1 - i
        window.raise(mark(n))
        window.add(n, 1, n)
      }
      const kept = numbers(window)
      assert.strictEqual(kept.length, largestWindow)
      assert.strictEqual(kept[0], 20_000 - largestWindow)
    }
  })
})
