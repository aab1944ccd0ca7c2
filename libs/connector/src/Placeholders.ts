import { LosslessJson } from "@tributary/codec"
import type { Slice } from "./slots/index.ts"

/**
 * Placeholders in paths, query values, headers and bodies: `{since}` and `{until}` stand for the ends of the interval that is
 * read, `{job}`, `{job_key}` and `{result}` for the job that makes it, every other name for the partition's value of that name. Braces around anything else stay as they are.
 */
const placeholder = /\{([A-Za-z_][\w.-]*)\}/gu

const valueOf = (name: string, { interval, job, partition }: Slice): string | undefined =>
  partition !== undefined && Object.hasOwn(partition.values, name)
    ? partition.values[name]
    : name === "since"
      ? interval.since
      : name === "until"
        ? interval.until
        : job !== undefined && Object.hasOwn(job, name)
          ? job[name]
          : undefined

export const fill = (template: string, slice: Slice, encode: (value: string) => string = (value) => value): string =>
  template.includes("{")
    ? template.replaceAll(placeholder, (whole, name: string) => {
        const value = valueOf(name, slice)
        return value === undefined ? whole : encode(value)
      })
    : template

/** The same in every text of a value. */
export const fillJson = (value: LosslessJson.Json, slice: Slice): LosslessJson.Json => {
  if (typeof value === "string") return fill(value, slice)
  if (typeof value !== "object" || value === null || value instanceof LosslessJson.JsonNumber) return value
  if (Array.isArray(value)) return value.map((member: LosslessJson.Json) => fillJson(member, slice))
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fillJson(member, slice)]))
}
