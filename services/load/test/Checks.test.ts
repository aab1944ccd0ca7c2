import { assert, describe, it } from "@effect/vitest"
import { partitionOf } from "@tributary/log"
import { type Comparison, describeComparison, differs } from "../src/Findings.ts"
import { sameJson } from "../src/JsonText.ts"
import { TableCheck } from "../src/TableCheck.ts"
import { type Oracle, TopicCheck } from "../src/TopicCheck.ts"

const partitions = 2
const utf8 = new TextEncoder()
const idOf = (slot: number) => `r${slot}`
const valueOf = (slot: number) => `{"id":"r${slot}","seq":${9_007_199_254_740_993n + BigInt(slot)}}`
const home = (slot: number) => partitionOf(utf8.encode(idOf(slot)), partitions)

/** Ten records, of which the fourth is filtered out. */
const oracle: Oracle = {
  slots: 10,
  slotOf: (value) => {
    const found = /"id":"r(\d+)"/u.exec(value)
    return found === null || Number(found[1]) >= 10 ? undefined : Number(found[1])
  },
  expected: (slot) => (slot === 4 ? undefined : { id: idOf(slot), key: idOf(slot), value: valueOf(slot) })
}

interface Sent {
  readonly slot: number
  readonly value?: string
  readonly key?: string
  readonly partition?: number
}

const good: ReadonlyArray<Sent> = [0, 1, 2, 3, 5, 6, 7, 8, 9].map((slot) => ({ slot }))

const topicWith = (sent: ReadonlyArray<Sent>) => {
  const check = new TopicCheck("t", partitions, oracle)
  const ends = Array.from({ length: partitions }, () => 100)
  for (const { key, partition = home(0), slot, value } of sent.map((one) => ({ partition: home(one.slot), ...one }))) {
    const offset = ends[partition]!++
    check.accept(partition, { offset, timestamp: 0, key: utf8.encode(key ?? idOf(slot)) }, value ?? valueOf(slot))
  }
  return check
}

const countsOf = ({ differences }: Comparison) =>
  Object.fromEntries(differences.filter(({ count }) => count > 0).map(({ count, kind }) => [kind, count]))

describe("a topic compared with its source", () => {
  const compare = (sent: ReadonlyArray<Sent>) => topicWith(sent).finish("t")
  it("is exact when each record is there once", () => {
    const result = compare(good)
    assert.deepStrictEqual([result.expected, result.found, differs(result)], [9, 9, false])
    assert.strictEqual(describeComparison(result, 3), "t: 9 of 9, 0 lost, 0 duplicated, 0 altered, 0 foreign: exact")
  })
  it("does not mind the order of fields", () => {
    const [first, ...rest] = good
    const value = `{"seq": 9007199254740993, "id":"r${first!.slot}"}`
    assert.isFalse(differs(compare([{ slot: first!.slot, value }, ...rest])))
  })
  it("names a record that is lost", () => {
    const result = compare(good.slice(1))
    assert.deepStrictEqual(countsOf(result), { lost: 1 })
    assert.include(describeComparison(result, 3), `lost: r0, which belongs to t/${home(0)}`)
  })
  it("names both places of a record that is there twice", () => {
    const result = compare([...good, { slot: 2 }])
    assert.deepStrictEqual(countsOf(result), { duplicated: 1 })
    assert.match(describeComparison(result, 3), /duplicated: r2 at t\/\d@10\d and t\/\d@10\d/u)
  })
  it("sees a loss and a duplicate that even out", () => {
    const result = compare([...good.slice(1), { slot: 2 }])
    assert.deepStrictEqual([result.expected, result.found], [9, 9])
    assert.deepStrictEqual(countsOf(result), { lost: 1, duplicated: 1 })
  })
  it("names a record whose number lost its last digit", () => {
    const result = compare([{ slot: 0, value: '{"id":"r0","seq":9007199254740992}' }, ...good.slice(1)])
    assert.deepStrictEqual(countsOf(result), { altered: 1 })
  })
  it("names a record with another key or in another partition", () => {
    assert.deepStrictEqual(countsOf(compare([{ slot: 0, key: "x" }, ...good.slice(1)])), { altered: 1 })
    assert.deepStrictEqual(countsOf(compare([{ slot: 0, partition: 1 - home(0) }, ...good.slice(1)])), { altered: 1 })
  })
  it("names a record that must not be there", () => {
    assert.deepStrictEqual(countsOf(compare([...good, { slot: 4 }])), { foreign: 1 })
    assert.deepStrictEqual(countsOf(compare([...good, { slot: 0, value: "no json" }])), { foreign: 1 })
  })
})

describe("a table compared with its topic", () => {
  const { places } = topicWith(good)
  const table = { places, digestOf: (slot: number) => slot * 7, idOf }
  const rows = places.flatMap(({ offsets, slots }, partition) =>
    Array.from(offsets, (offset, at) => [partition, offset, slots[at]! * 7] as const)
  )
  const compare = (rows: ReadonlyArray<readonly [number, number, number]>) => {
    const check = new TableCheck("c.t", table)
    for (const row of rows) check.accept(...row)
    return check.finish("c.t")
  }
  it("is exact when each record is one row", () => {
    const result = compare(rows)
    assert.deepStrictEqual([result.expected, result.found, differs(result)], [9, 9, false])
  })
  it("names each row that is lost, wherever it was", () => {
    for (const [at, row] of rows.entries()) {
      const result = compare(rows.filter((_, other) => other !== at))
      assert.deepStrictEqual(countsOf(result), { lost: 1 })
      assert.include(describeComparison(result, 1), `partition ${row[0]}, offset ${row[1]}`)
    }
    assert.deepStrictEqual(countsOf(compare([])), { lost: 9 })
  })
  it("names each row that is there twice, wherever it is", () => {
    for (const row of rows) {
      const result = compare(rows.flatMap((other) => (other === row ? [row, row] : [other])))
      assert.deepStrictEqual(countsOf(result), { duplicated: 1 })
      assert.include(describeComparison(result, 1), `partition ${row[0]}, offset ${row[1]} (r${row[2] / 7})`)
    }
  })
  it("names neighbours in one line", () => {
    const [partition] = rows[0]!
    const own = rows.filter(([other]) => other === partition)
    const lost = describeComparison(compare(rows.filter(([other]) => other !== partition)), 9)
    const [first, last] = [own[0]![1], own.at(-1)![1]]
    assert.include(lost, `lost: partition ${partition}, offsets ${first} to ${last} (${own.length} records)`)
    const doubled = describeComparison(compare(rows.flatMap((row) => (row[0] === partition ? [row, row] : [row]))), 9)
    assert.include(doubled, `duplicated: partition ${partition}, offsets ${first} to ${last} (${own.length} records)`)
  })
  it("names a row with another content", () => {
    const result = compare(rows.map((row) => (row === rows[3] ? [row[0], row[1], 1] : row)))
    assert.deepStrictEqual(countsOf(result), { altered: 1 })
  })
  it("names a row that the topic does not have", () => {
    assert.deepStrictEqual(countsOf(compare([[0, 1, 0], ...rows])), { foreign: 1 })
    assert.deepStrictEqual(countsOf(compare([...rows, [1, 999, 0]])), { foreign: 1 })
    assert.deepStrictEqual(countsOf(compare([...rows, [7, 100, 0]])), { foreign: 1 })
  })
})

describe("JSON texts", () => {
  it("are the same when their values are, to the last digit", () => {
    assert.isTrue(sameJson('{"a":1,"b":[1.50]}', '{ "b": [1.50], "a": 1 }'))
    assert.isFalse(sameJson("9007199254740993", "9007199254740992"))
    assert.isFalse(sameJson('{"a":"1"}', '{"a":1}'))
    assert.isFalse(sameJson("{", "{}"))
  })
})
