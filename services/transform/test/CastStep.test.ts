import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { compileError, one } from "./support.ts"

/** Type, value, and what becomes of it. */
const cases: ReadonlyArray<readonly [type: string, value: string, expected: string]> = [
  ["int8", "127", "127"],
  ["int8", '"-128"', "-128"],
  ["int16", "5.0", "5"],
  ["int32", '"1e3"', "1000"],
  ["int64", '"9223372036854775807"', "9223372036854775807"],
  ["int64", "-9223372036854775808", "-9223372036854775808"],
  ["uint64", "18446744073709551615", "18446744073709551615"],
  ["uint8", '"+7"', "7"],
  ["int64", "-0", "0"],
  ["int32?", "null", "null"],
  ["float64", '"1.5"', "1.5"],
  ["float64", "1.50", "1.5"],
  ["float64", "9007199254740993", "9007199254740992"],
  ["decimal(18, 2)", "1.5", '"1.50"'],
  ["decimal(18,2)", '"-0.10"', '"-0.10"'],
  ["decimal(5, 0)", "12345", '"12345"'],
  ["decimal(38, 10)", '"1234567890123456789012345678.0123456789"', '"1234567890123456789012345678.0123456789"'],
  ["decimal(4, 2)", "1.2300", '"1.23"'],
  ["decimal(4, 2)", "1e1", '"10.00"'],
  ["decimal(3, 3)", "0.125", '"0.125"'],
  ["decimal(10, 2)", "-0.00", '"0.00"'],
  ["bool", "1", "true"],
  ["bool", '"false"', "false"],
  ["bool", "false", "false"],
  ["string", "1.50", '"1.50"'],
  ["string", "true", '"true"'],
  ["string", '"x"', '"x"'],
  ["string", "9007199254740993", '"9007199254740993"'],
  ["date", '"2024-02-29"', '"2024-02-29"'],
  ["date", '"2013-01-01T23:30:00-05:00"', '"2013-01-02"'],
  ["timestamp", '"2013-01-01T00:00:00Z"', '"2013-01-01T00:00:00.000000Z"'],
  ["timestamp(9)", '"2013-01-01T05:17:00.123456789-05:00"', '"2013-01-01T10:17:00.123456789Z"'],
  ["timestamp(3)", '"2013-01-01 05:17:00.1239"', '"2013-01-01T05:17:00.123Z"'],
  ["timestamp(0)", '"2013-01-01T05:17"', '"2013-01-01T05:17:00Z"'],
  ["timestamp(3)", '"2013-01-01"', '"2013-01-01T00:00:00.000Z"'],
  ["timestamp(0)", "0", '"1970-01-01T00:00:00Z"'],
  ["timestamp(9)", "1356998400.000000001", '"2013-01-01T00:00:00.000000001Z"'],
  ["timestamp(3)", "-0.5", '"1969-12-31T23:59:59.500Z"'],
  ["timestamp(0)", "-62135596800", '"0001-01-01T00:00:00Z"'],
  ["timestamp(0)", '"2000-03-01T00:00:00+0100"', '"2000-02-29T23:00:00Z"'],
  ["uuid", '"0189F7E0-1234-7abc-8def-0123456789AB"', '"0189f7e0-1234-7abc-8def-0123456789ab"'],
  ["json", '{"b":[9007199254740993,1.50]}', '"{\\"b\\":[9007199254740993,1.50]}"'],
  ["json", '"x"', '"\\"x\\""']
]

const wrong: ReadonlyArray<readonly [type: string, value: string, reason: string]> = [
  ["int8", "128", "found 128, expected a whole number from -128 to 127."],
  [
    "uint64",
    "18446744073709551616",
    "found 18446744073709551616, expected a whole number from 0 to 18446744073709551615."
  ],
  [
    "int64",
    "9223372036854775808",
    "found 9223372036854775808, expected a whole number from -9223372036854775808 to 9223372036854775807."
  ],
  ["int32", "1.5", "found 1.5, expected a whole number from -2147483648 to 2147483647."],
  ["int32", '"12 "', 'found "12 ", expected a whole number from -2147483648 to 2147483647.'],
  ["int32", '""', 'found "", expected a whole number from -2147483648 to 2147483647.'],
  ["int32", "true", "found true, expected a whole number from -2147483648 to 2147483647."],
  ["int32", "1e999", "found 1e999, expected a whole number from -2147483648 to 2147483647."],
  ["int32", "null", 'found null, expected a whole number from -2147483648 to 2147483647; "int32?" would allow null.'],
  ["float64", '"NaN"', 'found "NaN", expected a number.'],
  ["float64", "1e999", "found 1e999, expected a number."],
  ["decimal(4, 2)", "1.234", "found 1.234, expected a number with at most 2 digits before and 2 after the point."],
  ["decimal(4, 2)", "100", "found 100, expected a number with at most 2 digits before and 2 after the point."],
  ["decimal(3, 3)", "1.5", "found 1.5, expected a number with at most 0 digits before and 3 after the point."],
  ["bool", '"yes"', 'found "yes", expected true or false (or 1, 0, "true", "false").'],
  ["string", "[1]", "found a list, expected text, a number or a boolean."],
  ["string", '{"x":1}', "found an object, expected text, a number or a boolean."],
  ["date", '"2023-02-29"', 'found "2023-02-29", expected a date (YYYY-MM-DD) or an RFC 3339 time.'],
  [
    "timestamp",
    '"2013-01-01T24:00:00Z"',
    'found "2013-01-01T24:00:00Z", expected an RFC 3339 time, or seconds since 1970.'
  ],
  ["timestamp", "1e20", "found 1e20, expected an RFC 3339 time, or seconds since 1970."],
  ["uuid", '"x"', 'found "x", expected a UUID.']
]

describe("cast", () => {
  for (const [type, value, expected] of cases) {
    it.effect(`${type}: ${value}`, () =>
      Effect.map(one([{ cast: { "a.b": type } }], `{"a":{"b":${value}}}`), (found) =>
        assert.strictEqual(found, `{"a":{"b":${expected}}}`)
      )
    )
  }
  for (const [type, value, reason] of wrong) {
    it.effect(`${type}: refuses ${value}`, () =>
      Effect.map(one([{ cast: { "a.b": type } }], `{"a":{"b":${value}}}`), (found) =>
        assert.strictEqual(found, `cast: Cannot cast a.b to ${type}: ${reason}`)
      )
    )
  }
  it.effect("shortens a long value", () =>
    Effect.map(one([{ cast: { a: "int8" } }], `{"a":"${"x".repeat(500)}"}`), (found) => {
      assert.include(found, `found "${"x".repeat(60)}"… (500 characters), expected`)
    })
  )
  it.effect("leaves a missing field missing and reaches into lists", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* one([{ cast: { a: "int8" } }], '{"b":1}'), '{"b":1}')
      assert.strictEqual(yield* one([{ cast: { "a.b": "string" } }], '{"a":[{"b":1},{}]}'), '{"a":[{"b":"1"},{}]}')
    })
  )
  it.effect("refuses a decimal that there is not", () =>
    Effect.map(compileError([{ cast: { a: "decimal(2, 3)" } }]), (message) =>
      assert.strictEqual(
        message,
        'Transform of shop/orders, step 1 (cast): There is no type "decimal(2, 3)" (field a).'
      )
    )
  )
})
