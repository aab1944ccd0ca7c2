import { createHash, createHmac } from "node:crypto"
import {
  columns,
  flightId,
  given,
  readRows,
  type Row,
  scheduledAt,
  type StreamName,
  streams,
  updatedAt
} from "./api/data.ts"
import { utc } from "./api/time.ts"

/**
 * What must be in the tables when everything was loaded, computed from the data files alone: neither by the connector file nor by
 * its transform. Per table the number of rows and a checksum over all columns that does not depend on the order of rows;
 * ClickHouse computes the same with `checksumSql`.
 */
export interface Truth {
  readonly stream: StreamName
  readonly rows: number
  /** Sum over the rows, modulo 2^64, of the first 8 bytes of the MD5 of the row's text, little-endian; as decimal digits. */
  readonly checksum: string
}

/** How a column is written into the row's text: a time as seconds since 1970, the others as ClickHouse's `toString` has them. */
type Kind = "text" | "number" | "time"

interface Column {
  readonly name: string
  readonly kind: Kind
  readonly value: (row: Row) => string | undefined
}

const plain = (name: string, column: string, kind: Kind = "text"): Column => ({
  name,
  kind,
  // The shortest text of the double, which both sides write: the files also have longer ones.
  value: (row) => {
    const value = row(column)
    return value === undefined || kind === "text" ? value : kind === "number" ? String(Number(value)) : seconds(value)
  }
})

// oxlint-disable-next-line eslint/no-restricted-globals -- a calculation, not a clock
const seconds = (time: string): string => String(Date.parse(time) / 1000)

const masked = (name: string, column: string, salt: string): Column => ({
  name,
  kind: "text",
  value: (row) => {
    const value = row(column)
    return value === undefined ? undefined : createHmac("sha256", salt).update(value).digest("hex")
  }
})

const departedAt = (row: Row): number | undefined => {
  const delay = row("dep_delay")
  return delay === undefined ? undefined : scheduledAt(row) + Number(delay) * 60
}

const flightColumns = (salt: string): ReadonlyArray<Column> => [
  { name: "id", kind: "text", value: flightId },
  plain("carrier", "carrier"),
  plain("number", "flight", "number"),
  plain("origin", "origin"),
  plain("destination", "dest"),
  { name: "departure_date", kind: "text", value: (row) => flightId(row).slice(0, 10) },
  plain("departure_scheduled", "sched_dep_time", "number"),
  plain("departure_actual", "dep_time", "number"),
  plain("departure_delay", "dep_delay", "number"),
  { name: "departure_scheduled_at", kind: "time", value: (row) => String(scheduledAt(row)) },
  { name: "departure_at", kind: "time", value: (row) => departedAt(row)?.toString() },
  {
    name: "departure_local",
    kind: "text",
    // New York was five hours behind UTC for all of January 2013.
    value: (row) => {
      const at = departedAt(row)
      return at === undefined ? undefined : `${utc(at - 5 * 3600).slice(0, 19)}-05:00`
    }
  },
  plain("arrival_scheduled", "sched_arr_time", "number"),
  plain("arrival_actual", "arr_time", "number"),
  plain("arrival_delay", "arr_delay", "number"),
  masked("aircraft_tail_number", "tailnum", salt),
  plain("air_time", "air_time", "number"),
  plain("distance", "distance", "number"),
  { name: "updated_at", kind: "time", value: (row) => String(updatedAt(row)) }
]

const columnsOf = (stream: StreamName, salt: string): ReadonlyArray<Column> => {
  if (stream === "flights") return flightColumns(salt)
  return Object.entries(columns[stream]).map(([name, [column, kind]]) => {
    if (name === "tail_number") return masked(name, column, salt)
    return plain(name, column, name === "time" ? "time" : kind)
  })
}

const missing = "~"
const separator = "|"

/** Rows and checksum of each table; `salt` is what `${env:FLIGHTS_SALT}` stands for. */
export const expected = (salt: string): ReadonlyArray<Truth> =>
  streams.map((stream) => {
    const fields = columnsOf(stream, salt)
    const rows = readRows(stream)
    let sum = 0n
    for (const row of rows) {
      const line = fields.map(({ value }) => value(row) ?? missing).join(separator)
      sum = BigInt.asUintN(64, sum + createHash("md5").update(line).digest().readBigUInt64LE(0))
    }
    return { stream, rows: rows.length, checksum: String(sum) }
  })

/** The query that gives one row with `rows` and `checksum` (as text) of a stream's table in database `nyc`. */
export const checksumSql = (stream: StreamName): string => {
  const texts = columnsOf(stream, "").map(({ kind, name }) => {
    const value = kind === "time" ? `toUnixTimestamp(${name})` : name
    return `ifNull(toString(${value}), '${missing}')`
  })
  const row = `concat(${texts.join(`, '${separator}', `)})`
  return (
    "SELECT count() AS rows, toString(sumWithOverflow(reinterpretAsUInt64(substring(MD5(" +
    `${row}), 1, 8)))) AS checksum FROM nyc.${stream} FINAL`
  )
}

/** Carrier, flights and mean departure delay (one digit, `null` if none left), as the view `nyc.airline_delays` must have them. */
export const expectedDelays = (): ReadonlyArray<{
  readonly airline: string
  readonly flights: number
  readonly mean: number | null
}> => {
  const names = new Map(readRows("airlines").map((row) => [given(row, "carrier"), given(row, "name")]))
  const totals = new Map<string, { flights: number; departed: number; minutes: number }>()
  for (const row of readRows("flights")) {
    const airline = names.get(given(row, "carrier")) ?? given(row, "carrier")
    const total = totals.get(airline) ?? { flights: 0, departed: 0, minutes: 0 }
    totals.set(airline, total)
    total.flights++
    const delay = row("dep_delay")
    if (delay === undefined) continue
    total.departed++
    total.minutes += Number(delay)
  }
  return [...totals]
    .map(([airline, { departed, flights, minutes }]) => ({
      airline,
      flights,
      mean: departed === 0 ? null : Math.round((minutes / departed) * 10) / 10
    }))
    .sort((a, b) => (b.mean ?? -Infinity) - (a.mean ?? -Infinity))
}
