import { assert, describe, it } from "@effect/vitest"
import { readRecords, streams } from "../api/data.ts"
import { checksumSql, expected, expectedDelays } from "../truth.ts"

interface Flight {
  readonly departure: { readonly delay: number | null; readonly hour_utc: string }
  readonly updated_at: string
}

describe("data", () => {
  it("has the rows of January 2013", () => {
    const rows = expected("salt").map(({ rows, stream }) => [stream, rows])
    assert.deepStrictEqual(rows, [
      ["flights", 27_004],
      ["weather", 2226],
      ["airlines", 16],
      ["planes", 3322],
      ["airports", 1458]
    ])
  })
  it("has a unique id for each flight, and many flights updated at one time", () => {
    const flights = readRecords("flights")
    assert.strictEqual(new Set(flights.map(({ id }) => id)).size, 27_004)
    assert.isBelow(new Set(flights.map(({ updatedAt }) => updatedAt)).size, 20_000)
  })
  it("has what is missing as null and numbers as they are written", () => {
    const values: Array<string> = []
    for (const stream of streams) {
      for (const { json } of readRecords(stream)) {
        const record: object = JSON.parse(json)
        values.push(...Object.values(record).filter((value) => value === "NA" || value === ""))
      }
    }
    assert.deepStrictEqual(values, [])
    assert.isTrue(readRecords("airports").some(({ json }) => json.includes('"latitude":48.053808600000004,')))
    assert.strictEqual(readRecords("weather").filter(({ json }) => json.includes('"wind_gust":null')).length, 1691)
  })
  it("has 521 flights that never left, updated when they were to leave; the others after they left", () => {
    const flights = readRecords("flights").map(({ json }): Flight => JSON.parse(json))
    const left = flights.filter(({ departure }) => departure.delay !== null)
    assert.strictEqual(flights.length - left.length, 521)
    for (const { departure, updated_at } of left) assert.isTrue(updated_at > departure.hour_utc)
    assert.strictEqual(flights[0]?.updated_at, "2013-01-01T11:00:00Z")
    assert.isTrue(flights.every(({ updated_at }) => updated_at < "2013-02-02T00:00:00Z"))
  })
})

describe("truth", () => {
  it("does not depend on the order of rows but on every value", () => {
    const [flights] = expected("salt")
    assert.deepStrictEqual(expected("salt")[0], flights)
    assert.notStrictEqual(expected("another salt")[0]?.checksum, flights?.checksum)
    // Streams without masked columns do not depend on the salt.
    assert.deepStrictEqual(expected("another salt")[1], expected("salt")[1])
  })
  it("asks ClickHouse for the same", () => {
    assert.strictEqual(
      checksumSql("airlines"),
      "SELECT count() AS rows, toString(sumWithOverflow(reinterpretAsUInt64(substring(MD5(concat(" +
        "ifNull(toString(carrier), '~'), '|', ifNull(toString(name), '~'))), 1, 8)))) AS checksum FROM nyc.airlines FINAL"
    )
  })
  it("knows the mean delays", () => {
    const delays = expectedDelays()
    assert.strictEqual(delays.length, 16)
    assert.deepStrictEqual(delays[0], { airline: "SkyWest Airlines Inc.", flights: 1, mean: 67 })
    assert.deepInclude(delays, { airline: "ExpressJet Airlines Inc.", flights: 4171, mean: 24.2 })
    assert.strictEqual(
      delays.reduce((sum, { flights }) => sum + flights, 0),
      27_004
    )
  })
})
