import { readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { gunzipSync } from "node:zlib"
import { seconds, utc } from "./time.ts"

export const streams = ["flights", "weather", "airlines", "planes", "airports"] as const
export type StreamName = (typeof streams)[number]

/** A row of a CSV file: texts as they stand there, `undefined` for `NA`. */
export type Row = (column: string) => string | undefined

/** Where the tables are: January 2013, or another folder with files of the same names and columns (all of 2013, say). */
const folder = process.env["FLIGHTS_DATA"] ?? join(import.meta.dirname, "..", "data")

/** Reads a table of the `data` folder. Its files have no quotes and no commas in values, which is checked. */
export const readRows = (stream: StreamName): ReadonlyArray<Row> => {
  const text = gunzipSync(readFileSync(join(folder, `${stream}.csv.gz`))).toString("utf8")
  const lines = text.split("\n")
  const columns = new Map(lines[0]!.split(",").map((name, i) => [name, i]))
  const rows: Array<Row> = []
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    if (line === "") continue
    const values = line.split(",")
    if (values.length !== columns.size || line.includes('"'))
      throw new Error(`${stream}.csv, line ${i + 1} has other columns.`)
    rows.push((column) => {
      const at = columns.get(column)
      if (at === undefined) throw new Error(`${stream}.csv has no column ${column}.`)
      return values[at] === "NA" ? undefined : values[at]
    })
  }
  return rows
}

/** A value that must be there. */
export const given = (row: Row, column: string): string => {
  const value = row(column)
  if (value === undefined) throw new Error(`A value of ${column} is missing.`)
  return value
}

// Numbers go into the JSON as the text that they have in the file, so that none is rounded on its way.
const number = (value: string | undefined): string => value ?? "null"
const text = (value: string | undefined): string => (value === undefined ? "null" : JSON.stringify(value))

/** Moment (seconds since 1970) for which a flight was scheduled: the hour in UTC that the data gives, and its minute. */
export const scheduledAt = (row: Row): number => {
  const hour = seconds(given(row, "time_hour"))
  if (hour === undefined) throw new Error(`${given(row, "time_hour")} is no time.`)
  return hour + Number(given(row, "minute")) * 60
}

/** Scheduled local time as four digits. */
const clock = (row: Row): string => given(row, "sched_dep_time").padStart(4, "0")
const date = (row: Row): string =>
  `${given(row, "year")}-${given(row, "month").padStart(2, "0")}-${given(row, "day").padStart(2, "0")}`

/** `2013-01-01-UA-1545-EWR-0515`: unique in the data (a test counts them). */
export const flightId = (row: Row): string =>
  `${date(row)}-${given(row, "carrier")}-${given(row, "flight")}-${given(row, "origin")}-${clock(row)}`

/**
 * When the record of a flight was last updated, seconds since 1970: a quarter of an hour after it landed, or, when it is not known
 * to have landed, after it left; when it was to leave, if it was cancelled. To the minute, so that many flights share one.
 */
export const updatedAt = (row: Row): number => {
  const delay = row("dep_delay")
  if (delay === undefined) return scheduledAt(row)
  return scheduledAt(row) + (Number(delay) + Number(row("air_time") ?? 0) + 15) * 60
}

/** What the API serves: JSON texts in the order in which it serves them. */
export interface ApiRecord {
  readonly id: string
  /** Seconds since 1970; 0 for records that never change. */
  readonly updatedAt: number
  readonly json: string
}

const flight = (row: Row): ApiRecord => {
  const id = flightId(row)
  const at = updatedAt(row)
  const departure =
    `{"airport":${text(row("origin"))},"date":"${date(row)}","scheduled":${number(row("sched_dep_time"))},` +
    `"actual":${number(row("dep_time"))},"delay":${number(row("dep_delay"))},"hour_utc":${text(row("time_hour"))}}`
  const arrival =
    `{"airport":${text(row("dest"))},"scheduled":${number(row("sched_arr_time"))},` +
    `"actual":${number(row("arr_time"))},"delay":${number(row("arr_delay"))}}`
  const json =
    `{"id":"${id}","carrier":${text(row("carrier"))},"number":${number(row("flight"))},"departure":${departure},` +
    `"arrival":${arrival},"aircraft":{"tail_number":${text(row("tailnum"))}},"air_time":${number(row("air_time"))},` +
    `"distance":${number(row("distance"))},"updated_at":"${utc(at)}"}`
  return { id, updatedAt: at, json }
}

/** Columns of the other tables as the API names them, and which of them hold text. */
export const columns = {
  weather: {
    airport: ["origin", "text"],
    time: ["time_hour", "text"],
    temperature: ["temp", "number"],
    dew_point: ["dewp", "number"],
    humidity: ["humid", "number"],
    wind_direction: ["wind_dir", "number"],
    wind_speed: ["wind_speed", "number"],
    wind_gust: ["wind_gust", "number"],
    precipitation: ["precip", "number"],
    pressure: ["pressure", "number"],
    visibility: ["visib", "number"]
  },
  airlines: { carrier: ["carrier", "text"], name: ["name", "text"] },
  planes: {
    tail_number: ["tailnum", "text"],
    year: ["year", "number"],
    type: ["type", "text"],
    manufacturer: ["manufacturer", "text"],
    model: ["model", "text"],
    engines: ["engines", "number"],
    seats: ["seats", "number"],
    speed: ["speed", "number"],
    engine: ["engine", "text"]
  },
  airports: {
    code: ["faa", "text"],
    name: ["name", "text"],
    latitude: ["lat", "number"],
    longitude: ["lon", "number"],
    altitude: ["alt", "number"],
    utc_offset: ["tz", "number"],
    dst: ["dst", "text"],
    time_zone: ["tzone", "text"]
  }
} as const satisfies Record<Exclude<StreamName, "flights">, Record<string, readonly [string, "text" | "number"]>>

const read = new Map<StreamName, ReadonlyArray<ApiRecord>>()

/** Records of a stream: flights by time of update and id, the others as in their file. They are read once. */
export const readRecords = (stream: StreamName): ReadonlyArray<ApiRecord> => {
  const records = read.get(stream) ?? makeRecords(stream)
  read.set(stream, records)
  return records
}

const makeRecords = (stream: StreamName): ReadonlyArray<ApiRecord> => {
  const rows = readRows(stream)
  if (stream === "flights") {
    return rows.map(flight).sort((a, b) => a.updatedAt - b.updatedAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  }
  const fields = Object.entries(columns[stream])
  return rows.map((row) => {
    const json = fields.map(([name, [column, kind]]) => `"${name}":${(kind === "text" ? text : number)(row(column))}`)
    return { id: "", updatedAt: 0, json: `{${json.join(",")}}` }
  })
}
