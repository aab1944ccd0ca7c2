import { assert, describe, it } from "@effect/vitest"
import { describeComparison, differs, Places } from "@tributary/load"
import { phantomsIn } from "../src/PhantomTokens.ts"
import { compareView } from "../src/ViewCheck.ts"

const partitions = 2
const idOf = (slot: number) => `r${slot}`

/** Nine records in two partitions. */
const places = Array.from({ length: partitions }, () => new Places())
for (const slot of [0, 1, 2, 3, 5, 6, 7, 8, 9]) places[slot % partitions]!.push(100 + slot, slot, 0)

describe("an aggregate compared with its topic", () => {
  const table = { places, digestOf: (slot: number) => slot * 7, idOf }
  const right = places.map(({ slots }, partition) => ({
    partition,
    rows: slots.length,
    sum: slots.reduce((sum, slot) => sum + slot * 7, 0)
  }))
  it("is exact when rows and sums are", () => {
    assert.isFalse(differs(compareView("v", table, right, 0)))
  })
  it("is wrong when a block was counted twice, was left out, or has other values", () => {
    const [first, ...rest] = right
    assert.isTrue(differs(compareView("v", table, [{ ...first!, rows: first!.rows + 1 }, ...rest], 0)))
    assert.isTrue(differs(compareView("v", table, [{ ...first!, sum: first!.sum + 1 }, ...rest], 0)))
    assert.isTrue(differs(compareView("v", table, rest, 0)))
    assert.isTrue(differs(compareView("v", table, [...right, { partition: 5, rows: 1, sum: 1 }], 0)))
  })
  it("is excused for as many groups as there are lost blocks that ClickHouse takes for stored", () => {
    const [first, ...rest] = right
    const result = compareView("v", table, rest, 1)
    assert.isFalse(differs(result))
    assert.include(describeComparison(result, 3), "exact but for a known limit")
    assert.isFalse(differs(compareView("v", table, right, 1)))
    assert.isTrue(differs(compareView("v", table, [{ ...first!, rows: 0 }], 1)))
  })
})

describe("a deduplication log", () => {
  const line = (operation: number, part: number, block: string) => `${operation}\tall_${part}_${part}_0\t${block}\n`
  it("shows blocks that were lost: no part of the table has them", () => {
    assert.deepStrictEqual(phantomsIn("", []), [])
    const log = line(1, 1, "a") + line(1, 2, "b") + line(1, 3, "c") + line(1, 4, "d")
    assert.deepStrictEqual(phantomsIn(log, ["all_1_3_1", "all_4_4_0", "detached", "tmp_insert_all_5_5_0"]), [])
    assert.deepStrictEqual(phantomsIn(log, ["all_1_2_1", "all_4_4_0", "tmp_insert_all_3_3_0"]), ["c"])
    assert.deepStrictEqual(phantomsIn(log + line(2, 4, "d"), ["all_1_1_0"]), ["b", "c", "d"])
  })
})
