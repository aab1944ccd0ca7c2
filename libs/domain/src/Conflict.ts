import type { SettingPath } from "./YamlSource.ts"

/** Something that is wrong between settings, each of which is right for itself. */
export interface Conflict {
  readonly severity: "error" | "warning"
  readonly path: SettingPath
  readonly found: string
  readonly expected: string
  readonly advice: string
}

/** Takes note of one. */
export type Report = (
  severity: Conflict["severity"],
  path: SettingPath,
  found: string,
  expected: string,
  advice: string
) => void
