import { Result, Schema, SchemaIssue } from "effect"
import type { ConfigProblem } from "./ConfigProblem.ts"
import { checkConnector } from "./ConnectorCheck.ts"
import type { Conflict } from "./Conflict.ts"
import { Connector } from "./ConnectorFile.ts"
import { withFoundStreams } from "./DynamicStreams.ts"
import { shapeOf } from "./Setting.ts"
import { readSettings } from "./SettingReader.ts"
import { type Finding, formatPath, locate, readYaml, type SettingPath } from "./YamlSource.ts"

/** A connector file that can be run. */
export interface ParsedConnector {
  readonly connector: Connector
  /** What is allowed but probably not meant. */
  readonly warnings: ReadonlyArray<ConfigProblem>
  /** Says where in the file what a later check found stands. */
  readonly locate: (conflicts: ReadonlyArray<Conflict>) => ReadonlyArray<ConfigProblem>
}

const decode = Schema.decodeUnknownResult(Connector, { errors: "all", onExcessProperty: "error" })
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** The one place where a setting can stand, for settings that have only one; by name. */
const homes = ((): ReadonlyMap<string, string> => {
  const found = new Map<string, Set<string>>()
  const walk = (ast: Schema.Top["ast"], path: string): void => {
    const shape = shapeOf(ast)
    switch (shape._tag) {
      case "Struct":
        for (const setting of shape.settings) {
          const places = found.get(setting.name) ?? new Set()
          found.set(setting.name, places.add(path))
          // Its templates have the settings of streams, whose place is there.
          if (setting.name === "streams_from") continue
          walk(setting.ast, path === "" ? setting.name : `${path}.${setting.name}`)
        }
        return
      case "Map":
        return walk(shape.value, `${path}.<name>`)
      case "List":
        return walk(shape.item, path)
      case "OneOf":
        return shape.members.forEach((member) => walk(member, path))
      case "Choice":
      case "Leaf":
      case "Anything":
    }
  }
  walk(Connector.ast, "")
  return new Map(
    [...found].flatMap(([name, places]) => {
      const [only] = places
      return only === undefined || places.size > 1 ? [] : [[name, only === "" ? "the top of the file" : only]]
    })
  )
})()

/**
 * Reads a connector file. All problems come back at once, in the order of the file: first those of the YAML, else those of
 * single settings, else those between settings. `path` is the file's name as it is to be shown. Pure; never throws; no
 * problem shows a secret.
 */
export const parseConnector = (
  text: string,
  path: string
): Result.Result<ParsedConnector, ReadonlyArray<ConfigProblem>> => {
  const content = text.startsWith("\u{feff}") ? text.slice(1) : text
  const source = readYaml(content)
  const located = (findings: ReadonlyArray<Finding>) =>
    locate(findings, { text: content, file: path, secrets: source.secrets })
  if (source.isBroken) return Result.fail(located(source.findings))

  const reading = readSettings(source, Connector, homes)
  const findings = [...source.findings, ...reading.findings]
  if (findings.length > 0) return Result.fail(located(findings))

  const decoded = decode(reading.value)
  if (Result.isFailure(decoded)) {
    return Result.fail(
      located(
        issuesOf(decoded.failure.issue).issues.map((issue) => {
          const at = (issue.path ?? []).flatMap((key) =>
            typeof key === "string" || typeof key === "number" ? [key] : []
          )
          return {
            range: reading.placeOf(at).value,
            path: at,
            found: "a value that does not fit",
            expected: "a value as the reference describes it",
            advice: `See ${formatPath(at)} in docs/reference/connector.md.`
          }
        })
      )
    )
  }
  let origins: ReadonlyMap<string, SettingPath> = new Map()
  /** A setting of a stream that was made of a template stands there. */
  const placed = (path: SettingPath): SettingPath => {
    const [first, stream, ...rest] = path
    const origin = first === "streams" ? origins.get(String(stream)) : undefined
    return origin === undefined ? path : [...origin, ...rest]
  }
  const place = (conflicts: ReadonlyArray<Conflict>) =>
    located(
      conflicts.map(({ advice, expected, found, path }) => ({
        range: reading.placeOf(placed(path)).key,
        path: placed(path),
        found,
        expected,
        advice
      }))
    )
  const expanded = withFoundStreams(decoded.success)
  if (Result.isFailure(expanded)) return Result.fail(place(expanded.failure))
  const { connector } = expanded.success
  origins = expanded.success.origins
  const conflicts = checkConnector(connector, { isWhole: connector.manifest === undefined })
  const errors = conflicts.filter(({ severity }) => severity === "error")
  const warnings = conflicts.filter(({ severity }) => severity === "warning")
  return errors.length > 0
    ? Result.fail(place(errors))
    : Result.succeed({ connector, warnings: place(warnings), locate: place })
}
