import { type Registration, type RegisteredScript, revisionOf } from "@tributary/catalog"
import { formatProblem, parseConnector, transformSteps } from "@tributary/domain"
import { Effect, FileSystem, Option, Path, Schema } from "effect"
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

/** Paths of the modules that a connector's transforms name, as its file has them. */
const scriptPaths = ({ connector }: Pick<LoadedConnector, "connector">): ReadonlyArray<string> => {
  const paths = new Set<string>()
  for (const stream of Object.keys(connector.streams)) {
    for (const step of transformSteps(connector, stream)) if ("typescript" in step) paths.add(step.typescript)
  }
  return [...paths].toSorted()
}

/** What is registered of a connector file: its text and the modules that it names. */
export const registrationOf = Effect.fn("cli.registrationOf")(function* (loaded: LoadedConnector) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { base, connector, file, text } = loaded
  const wrong = (problem: string) => new NotRegistrable({ connector: connector.connector, problem })
  const scripts: Array<RegisteredScript> = []
  for (const name of scriptPaths(loaded)) {
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

/**
 * A registered connector as it is run here. The modules that it names are written below `directory`, under its revision, so
 * that one that runs is never changed; without `withScripts` they are not: only transforms load them.
 */
export const loadRegistered = Effect.fn("cli.loadRegistered")(function* (
  registration: Omit<Registration, "v" | "at">,
  directory: string,
  { withScripts }: { readonly withScripts: boolean }
) {
  const path = yield* Path.Path
  const { connector: id, file, revision, scripts, text } = registration
  const wrong = (problem: string) => new NotRegistrable({ connector: id, problem })
  const parsed = parseConnector(text, file)
  if (parsed._tag === "Failure") {
    const problems = parsed.failure.map((problem) => formatProblem(problem)).join("\n")
    return yield* wrong(`its registration is not right for this version:\n${problems}`)
  }
  const { connector } = parsed.success
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
    text,
    scripts: scripts.map((script) => path.resolve(base, script.path)),
    revision
  } satisfies LoadedConnector
})
