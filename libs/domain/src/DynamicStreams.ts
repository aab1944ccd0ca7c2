import { Result, Schema } from "effect"
import type { Conflict } from "./Conflict.ts"
import type { Connector, SourceStream, StreamsFrom } from "./ConnectorFile.ts"
import { StreamName } from "./Names.ts"
import type { SettingPath } from "./YamlSource.ts"

/** Values of an object by the names that the template has for them. */
export type ObjectValues = Readonly<Record<string, string>>

/** Says of an object that was found that it is not listed any more, and since when. */
export const goneName = "gone"

const placeholder = /\{([A-Za-z_][\w.-]*)\}/gu

const fill = (template: string, values: ObjectValues, encode: (value: string) => string = (value) => value): string =>
  template.replaceAll(placeholder, (whole, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined
    return value === undefined ? whole : encode(value)
  })

const fillJson = <A>(value: A, values: ObjectValues): A => {
  const filled = (one: unknown): unknown => {
    if (typeof one === "string") return fill(one, values)
    if (Array.isArray(one)) return one.map(filled)
    // A number that a double would change is an object with a prototype of its own.
    if (typeof one !== "object" || one === null || Object.getPrototypeOf(one) !== Object.prototype) return one
    return Object.fromEntries(Object.entries(one).map(([name, member]) => [name, filled(member)]))
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- texts become texts, everything else stays
  return filled(value) as A
}

/** What is wrong with an object's values; `undefined`: nothing. A brace could name a secret or a partition's value. */
export const objectProblem = (values: ObjectValues): string | undefined => {
  const wrong = Object.entries(values).find(([, value]) => value === "" || /[{}\p{Cc}]/u.test(value))
  return wrong === undefined
    ? undefined
    : `its ${wrong[0]} is ${JSON.stringify(wrong[1])}, and must be a text without braces and control characters`
}

const isStreamName = Schema.is(StreamName)

/** The name of an object's stream; `undefined`: none can be made of its values. */
export const streamNameOf = ({ name }: Pick<StreamsFrom, "name">, values: ObjectValues): StreamName | undefined => {
  const made = fill(name, values)
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/gu, "_")
    .replaceAll(/^[^a-z]+|_+$/gu, "")
    .slice(0, 63)
  return isStreamName(made) ? made : undefined
}

/** The template with an object's values in it. */
const streamFor = (template: SourceStream, values: ObjectValues): SourceStream => {
  const { add, body, headers, path, primary_key: key, query } = template
  return {
    ...template,
    ...(path === undefined ? {} : { path: fill(path, values, encodeURIComponent) }),
    ...(body === undefined ? {} : { body: fillJson(body, values) }),
    ...(key === undefined ? {} : { primary_key: fillJson(key, values) }),
    query: fillJson(query, values),
    headers: fillJson(headers, values),
    add: fillJson(add, values)
  }
}

/**
 * The connector with a stream for each object that was found and is still listed. Objects without a usable name, and names that two
 * streams would have, are conflicts. The places are those of the file.
 */
export const withFoundStreams = (
  connector: Connector
): Result.Result<
  { readonly connector: Connector; readonly origins: ReadonlyMap<string, SettingPath> },
  ReadonlyArray<Conflict>
> => {
  const conflicts: Array<Conflict> = []
  const streams = new Map<StreamName, SourceStream>()
  for (const [name, stream] of Object.entries(connector.streams)) if (isStreamName(name)) streams.set(name, stream)
  const origins = new Map<string, SettingPath>()
  connector.streams_from.forEach((from, index) => {
    from.found.forEach((values, place) => {
      const path = ["streams_from", index, "found", place]
      const report = (found: string, expected: string, advice: string) =>
        conflicts.push({ severity: "error", path, found, expected, advice })
      const problem = objectProblem(values)
      const name = streamNameOf(from, values)
      const missing = Object.keys(from.values).find((one) => !Object.hasOwn(values, one))
      if (missing !== undefined) {
        return report(
          `an object without \`${missing}\``,
          `each of ${Object.keys(from.values).join(", ")}`,
          "Run tributary discover --write, or add it."
        )
      }
      if (problem !== undefined) return report("an object that cannot be used", problem, "Remove it.")
      if (name === undefined) {
        return report(
          "an object without a name for its stream",
          "letters, digits, _ or -",
          "Correct `name`, or remove it."
        )
      }
      if (Object.hasOwn(values, goneName)) return undefined
      if (streams.has(name)) {
        return report(`a second stream ${name}`, "names that differ", "Correct `name`, or remove one of the objects.")
      }
      streams.set(name, streamFor(from.stream, values))
      origins.set(name, ["streams_from", index, "stream"])
      return undefined
    })
  })
  return conflicts.length > 0
    ? Result.fail(conflicts)
    : Result.succeed({ connector: { ...connector, streams: Object.fromEntries(streams) }, origins })
}
