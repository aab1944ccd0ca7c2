import { assert, describe, it } from "@effect/vitest"
import { parseConnector } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Secrets } from "@tributary/secrets"
import { Effect, Layer, Redacted, Result } from "effect"
import { createHmac } from "node:crypto"
import { readFileSync } from "node:fs"
import { readRecords } from "../api/data.ts"
import { transform } from "../connectors/flights.ts"

const base = new URL("../connectors", import.meta.url).pathname
const parsed = Result.getOrThrow(parseConnector(readFileSync(`${base}/flights.yaml`, "utf8"), "flights.yaml"))
const connector = parsed.connector

const SecretsTest = Layer.succeed(
  Secrets,
  Secrets.of({
    secret: () => Effect.succeed(Redacted.make("salt")),
    text: (template) => Effect.succeed(template),
    renew: () => Effect.succeed("unchanged" as const)
  })
)

const stream = (name: string) => Object.entries(connector.streams).find(([key]) => key === name)?.[1]

const transformed = Effect.fnUntraced(function* (name: "flights" | "planes") {
  const compiled = yield* compileTransform(stream(name)?.transform ?? [], { connector: "flights", stream: name, base })
  const batch = readRecords(name).map(({ json }, offset) => ({ offset, key: null, value: Buffer.from(json) }))
  const { out, rejected } = compiled.apply(batch)
  return {
    records: out.map(({ value }): Record<string, unknown> => JSON.parse(Buffer.from(value).toString())),
    rejected
  }
}, Effect.provide(SecretsTest))

describe("connector file", () => {
  it("is a connector with five streams", () => {
    assert.deepStrictEqual(parsed.warnings, [])
    assert.strictEqual(connector.connector, "flights")
    assert.deepStrictEqual(Object.keys(connector.streams), ["flights", "weather", "airlines", "planes", "airports"])
    assert.strictEqual(stream("flights")?.topic.partitions, 2)
  })
  it.effect("transforms every flight into the declared fields", () =>
    Effect.gen(function* () {
      const { records, rejected } = yield* transformed("flights")
      assert.deepStrictEqual(rejected, [])
      assert.strictEqual(records.length, 27_004)
      const declared = Object.keys(stream("flights")?.schema ?? {}).sort()
      for (const record of records) assert.deepStrictEqual(Object.keys(record).sort(), declared)
    })
  )
  it.effect("hashes tail numbers alike in flights and planes, so that they can be joined", () =>
    Effect.gen(function* () {
      const flights = (yield* transformed("flights")).records
      const planes = new Set((yield* transformed("planes")).records.map((plane) => plane["tail_number"]))
      assert.isTrue(planes.has(createHmac("sha256", "salt").update("N14228").digest("hex")))
      const joined = flights.filter((flight) => planes.has(flight["aircraft_tail_number"])).length
      assert.strictEqual(joined, 22_525)
    })
  )
})

/** Scheduled, delay, actual and the hour in UTC; then the three times that must come out. */
const times: ReadonlyArray<
  readonly [
    name: string,
    date: string,
    scheduled: number,
    delay: number | null,
    actual: number | null,
    hour: string,
    at: string,
    departed: string | null,
    local: string | null
  ]
> = [
  [
    "on time",
    "2013-01-01",
    515,
    0,
    515,
    "2013-01-01T10:00:00Z",
    "2013-01-01T10:15:00Z",
    "2013-01-01T10:15:00Z",
    "2013-01-01T05:15:00-05:00"
  ],
  [
    "early",
    "2013-01-01",
    600,
    -10,
    550,
    "2013-01-01T11:00:00Z",
    "2013-01-01T11:00:00Z",
    "2013-01-01T10:50:00Z",
    "2013-01-01T05:50:00-05:00"
  ],
  [
    "early, on the day before",
    "2013-01-02",
    5,
    -10,
    2355,
    "2013-01-02T05:00:00Z",
    "2013-01-02T05:05:00Z",
    "2013-01-02T04:55:00Z",
    "2013-01-01T23:55:00-05:00"
  ],
  [
    "late, after midnight",
    "2013-01-01",
    2359,
    17,
    16,
    "2013-01-02T04:00:00Z",
    "2013-01-02T04:59:00Z",
    "2013-01-02T05:16:00Z",
    "2013-01-02T00:16:00-05:00"
  ],
  [
    "at midnight, written as 2400",
    "2013-01-31",
    2300,
    60,
    2400,
    "2013-02-01T04:00:00Z",
    "2013-02-01T04:00:00Z",
    "2013-02-01T05:00:00Z",
    "2013-02-01T00:00:00-05:00"
  ],
  [
    "more than a day late",
    "2013-01-09",
    900,
    1301,
    641,
    "2013-01-09T14:00:00Z",
    "2013-01-09T14:00:00Z",
    "2013-01-10T11:41:00Z",
    "2013-01-10T06:41:00-05:00"
  ],
  [
    "in summer",
    "2013-07-01",
    2359,
    2,
    1,
    "2013-07-02T03:00:00Z",
    "2013-07-02T03:59:00Z",
    "2013-07-02T04:01:00Z",
    "2013-07-02T00:01:00-04:00"
  ],
  ["cancelled", "2013-01-01", 1630, null, null, "2013-01-01T21:00:00Z", "2013-01-01T21:30:00Z", null, null]
]

describe("flights.ts", () => {
  for (const [
    name,
    departure_date,
    departure_scheduled,
    departure_delay,
    departure_actual,
    hour,
    at,
    departed,
    local
  ] of times) {
    it(name, () => {
      const flight = { departure_date, departure_scheduled, departure_delay, departure_actual }
      assert.deepStrictEqual(transform({ ...flight, departure_hour_utc: hour }), {
        ...flight,
        departure_scheduled_at: at,
        departure_at: departed,
        departure_local: local
      })
    })
  }
  it("refuses times that contradict each other, or are none", () => {
    const flight = {
      departure_date: "2013-01-01",
      departure_scheduled: 515,
      departure_delay: 2,
      departure_hour_utc: "2013-01-01T10:00:00Z"
    }
    assert.throws(
      () => transform({ ...flight, departure_actual: 518 }),
      "departure_actual 518 is not departure_scheduled plus 2 minutes"
    )
    assert.throws(() => transform({ ...flight, departure_actual: 575 }), "575 is not a time of day")
    assert.throws(() => transform({ ...flight, departure_actual: 517, departure_hour_utc: "ten" }), "ten is not a time")
  })
})
