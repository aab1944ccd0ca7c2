import { Environment } from "@marcbachmann/cel-js"
import { LosslessJson } from "@tributary/codec"
import type { SourceStream } from "@tributary/domain"
import { foundIn } from "./Found.ts"
import { rewriting } from "./MadeRecords.ts"
import { fill } from "./Placeholders.ts"
import type { Transformation } from "./slots/index.ts"
import { BadSetting } from "./SourceError.ts"

type Json = LosslessJson.Json
type Members = { readonly [name: string]: Json }

const environment = new Environment({
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true
}).registerVariable("record", "map")

/** A value as CEL sees it: whole numbers are ints, objects maps (the library tells types by `constructor`, which may be a field). */
const toCel = (value: Json): unknown => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value !== "object" || value === null) return value
  if (value instanceof LosslessJson.JsonNumber) return Number(value.text)
  if (Array.isArray(value)) return value.map(toCel)
  return new Map(Object.entries(value).map(([name, member]) => [name, toCel(member)]))
}

const isMembers = (value: Json | undefined): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

const member = (record: Json, path: ReadonlyArray<string>): Json | undefined => {
  let value: Json | undefined = record
  for (const name of path) value = isMembers(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return value
}

/** A copy with a member set; what is on the way and no object is replaced by one. */
const withMember = (record: Members, [name = "", ...rest]: ReadonlyArray<string>, value: Json): Members => {
  const below = Object.hasOwn(record, name) ? record[name] : undefined
  return { ...record, [name]: rest.length === 0 ? value : withMember(isMembers(below) ? below : {}, rest, value) }
}

const withoutMember = (record: Members, [name = "", ...rest]: ReadonlyArray<string>): Members => {
  const { [name]: below, ...others } = record
  if (rest.length === 0) return others
  return isMembers(below) ? { ...record, [name]: withoutMember(below, rest) } : record
}

/** The transformation of a stream's `expand`, `filter` and `add`, in this order; `undefined` if it has none of them. */
export const shaping = (stream: SourceStream, setting: string): Transformation | undefined | BadSetting => {
  const { add, expand, filter } = stream
  const added = Object.entries(add).map(([field, template]) => [field.split("."), template] as const)
  if (filter === undefined && expand === undefined && added.length === 0) return undefined
  const checked = filter === undefined ? undefined : environment.check(filter)
  if (checked !== undefined && !checked.valid) {
    const said = String(checked.error?.message).split("\n", 1)[0] ?? ""
    const problem = `the expression is wrong: ${foundIn(Buffer.from(said), [])} Expression: ${foundIn(Buffer.from(filter ?? ""), [])}`
    return new BadSetting({ setting: `${setting}.filter`, problem })
  }
  const evaluate = filter === undefined ? undefined : environment.parse(filter)
  const belongs = (record: Json): boolean => {
    if (evaluate === undefined) return true
    const result: unknown = evaluate({ record: toCel(record) })
    if (typeof result === "boolean") return result
    throw new TypeError(`${setting}.filter gives ${result === null ? "null" : typeof result}, expected true or false.`)
  }
  const list = expand?.list.split(".") ?? []
  const expanded = (record: Json): ReadonlyArray<Json> => {
    if (expand === undefined) return [record]
    const found = member(record, list)
    if (found === undefined || found === null) return []
    if (!Array.isArray(found))
      throw new TypeError(`${expand.list} (${setting}.expand.list) is no list in one of the records.`)
    const items: ReadonlyArray<Json> = found
    const { parent } = expand
    if (parent === undefined || !isMembers(record)) return items
    const rest = withoutMember(record, list)
    return items.map((item) => (isMembers(item) ? withMember(item, [parent], rest) : item))
  }
  return rewriting((record, page) =>
    expanded(record).flatMap((item) => {
      if (!belongs(item)) return []
      if (added.length === 0 || !isMembers(item)) return [item]
      let made = item
      for (const [path, template] of added) made = withMember(made, path, fill(template, page.slice))
      return [made]
    })
  )
}
