import { type Connector, type ConfigProblem, parseConnector, transformSteps } from "@tributary/domain"
import { Effect, FileSystem, Path, Schema } from "effect"
import { createHash } from "node:crypto"

/** A connector file that can be run. */
export interface LoadedConnector {
  readonly file: string
  /** Folder that relative paths in the file start from. */
  readonly base: string
  readonly connector: Connector
  /** Changes whenever the file, or a TypeScript file that it names, changes. */
  readonly revision: string
}

export interface LoadedFiles {
  readonly connectors: ReadonlyArray<LoadedConnector>
  readonly problems: ReadonlyArray<ConfigProblem>
}

export class NoConnectors extends Schema.TaggedError<NoConnectors>()("NoConnectors", {
  path: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.path}: ${this.problem} Name a folder with connector files (*.yaml) or one such file with --connectors.`
  }
}

const isConnectorFile = (name: string): boolean => /\.ya?ml$/.test(name) && !name.startsWith(".")

/** Reads a connector file, or all of a folder. A wrong file is a problem of its own and never stops the others. */
export const loadConnectors = Effect.fn("cli.loadConnectors")(function* (target: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const info = yield* fs
    .stat(target)
    .pipe(Effect.mapError(() => new NoConnectors({ path: target, problem: "there is no such file or folder." })))
  const unreadable = (file: string) => (error: { readonly message: string }) =>
    new NoConnectors({ path: file, problem: `cannot be read (${error.message}).` })
  const files =
    info.type === "Directory"
      ? (yield* fs.readDirectory(target).pipe(Effect.mapError(unreadable(target))))
          .filter(isConnectorFile)
          .toSorted()
          .map((name) => path.join(target, name))
      : [target]
  if (files.length === 0) return yield* new NoConnectors({ path: target, problem: "the folder has no connector file." })

  const connectors: Array<LoadedConnector> = []
  const problems: Array<ConfigProblem> = []
  const byId = new Map<string, string>()
  for (const file of files) {
    const text = yield* fs.readFileString(file).pipe(Effect.mapError(unreadable(file)))
    const parsed = parseConnector(text, file)
    if (parsed._tag === "Failure") {
      problems.push(...parsed.failure)
      continue
    }
    const connector = parsed.success.connector
    const other = byId.get(connector.connector)
    if (other !== undefined) {
      problems.push({
        file,
        line: 1,
        column: 1,
        path: "connector",
        found: connector.connector,
        expected: `an identifier that no other file has; ${other} has it too`,
        advice: "Give one of the two connectors another identifier.",
        excerpt: { text: text.split("\n", 1)[0] ?? "", width: 1 }
      })
      continue
    }
    byId.set(connector.connector, file)
    const base = path.dirname(path.resolve(file))
    const hash = createHash("sha256").update(text)
    for (const stream of Object.keys(connector.streams)) {
      for (const step of transformSteps(connector, stream)) {
        if (!("typescript" in step)) continue
        // A file that is missing is reported when the transform is compiled; here it only counts as a change.
        hash.update(
          yield* fs.readFileString(path.resolve(base, step.typescript)).pipe(Effect.orElseSucceed(() => "missing"))
        )
      }
    }
    connectors.push({ file, base, connector, revision: hash.digest("hex") })
  }
  return { connectors, problems } satisfies LoadedFiles
})
