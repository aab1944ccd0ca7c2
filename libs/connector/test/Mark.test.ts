import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { isAfter, lookBack, readMark } from "../src/Mark.ts"
import { millisOf, timeOf } from "./harness.ts"
import { MarkReader } from "../src/MarkReader.ts"

const incremental = (type: "timestamp" | "number", lookback: Duration.Input) => ({
  field: "at",
  param: "since",
  type,
  lookback: Duration.fromInputUnsafe(lookback)
})
const back = (text: string, lookback: Duration.Input, type: "timestamp" | "number" = "timestamp") => {
  const mark = readMark(text, { type })
  return mark === undefined ? undefined : lookBack(mark, incremental(type, lookback))
}

describe("Mark", () => {
  it("orders times of different zones and digits", () => {
    const order = (text: string) => readMark(text, { type: "timestamp" })?.order
    assert.strictEqual(order("2025-01-01T00:00:00Z"), 1_735_689_600_000)
    assert.strictEqual(order("2025-01-01T02:00:00.5+02:00"), 1_735_689_600_500)
    assert.strictEqual(order("2025-01-01 00:00:00"), 1_735_689_600_000)
    assert.strictEqual(order("2025-01-01"), 1_735_689_600_000)
    assert.strictEqual(order("1969-12-31T23:59:59Z"), -1000)
    assert.strictEqual(order("2024-02-29T00:00:00-0130"), millisOf("2024-02-29T00:00:00-01:30"))
    const [early, late] = [
      readMark("2025-01-01T00:00:00.000001Z", { type: "timestamp" }),
      readMark("2025-01-01T00:00:00.000002Z", { type: "timestamp" })
    ]
    assert.isTrue(early !== undefined && late !== undefined && isAfter(late, early) && !isAfter(early, late))
    for (const text of ["yesterday", "", "2025-13-01", "2025-01-01T", "20250101", "1735689600"]) {
      assert.isUndefined(readMark(text, { type: "timestamp" }), text)
    }
  })
  it("orders numbers beyond 2^53 exactly", () => {
    const [a, b] = [readMark("9007199254740992", { type: "number" }), readMark("9007199254740993", { type: "number" })]
    assert.isTrue(a !== undefined && b !== undefined && isAfter(b, a) && !isAfter(a, b))
    assert.isUndefined(readMark("x1", { type: "number" }))
    assert.isUndefined(readMark("", { type: "number" }))
  })
  it("looks back in the format of the value, never later than exact", () => {
    assert.strictEqual(back("2025-01-01T00:00:00.123456Z", "5 minutes"), "2024-12-31T23:55:00.123456Z")
    assert.strictEqual(back("2025-03-01T00:00:00+02:00", "1 day"), "2025-02-28T00:00:00+02:00")
    assert.strictEqual(back("2025-01-01 00:00:10", "15 seconds"), "2024-12-31 23:59:55")
    assert.strictEqual(back("2025-01-01", "5 minutes"), "2024-12-31")
    assert.strictEqual(back("2025-01-01T00:00:00Z", "1 millis"), "2024-12-31T23:59:59Z")
    assert.strictEqual(back("2025-01-01T00:00:00.5Z", "1 millis"), "2025-01-01T00:00:00.4Z")
    assert.strictEqual(back("2025-01-01T00:00:00Z", 0), "2025-01-01T00:00:00Z")
    assert.strictEqual(back("9007199254740993", "1 minute", "number"), "9007199254740933")
    assert.strictEqual(back("1.5", "1 second", "number"), "0.5")
  })
  it.prop(
    "reads from bytes what it reads from text, and looks back exactly",
    [
      Schema.Int.check(Schema.isBetween({ minimum: -62_000_000_000, maximum: 250_000_000_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000_000 })),
      Schema.Literals(["Z", "+00:00", "-07:30", ""]),
      Schema.Literals([0, 3, 6])
    ],
    ([seconds, lookback, zone, digits]) => {
      // The seed is made finer so that milliseconds vary too.
      const millis = seconds * 1000 + (Math.abs(seconds) % 1000)
      const iso = timeOf(millis)
      if (!/^\d{4}-/u.test(iso)) return
      const value = `${iso.slice(0, 19)}${digits === 0 ? "" : digits === 3 ? iso.slice(19, 23) : `${iso.slice(19, 23)}789`}${zone}`
      const mark = readMark(value, { type: "timestamp" })
      const reader = new MarkReader({ type: "timestamp" })
      const bytes = Buffer.from(`"2025-01-01T00:00:00Z""${value}"`)
      reader.read(bytes, 0, 22)
      assert.isTrue(reader.read(bytes, 22, bytes.length))
      assert.deepStrictEqual([reader.order, reader.fine], [mark?.order, mark?.fine])
      const exact = digits === 0 ? Math.floor(millis / 1000) * 1000 : millis
      assert.strictEqual(mark?.order, exact + (zone === "-07:30" ? 27_000_000 : 0))
      const earlier = readMark(back(value, Duration.seconds(lookback)) ?? "", { type: "timestamp" })
      assert.deepStrictEqual([earlier?.order, earlier?.fine], [Number(mark?.order) - lookback * 1000, mark?.fine])
    },
    { arbitrary: { runs: 1000 } }
  )
})
