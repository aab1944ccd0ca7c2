import { LosslessJson } from "@tributary/codec"
import { isMembers, type Members, plain } from "./Places.ts"

/** A field that a stream could read by. */
export interface GuessedCursor {
  /** Keys joined by dots. */
  readonly field: string
  readonly type: "timestamp" | "number"
  /** Codes as in strftime where it is not RFC 3339. */
  readonly format: string | undefined
  /** The records come with the newest first. */
  readonly isDescending: boolean
}

const keyNames = ["id", "uuid", "guid", "gid", "sysid", "key", "sid", "urn", "iri", "number", "ts", "slug", "code"]
const changedNames = [
  "updatedat",
  "updated",
  "modifiedat",
  "modified",
  "lastmodifieddatetime",
  "systemmodstamp",
  "lastmodifieddate",
  "lastmodified",
  "lastmodifiedat",
  "lastmodifiedtime",
  "modifiedtime",
  "lastupdated",
  "lastupdatedat",
  "lasteditedtime",
  "hslastmodifieddate",
  "datemodified",
  "dateupdated",
  "updatedtime",
  "updatetime",
  "updateddate",
  "updatedon",
  "modifiedon",
  "changedat",
  "sysupdatedon"
]
const createdNames = [
  "createdat",
  "created",
  "createddatetime",
  "createddate",
  "createdtime",
  "creationdate",
  "datecreated",
  "createdon",
  "createtime",
  "timestamp",
  "occurredat",
  "date",
  "ts"
]

const valueAt = (record: Members, path: ReadonlyArray<string>): LosslessJson.Json | undefined => {
  let value: LosslessJson.Json | undefined = record
  for (const key of path) value = isMembers(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return value
}

const isScalar = (value: LosslessJson.Json | undefined): value is string | number | bigint | LosslessJson.JsonNumber =>
  (typeof value === "string" && value !== "") ||
  typeof value === "number" ||
  typeof value === "bigint" ||
  value instanceof LosslessJson.JsonNumber

/** Fields of all records, those of objects in them too, down to two levels. */
const fieldsOf = ([first]: ReadonlyArray<Members>): ReadonlyArray<ReadonlyArray<string>> => {
  if (first === undefined) return []
  const fields: Array<ReadonlyArray<string>> = []
  const add = (record: Members, before: ReadonlyArray<string>): void => {
    for (const [key, value] of Object.entries(record)) {
      if (key === "" || key.includes(".")) continue
      const path = before.concat(key)
      fields.push(path)
      if (isMembers(value) && before.length < 1) add(value, path)
    }
  }
  add(first, [])
  return fields
}

/** The field that identifies a record: one with a usual name, a value in each record and none twice. */
export const guessKey = (records: ReadonlyArray<Members>, listName: string | undefined): string | undefined => {
  const singular = plain(listName ?? "").replace(/s$/u, "")
  const names = [...keyNames, ...(singular === "" ? [] : [`${singular}id`, `${singular}key`]), "name", "email", "url"]
  const candidates = fieldsOf(records)
    .filter((path) => path.length === 1 && names.includes(plain(path[0] ?? "")))
    .toSorted((a, b) => names.indexOf(plain(a[0] ?? "")) - names.indexOf(plain(b[0] ?? "")))
  return candidates
    .find((path) => {
      const values = records.map((record) => valueAt(record, path))
      return values.every(isScalar) && new Set(values.map(String)).size === values.length
    })
    ?.at(0)
}

/** From 2001 to 2096 in seconds since 1970. */
const isEpoch = (value: number): boolean => value > 1e9 && value < 4e9

const forms: ReadonlyArray<readonly [pattern: RegExp, format: string | undefined]> = [
  [/^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|z|[+-]\d\d:?\d\d)?)?$/u, undefined],
  [/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d$/u, "%Y/%m/%d %H:%M:%S"],
  [/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/u, "%a, %d %b %Y %H:%M:%S %z"],
  [/^\d{8}T\d{6}Z$/u, "%Y%m%dT%H%M%SZ"]
]

interface Form {
  readonly type: GuessedCursor["type"]
  readonly format: string | undefined
}

/** How times of a field are written; `undefined`: these are no times. */
const formOf = (values: ReadonlyArray<LosslessJson.Json | undefined>): Form | undefined => {
  if (!values.every(isScalar)) return undefined
  const numbers = values.map(Number)
  if (numbers.every((value) => isEpoch(value))) return { type: "timestamp", format: "%s" }
  if (numbers.every((value) => isEpoch(value / 1000))) return { type: "timestamp", format: "%ms" }
  const found = forms.find(([pattern]) => values.every((value) => typeof value === "string" && pattern.test(value)))
  return found === undefined ? undefined : { type: "timestamp", format: found[1] }
}

/** Whether values fall from record to record; times of one form compare as texts, numbers as numbers. */
const falls = (values: ReadonlyArray<LosslessJson.Json | undefined>): boolean => {
  const ordered = values.filter(isScalar).map((value) => (typeof value === "string" ? value : Number(value)))
  return (
    ordered.length > 2 &&
    ordered[0] !== ordered.at(-1) &&
    ordered.every((value, index) => index === 0 || value <= (ordered[index - 1] ?? value))
  )
}

/** The field that tells when a record was changed or, failing that, made. */
export const guessCursor = (records: ReadonlyArray<Members>): GuessedCursor | undefined => {
  const fields = fieldsOf(records)
  for (const names of [changedNames, createdNames]) {
    const candidates = fields
      .filter((path) => names.includes(plain(path.at(-1) ?? "")))
      .toSorted(
        (a, b) => a.length - b.length || names.indexOf(plain(a.at(-1) ?? "")) - names.indexOf(plain(b.at(-1) ?? ""))
      )
    for (const path of candidates) {
      const values = records.map((record) => valueAt(record, path))
      const form = formOf(values)
      if (form !== undefined) return { field: path.join("."), ...form, isDescending: falls(values) }
    }
  }
  return undefined
}
