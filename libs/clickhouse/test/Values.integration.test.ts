import { assert } from "@effect/vitest"
import { layerPerAttempt } from "@tributary/testkit/testing"
import { DateTime, Effect, Option } from "effect"
import { Warehouse } from "../src/index.ts"
import { seeded } from "@tributary/testkit"
import { Embedded, planOf, record, spec } from "./support.ts"

const random = seeded(20_261_121)
const { below, pick } = random
const digits = (n: number): string => Array.from({ length: n }, () => below(10)).join("")
const many = (count: number, make: () => string): ReadonlyArray<string> => Array.from({ length: count }, make)

/** A number as numerator and power of ten, made of its text alone. */
const exact = (text: string): readonly [bigint, number] => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  return [
    BigInt(whole.replace("-", "") + fraction) * (mantissa.startsWith("-") ? -1n : 1n),
    Number(exponent) - fraction.length
  ]
}
const sameNumber = (a: string, b: string): boolean => {
  const [[x, p], [y, q]] = [exact(a), exact(b)]
  if (x === 0n || y === 0n) return x === y
  if (Math.abs(p - q) > 2000) return false
  const low = Math.min(p, q)
  return x * 10n ** BigInt(p - low) === y * 10n ** BigInt(q - low)
}
const isNumber = (text: string): boolean => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/u.test(text)
const bare = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text)

const numbers = (): string =>
  pick([
    () => String(below(300) - 150),
    () => `${pick(["", "-"])}${below(9) + 1}${digits(below(45))}`,
    () => `${pick(["", "-"])}${pick(["0", String(below(1_000_000))])}.${digits(below(20) + 1)}`,
    () =>
      `${pick(["", "-"])}${below(10)}.${digits(below(4) + 1)}${pick(["e", "E"])}${pick(["", "+", "-"])}${below(40)}`,
    () => `${below(9) + 1}${pick(["", ".0", ".000"])}e${below(25)}`,
    () => String(random.next() * 10 ** (below(40) - 20)),
    () => String((random.next() - 0.5) * 10 ** (below(600) - 300)),
    () => (random.next() * 1000).toPrecision(17),
    () => (random.next() * 1000).toPrecision(pick([15, 16, 18, 19])),
    () =>
      `${BigInt(pick([8, 16, 32, 63, 64, 128])) ** 0n * (2n ** BigInt(pick([7, 8, 15, 16, 31, 32, 53, 63, 64])) + BigInt(below(5) - 2))}`,
    () => `-${2n ** BigInt(pick([7, 15, 31, 63])) + BigInt(below(5) - 2)}`
  ])()
const edges = [
  "0", "-0", "0.0", "-0.0", "1.0", "1e3", "1E+3", "1e-3", "10e-1", "1.50", "5e-324", "4e-324", "1e308", "1.7976931348623157e308",
  "1.7976931348623159e308", "1e309", "-1e400", "8.41e21", "9007199254740993", "0.1", "0.30000000000000004", "123456789.123456789",
  "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
  "18446744073709551616", "127", "128", "-128", "-129", "255", "256", "9999999999999999.99", "10000000000000000", "1e400000", "0e99", "1e-400",
  "100000000000000000000000000000000000000000"
] // prettier-ignore
const quoted = ["\"\"", "\"12\"", "\"-12\"", "\"007\"", "\" 5\"", "\"5 \"", "\"+5\"", "\"1.50\"", "\"1e3\"", "\".5\"", "\"5.\"", "\"0x1f\"", "\"inf\"", "\"nan\"", "\"NaN\"", "\"1_000\"", "\"9223372036854775808\"", "\"-0\"", "\"12abc\"", "\"１２\""] // prettier-ignore
const others = ["true", "false", "null", "{}", "[]", "{\"a\":1}", "[1,2]", "\"true\"", "\"null\"", "\"text\""] // prettier-ignore

const stringChars = ["a", "Z", " ", "é", "ß", "漢", "😀", "\u2028", "\u007f", "\\n", "\\t", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\r", "\\u0000", "\\u0001", "\\u00e9", "\\uD83D\\uDE00", "\\ud800", "\\udc00", "'", "`", "{", "}", "[", ",", ":"] // prettier-ignore
const strings = (): string => `"${Array.from({ length: below(12) }, () => pick(stringChars)).join("")}"`
const nested = (depth: number): string =>
  pick([
    () => strings(),
    () => numbers(),
    () => pick(["true", "false", "null"]),
    () =>
      depth > 3
        ? "1"
        : `[${pick(["", " ", "\\n".replace("\\n", "\n")])}${Array.from({ length: below(3) }, () => nested(depth + 1)).join(" , ")}]`,
    () =>
      depth > 3 ? "{}" : `{${Array.from({ length: below(3) }, (_, k) => `"k${k}" : ${nested(depth + 1)}`).join(",\t")}}`
  ])()

const pad = (n: number, width: number): string => String(n).padStart(width, "0")
const dates = (): string =>
  `${pad(pick([1, 1600, 1899, 1900, 1969, 1970, 2000, 2024, 2025, 2026, 2100, 2261, 2262, 2299, 2300, 9999]), 4)}-${pad(below(14), 2)}-${pad(below(33), 2)}`
const times = (): string =>
  `"${pick([dates(), "2026-01-31", "1969-12-31", "2024-02-29"])}${pick(["T", "T", "T", "t", " "])}${pad(below(25), 2)}:${pad(below(61), 2)}:${pad(below(61), 2)}${pick(["", `.${digits(below(9) + 1)}`, ".500", ".000000000", "."])}${pick(["Z", "Z", "z", "+02:00", "-11:30", "+14:00", "-00:00", "", "+0200", "+24:00"])}"`
const seconds = (): string =>
  pick([
    () => String(below(4_000_000_000)),
    () => `-${below(3_000_000_000)}`,
    () => `${below(2_000_000_000)}.${digits(below(9) + 1)}`,
    () => `-${below(100)}.${digits(below(3) + 1)}`,
    () => String(1_700_000_000_000 + below(1000))
  ])()
/** Milliseconds since 1970 of the first moment of a day, if there is such a day. */
const midnightOf = (day: string): number | undefined =>
  Option.getOrUndefined(
    Option.map(
      Option.filter(DateTime.make(`${day}T00:00:00Z`), (time) => DateTime.formatIsoDateUtc(time) === day),
      DateTime.toEpochMillis
    )
  )

/** Nanoseconds since 1970 of a JSON value, by the platform's own parser; `undefined` when it is no time. */
const nanoseconds = (text: string): bigint | undefined => {
  if (isNumber(text)) {
    const [n, power] = exact(text)
    return power + 9 < 0 ? undefined : n * 10n ** BigInt(power + 9)
  }
  const match = /^"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"$/u.exec(text)
  if (match === null) return undefined
  const [, day = "", time = "", fraction = "", zone = ""] = match
  const midnight = midnightOf(day)
  if (midnight === undefined) return undefined
  const [h = 99, m = 99, s = 99] = time.split(":").map(Number)
  if (h > 23 || m > 59 || s > 59) return undefined
  const [oh = 0, om = 0] = /[Zz]/u.test(zone) ? [0, 0] : zone.slice(1).split(":").map(Number)
  if (oh > 23 || om > 59) return undefined
  const offset = (zone.startsWith("-") ? -1 : 1) * (oh * 3600 + om * 60)
  return (
    (BigInt(midnight / 1000) + BigInt(h * 3600 + m * 60 + s - offset)) * 1_000_000_000n +
    BigInt(fraction.padEnd(9, "0"))
  )
}
const year = (y: number): bigint => BigInt(midnightOf(`${y}-01-01`) ?? 0) * 1_000_000n

interface Case {
  readonly field: string
  readonly values: ReadonlyArray<string>
  /** What reads the column back as text. */
  readonly show: string
  /** Whether the column can hold the value. */
  readonly fits: (sent: string) => boolean
  readonly same: (sent: string, found: string) => boolean
}

const numeric = [
  ...edges,
  ...edges.map((text) => `"${text}"`),
  ...quoted,
  ...others,
  ...many(1500, numbers),
  ...many(300, () => `"${numbers()}"`)
]
const integer = (field: string, min: bigint, max: bigint): Case => ({
  field,
  values: numeric,
  show: "toString(v)",
  fits: (sent) => {
    const text = bare(sent)
    if (!isNumber(text) || (sent !== text && !/^-?\d+$/u.test(text))) return false
    const [n, power] = exact(text)
    if (n === 0n) return sent === text || !(text.startsWith("-") && min === 0n)
    if (power > 60) return false
    const whole =
      power >= 0
        ? n * 10n ** BigInt(power)
        : power < -400
          ? undefined
          : n % 10n ** BigInt(-power) === 0n
            ? n / 10n ** BigInt(-power)
            : undefined
    return whole !== undefined && whole >= min && whole <= max
  },
  same: (sent, found) => sameNumber(bare(sent), found)
})
const decimal = (precision: number, scale: number): Case => ({
  field: `decimal(${precision}, ${scale})`,
  values: numeric,
  show: "toString(v)",
  fits: (sent) => {
    const text = bare(sent)
    if (!isNumber(text)) return false
    const [n, power] = exact(text)
    if (n === 0n) return true
    if (power > 80) return false
    const scaled =
      power + scale >= 0
        ? n * 10n ** BigInt(power + scale)
        : power + scale < -400
          ? undefined
          : n % 10n ** BigInt(-power - scale) === 0n
            ? n / 10n ** BigInt(-power - scale)
            : undefined
    return scaled !== undefined && scaled < 10n ** BigInt(precision) && scaled > -(10n ** BigInt(precision))
  },
  same: (sent, found) => sameNumber(bare(sent), found)
})
const timestamp = (n: 0 | 3 | 6 | 9): Case => ({
  field: n === 6 ? "timestamp" : `timestamp(${n})`,
  values: [
    ...many(2500, times),
    ...many(300, seconds),
    ...numeric.slice(0, 60),
    ...others,
    '"1900-01-01T00:00:00Z"',
    '"1899-12-31T23:59:59.999999999Z"',
    '"2299-12-31T23:59:59Z"',
    '"2300-01-01T00:00:00Z"',
    '"2262-04-11T23:47:15.999999999Z"',
    '"2262-04-11T23:47:16Z"',
    '"1900-01-01T00:00:00+05:00"',
    '"1899-12-31T23:00:00-05:00"',
    '"1969-12-31T23:59:59.9Z"',
    '"1950-06-01T10:20:30.123Z"',
    "-1.5"
  ],
  show: `toString(reinterpretAsInt64(v))`,
  fits: (sent) => {
    if (/[eE]/u.test(sent) && isNumber(sent)) return false
    const nanos = nanoseconds(sent)
    if (nanos === undefined) return false
    const unit = 10n ** BigInt(9 - n)
    const floor = nanos >= 0n ? nanos / 1_000_000_000n : -((-nanos + 999_999_999n) / 1_000_000_000n)
    return (
      nanos % unit === 0n &&
      nanos >= year(1900) &&
      floor * 1_000_000_000n < (n === 9 ? 9_223_372_036_000_000_000n : year(2300))
    )
  },
  same: (sent, found) => (nanoseconds(sent) ?? -1n) === BigInt(found) * 10n ** BigInt(9 - n)
})

const cases: ReadonlyArray<Case> = [
  integer("int8", -(2n ** 7n), 2n ** 7n - 1n),
  integer("int16", -(2n ** 15n), 2n ** 15n - 1n),
  integer("int32", -(2n ** 31n), 2n ** 31n - 1n),
  integer("int64", -(2n ** 63n), 2n ** 63n - 1n),
  integer("uint8", 0n, 2n ** 8n - 1n),
  integer("uint16", 0n, 2n ** 16n - 1n),
  integer("uint32", 0n, 2n ** 32n - 1n),
  integer("uint64", 0n, 2n ** 64n - 1n),
  decimal(18, 2),
  decimal(9, 0),
  decimal(38, 38),
  decimal(76, 20),
  {
    field: "float64",
    values: numeric,
    show: "toString(v)",
    fits: (sent) => {
      const text = bare(sent)
      if (!isNumber(text) || !Number.isFinite(Number(text))) return false
      const [n] = exact(text)
      if (n === 0n) return true
      const significant = n.toString().replace("-", "").replace(/0+$/u, "").length
      return Number(text) !== 0 && significant <= 100 && sameNumber(Number(text).toPrecision(significant), text)
    },
    same: (sent, found) => Object.is(Number(bare(sent)), Number(found))
  },
  {
    field: "bool",
    values: [...others, ...edges, ...quoted],
    show: "toString(v)",
    fits: (sent) => sent === "true" || sent === "false",
    same: (sent, found) => sent === found
  },
  {
    field: "string",
    values: [...numeric.slice(0, 200), ...many(1500, strings), ...many(500, () => nested(0)), '""'],
    show: "v",
    fits: (sent) => {
      if (!sent.startsWith('"')) return sent !== "null"
      const value: unknown = JSON.parse(sent)
      return typeof value === "string" && value.isWellFormed()
    },
    same: (sent, found) => (sent.startsWith('"') ? JSON.parse(sent) === found : sent === found)
  },
  {
    field: "json",
    values: [...numeric.slice(0, 200), ...many(1000, strings), ...many(1000, () => nested(0)), '""'],
    show: "v",
    fits: (sent) => sent !== "null",
    same: (sent, found) => sent === found
  },
  {
    field: "date",
    values: [
      ...many(1500, () => `"${dates()}"`),
      ...many(50, times),
      ...others,
      ...edges,
      '"1900-01-01"',
      '"2299-12-31"',
      '"1899-12-31"',
      '"2300-01-01"',
      '"2026-1-1"',
      '"2026-01-01 "'
    ],
    show: "toString(v)",
    fits: (sent) => {
      const text = bare(sent)
      return /^\d{4}-\d\d-\d\d$/u.test(text) && midnightOf(text) !== undefined && text >= "1900" && text < "2300"
    },
    same: (sent, found) => bare(sent) === found
  },
  timestamp(0),
  timestamp(3),
  timestamp(6),
  timestamp(9),
  {
    field: "uuid",
    values: [
      ...others,
      ...quoted,
      ...many(
        200,
        () =>
          `"${Array.from({ length: 36 }, (_, k) => ([8, 13, 18, 23].includes(k) ? "-" : pick([..."0123456789abcdefABCDEF"]))).join("")}"`
      ),
      '"61f0c4045cb311e7907ba6006ad3dba0"',
      '"61f0c404-5cb3-11e7-907b-a6006ad3dba"',
      '"61f0c404-5cb3-11e7-907b-a6006ad3dbag"'
    ],
    show: "toString(v)",
    fits: (sent) => /^"[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-[\da-fA-F]{12}"$/u.test(sent),
    same: (sent, found) => bare(sent).toLowerCase() === found
  }
]

layerPerAttempt(Embedded)("any JSON value arrives as it was sent, or not at all", (it) => {
  for (const { field, values, show, fits, same } of cases)
    it.effect(`declared ${field}`, () =>
      Effect.gen(function* () {
        const warehouse = yield* Warehouse
        const name = `v_${field.replace(/\W+/gu, "_")}`
        const table = yield* warehouse.ensureTable(
          spec(name, { orderBy: ["k"], schema: { k: "uint32", v: field } }),
          []
        )
        const encoded = table.encode(values.map((value, k) => record(k, `{"k":${k},"v":${value}}`)))
        const refused = new Map(encoded.rejected.map(({ index, reason }) => [index, reason]))
        for (const [k, value] of values.entries())
          assert.strictEqual(
            refused.get(k) === undefined,
            fits(value),
            `${value} as ${field}: ${refused.get(k) ?? "accepted"}`
          )
        yield* table.insert(planOf(0, values.length - 1), encoded)
        const rows = yield* warehouse.query(`SELECT k, ${show} AS found, _extra FROM shop.${name} ORDER BY k`)
        assert.strictEqual(rows.length, encoded.rows)
        for (const row of rows) {
          const sent = values[Number(row["k"])]!
          const found = String(row["found"])
          assert.isTrue(same(sent, found), `${sent} became ${found}`)
          assert.strictEqual(row["_extra"], "")
        }
      })
    )

  for (const field of [
    "int64",
    "uint64",
    "float64",
    "decimal(18, 2)",
    "bool",
    "string",
    "json",
    "date",
    "timestamp",
    "uuid"
  ])
    it.effect(`inferred column of the type of ${field}: what does not fit is in _extra as it was sent`, () =>
      Effect.gen(function* () {
        const warehouse = yield* Warehouse
        const name = `i_${field.replace(/\W+/gu, "_")}`
        const text = cases.find((one) => one.field === "string")!
        const { values, show, fits, same } = cases.find((one) => one.field === field)!
        // Made by a spec that declares the field, loaded by one that does not know it.
        yield* warehouse.ensureTable(spec(name, { orderBy: ["k"], schema: { k: "uint32", v: `${field}?` } }), [])
        const table = yield* warehouse.ensureTable(spec(name, { orderBy: ["k"], schema: { k: "uint32" } }), [])
        const encoded = table.encode(
          values.map((value, k) => record(k, `{"k":${k},"new é\\n":{"x": ${k}}, "v" : ${value} }`))
        )
        assert.deepStrictEqual(encoded.rejected, [])
        yield* table.insert(planOf(0, values.length - 1), encoded)
        const rows = yield* warehouse.query(
          `SELECT k, ${show} AS found, v IS NULL AS none, _extra FROM shop.${name} ORDER BY k`
        )
        assert.strictEqual(rows.length, values.length)
        for (const row of rows) {
          const k = Number(row["k"])
          const sent = values[k]!
          const kept = sent === "null" || (field === "json" ? text.fits(sent) : fits(sent))
          assert.strictEqual(row["_extra"], `{"new é\\n":{"x": ${k}}${kept ? "" : `,"v":${sent}`}}`)
          if (sent === "null" || !kept) assert.isTrue(Boolean(Number(row["none"])))
          else if (field === "json")
            assert.strictEqual(String(row["found"]), sent.startsWith('"') ? String(JSON.parse(sent)) : sent)
          else assert.isTrue(same(sent, String(row["found"])), `${sent} became ${String(row["found"])}`)
        }
      })
    )
})
