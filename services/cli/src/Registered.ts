import { type Registration, type RegisteredScript, revisionOf } from "@tributary/catalog"
import { expandConnector, type Expanded } from "@tributary/airbyte"
import { type ConfigProblem, formatProblem, namedFiles, parseConnector } from "@tributary/domain"
import { Effect, FileSystem, Option, Path, Result, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { type LoadedConnector, why } from "./ConnectorFiles.ts"

/** A connector file that cannot be registered, or a registration that cannot be run here. */
export class NotRegistrable extends Schema.TaggedError<NotRegistrable>()("NotRegistrable", {
  connector: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `Connector ${this.connector}: ${this.problem}`
  }
}

/** A disk that is full, or the like: what is registered may be run here later. */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  connector: Schema.String,
  file: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "transient" as const
  override get message(): string {
    return (
      `Connector ${this.connector}: its module ${this.file} cannot be written (${this.problem}). ` +
      "Make room or give the right to write there; it is tried again every 10 seconds. Another folder can be named with --data."
    )
  }
}

/**
 * Writes a text where it is not yet, whole or not at all: other workers of this machine may be reading it, and one that is
 * killed leaves no half of it.
 */
const writeWhole = Effect.fnUntraced(function* (target: string, text: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const present = yield* Effect.option(fs.readFileString(target))
  if (Option.isSome(present) && present.value === text) return
  yield* fs.makeDirectory(path.dirname(target), { recursive: true })
  const part = `${target}.${randomUUID()}`
  yield* Effect.andThen(fs.writeFileString(part, text), fs.rename(part, target)).pipe(
    Effect.onError(() => Effect.ignore(fs.remove(part, { force: true })))
  )
})

/** What is registered of a connector file: its text and the files that it names. */
export const registrationOf = Effect.fn("cli.registrationOf")(function* (loaded: LoadedConnector) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { base, connector, file, text } = loaded
  const wrong = (problem: string) => new NotRegistrable({ connector: connector.connector, problem })
  const scripts: Array<RegisteredScript> = []
  for (const name of namedFiles(connector).toSorted()) {
    const inside = path.relative(base, path.resolve(base, name))
    if (inside.startsWith("..") || path.isAbsolute(inside)) {
      return yield* wrong(
        `it names the module ${name}, which is not in the folder of its file; a module goes with the file to other machines. ` +
          "Put it beside the file, or in a folder below it."
      )
    }
    const script = yield* fs
      .readFileString(path.resolve(base, name))
      .pipe(Effect.mapError((error) => wrong(`the module ${name} cannot be read (${why(error)}).`)))
    scripts.push({ path: name, text: script })
  }
  return {
    connector: connector.connector,
    file: path.basename(file),
    text,
    scripts,
    revision: revisionOf(text, scripts)
  } satisfies Omit<Registration, "v" | "at">
})

/** The connector of a registration, with what its manifest says; or what is wrong, in words. */
export const registeredConnector = ({
  file,
  scripts,
  text
}: Pick<Registration, "file" | "scripts" | "text">): Result.Result<Pick<Expanded, "connector" | "further">, string> => {
  const parsed = parseConnector(text, file)
  const said = (problems: ReadonlyArray<ConfigProblem>) => problems.map((problem) => formatProblem(problem)).join("\n")
  if (Result.isFailure(parsed)) return Result.fail(said(parsed.failure))
  const { connector, locate } = parsed.success
  if (connector.manifest === undefined) return Result.succeed({ connector, further: [] })
  const manifest = scripts.find((script) => script.path === connector.manifest)
  if (manifest === undefined) return Result.fail(`The manifest ${connector.manifest} was not registered with it.`)
  const expanded = expandConnector(connector, manifest.text)
  return Result.isFailure(expanded) ? Result.fail(said(locate(expanded.failure))) : Result.succeed(expanded.success)
}

/**
 * A registered connector as it is run here. The files that it names are written below `directory`, under its revision, so
 * that one that runs is never changed; without `withScripts` they are not: sinks load none.
 */
export const loadRegistered = Effect.fn("cli.loadRegistered")(function* (
  registration: Omit<Registration, "v" | "at">,
  directory: string,
  { withScripts }: { readonly withScripts: boolean }
) {
  const path = yield* Path.Path
  const { connector: id, file, revision, scripts, text } = registration
  const wrong = (problem: string) => new NotRegistrable({ connector: id, problem })
  const parsed = registeredConnector(registration)
  if (Result.isFailure(parsed)) {
    return yield* wrong(`its registration is not right for this version:\n${parsed.failure}`)
  }
  const { connector, further } = parsed.success
  if (connector.connector !== id) return yield* wrong(`its registration holds the connector ${connector.connector}.`)
  const base = path.join(directory, id, revision.replaceAll(/[^0-9a-zA-Z]/gu, ""))
  for (const script of scripts) {
    const target = path.resolve(base, script.path)
    const inside = path.relative(base, target)
    if (inside.startsWith("..") || path.isAbsolute(inside))
      return yield* wrong(`its registration has the module ${script.path}, which is outside of its own folder.`)
    if (!withScripts) continue
    yield* writeWhole(target, script.text).pipe(
      Effect.mapError((error) => new NotWritten({ connector: id, file: target, problem: why(error) }))
    )
  }
  return {
    file,
    base,
    connector,
    further,
    text,
    scripts: scripts.map((script) => path.resolve(base, script.path)),
    revision
  } satisfies LoadedConnector
})
