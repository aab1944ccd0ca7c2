import type { Detected } from "@tributary/connector"
import { type SettingValue, type SourceStream, streamYaml } from "@tributary/domain"
import { count, printable } from "./Format.ts"

/** The settings that say what was detected. */
const settingsOf = ({ cursor, paging, primaryKey, records }: Detected, stream: SourceStream) => {
  const settings: Record<string, SettingValue> = {}
  if (stream.records !== records) settings["records"] = records
  if (stream.primary_key === undefined && primaryKey !== undefined) settings["primary_key"] = primaryKey
  if (paging !== undefined) settings["pagination"] = paging.pagination
  if (stream.incremental === undefined && cursor !== undefined) {
    settings["incremental"] = {
      field: cursor.field,
      ...(cursor.type === "timestamp" ? {} : { type: cursor.type }),
      ...(cursor.format === undefined ? {} : { format: cursor.format }),
      ...(cursor.isDescending ? { order: "descending" } : { filter: true })
    }
  }
  return settings
}

/** What was detected in a stream's first answer, for a person and as JSON; `undefined`: nothing that its file does not say. */
export const describeDetected = (
  detected: Detected,
  stream: SourceStream,
  file: string,
  name: string,
  isAsked: boolean
): { readonly lines: ReadonlyArray<string>; readonly json: Readonly<Record<string, unknown>> } | undefined => {
  const { cursor, paging, primaryKey, records, refused } = detected
  const settings = settingsOf(detected, stream)
  // Without a doubt about records or pages there is nothing to say, unless it was asked for.
  if (!isAsked && paging === undefined && refused.length === 0 && settings["records"] === undefined) return undefined
  const yaml = Object.keys(settings).length === 0 ? undefined : streamYaml(file, name, settings)
  const lines = [`detected records: ${count(detected.count)} object(s) at ${records}`]
  if (paging === undefined) {
    lines.push(
      refused.length === 0
        ? "detected paging: nothing says that there is more than this page"
        : "detected paging: none that works"
    )
  } else lines.push(`detected paging: ${paging.saw}; ${paging.said}`)
  for (const { pagination, said } of refused) lines.push(`  tried ${JSON.stringify(pagination)}: ${said}`)
  if (primaryKey !== undefined) lines.push(`detected key: ${primaryKey}, in each record and none twice`)
  if (cursor !== undefined) {
    const form = cursor.format === undefined ? "RFC 3339" : cursor.format
    lines.push(
      `detected cursor: ${cursor.field} (${form})${cursor.isDescending ? ", the newest first on this page; where the API does not promise that order, write `filter: true` in place of it" : "; with the API's own parameter for it as `param`, only what is new is asked for"}`
    )
  }
  if (yaml !== undefined) lines.push("as a stream of the file:", ...yaml.trimEnd().split("\n"))
  return {
    lines: lines.map(printable),
    json: { detected: { records, paging: paging ?? null, refused, primaryKey, cursor, yaml: yaml ?? null } }
  }
}
