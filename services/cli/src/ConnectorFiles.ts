import { expandConnector } from "@tributary/airbyte"
import {
  type Connector,
  type ConfigProblem,
  namedFiles,
  type OAuth2,
  type ParsedConnector,
  parseConnector
} from "@tributary/domain"
import { checkProvider } from "@tributary/oauth"
import { Effect, FileSystem, Option, Path, type PlatformError, Result, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import { createHash } from "node:crypto"

/** A connector file that can be run. */
export interface LoadedConnector {
  readonly file: string
  /** Folder that relative paths in the file start from. */
  readonly base: string
  readonly connector: Connector
  /** OAuth2 authorizations of its manifest beside `connector.auth`. */
  readonly further: ReadonlyArray<OAuth2>
  /** The file as it was read. */
  readonly text: string
  /** Files that it names (modules, a manifest and its hooks), as absolute paths. */
  readonly scripts: ReadonlyArray<string>
  /** Changes whenever the file, or a file that it names, changes. */
  readonly revision: string
}

export interface LoadedFiles {
  readonly connectors: ReadonlyArray<LoadedConnector>
  readonly problems: ReadonlyArray<ConfigProblem>
  /** What is allowed but probably not meant; of the files in `connectors`. */
  readonly warnings: ReadonlyArray<ConfigProblem>
}

/** There is nothing to run: no such folder, or no connector file in it. */
export class NoConnectors extends Schema.TaggedError<NoConnectors>()("NoConnectors", {
  path: Schema.String,
  reason: Schema.Literals(["missing", "empty", "unreadable"]),
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.path}: ${this.problem} Name a folder with connector files (*.yaml) or one such file with --connectors.`
  }
}

const isConnectorFile = (name: string): boolean => /\.ya?ml$/.test(name) && !name.startsWith(".")

/** What the operating system said, in words. */
export const why = (error: PlatformError.PlatformError): string => {
  switch (error.reason._tag) {
    case "NotFound":
      return "there is no such file or folder"
    case "PermissionDenied":
      return "permission denied"
    default:
      return error.message
  }
}

/** The files of a folder that hold connectors, or the one file. */
const filesOf = Effect.fnUntraced(function* (target: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const failed = (error: PlatformError.PlatformError) =>
    new NoConnectors(
      error.reason._tag === "NotFound"
        ? { path: target, reason: "missing", problem: `${why(error)}.` }
        : { path: target, reason: "unreadable", problem: `cannot be read (${why(error)}).` }
    )
  const info = yield* Effect.mapError(fs.stat(target), failed)
  if (info.type !== "Directory") return [target]
  const names = yield* Effect.mapError(fs.readDirectory(target), failed)
  const candidates = names
    .filter(isConnectorFile)
    .toSorted()
    .map((name) => path.join(target, name))
  return yield* Effect.filter(candidates, (file) =>
    fs.stat(file).pipe(
      Effect.map((found) => found.type !== "Directory"),
      // What is wrong with it is said when it is read.
      Effect.orElseSucceed(() => true)
    )
  )
})

const atStart = (
  file: string,
  text: string,
  problem: Pick<ConfigProblem, "path" | "found" | "expected" | "advice">
): ConfigProblem => {
  const lines = text.split("\n")
  const setting = lines.findIndex((line) => problem.path !== "" && line.startsWith(`${problem.path}:`))
  const line = lines[Math.max(0, setting)]?.trimEnd() ?? ""
  return {
    file,
    line: Math.max(0, setting) + 1,
    column: 1,
    excerpt: { text: line, width: setting < 0 ? 1 : problem.path.length },
    ...problem
  }
}

/** Airbyte's manifests lie beside the connector files that name them; by their top level they cannot be confused. */
const isManifest = (text: string): boolean =>
  /^["']?type["']?[ \t]*:[ \t]*["']?DeclarativeSource\b/mu.test(text) && !/^["']?connector["']?[ \t]*:/mu.test(text)

const loneManifest = (file: string, text: string, name: string): ConfigProblem =>
  atStart(file, text, {
    path: "",
    found: "an Airbyte manifest that no connector file names",
    expected: "a connector file",
    advice: `Write a file beside it with \`connector: <name>\` and \`manifest: ./${name}\` (docs/guides/airbyte.md), or run it by \`tributary connectors run --airbyte\`.`
  })

/** The connector with what its manifest says, or what is wrong with that. */
const expanded = Effect.fnUntraced(function* (parsed: ParsedConnector, base: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { connector, locate } = parsed
  if (connector.manifest === undefined) return Result.succeed({ connector, further: [] })
  const read = yield* Effect.result(fs.readFileString(path.resolve(base, connector.manifest)))
  if (Result.isFailure(read)) {
    return Result.fail(
      locate([
        {
          severity: "error",
          path: ["manifest"],
          found: `${connector.manifest}, which cannot be read (${why(read.failure)})`,
          expected: "a file beside this one",
          advice: "Correct the path; it is relative to the connector file."
        }
      ])
    )
  }
  const made = expandConnector(connector, read.success)
  if (Result.isFailure(made)) return Result.fail(locate(made.failure))
  return Result.succeed({ connector: made.success.connector, further: made.success.further })
})

/** Reads a connector file, or all of a folder. A wrong file is a problem of its own and never stops the others. */
export const loadConnectors = Effect.fn("cli.loadConnectors")(function* (target: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files = yield* filesOf(target)
  if (files.length === 0) {
    return yield* new NoConnectors({
      path: target,
      reason: "empty",
      problem: "the folder has no connector file."
    })
  }

  const connectors: Array<LoadedConnector> = []
  const problems: Array<ConfigProblem> = []
  const warnings: Array<ConfigProblem> = []
  const byId = new Map<string, string>()
  const manifests: Array<readonly [file: string, text: string]> = []
  for (const file of files) {
    const read = yield* Effect.result(fs.readFile(file))
    if (read._tag === "Failure") {
      problems.push(
        atStart(file, "", {
          path: "",
          found: `a file that cannot be read (${why(read.failure)})`,
          expected: "a connector file",
          advice: "Give the user that Tributary runs as the right to read it, or take it out of the folder."
        })
      )
      continue
    }
    const text = new TextDecoder().decode(read.success)
    if (!isUtf8(read.success)) {
      const { length } = text.slice(0, text.indexOf("\u{fffd}")).split("\n")
      problems.push({
        ...atStart(file, "", {
          path: "",
          found: "bytes that are no UTF-8",
          expected: "a file in UTF-8",
          advice: "Save it in the encoding UTF-8: in another one its texts would come out as others."
        }),
        line: length
      })
      continue
    }
    if (isManifest(text)) {
      manifests.push([file, text])
      continue
    }
    const parsed = parseConnector(text, file)
    if (parsed._tag === "Failure") {
      problems.push(...parsed.failure)
      continue
    }
    const base = path.dirname(path.resolve(file))
    const whole = yield* expanded(parsed.success, base)
    if (Result.isFailure(whole)) {
      problems.push(...whole.failure)
      continue
    }
    const { connector, further } = whole.success
    const other = byId.get(connector.connector)
    if (other !== undefined) {
      problems.push(
        atStart(file, text, {
          path: "connector",
          found: connector.connector,
          expected: `an identifier that no other file has; ${other} has it too`,
          advice: "Give one of the two connectors another identifier."
        })
      )
      continue
    }
    byId.set(connector.connector, file)
    const ofProvider = yield* checkProvider(connector.auth)
    const wrong = ofProvider.filter(({ severity }) => severity === "error")
    if (wrong.length > 0) {
      problems.push(...parsed.success.locate(wrong))
      continue
    }
    warnings.push(...parsed.success.warnings, ...parsed.success.locate(ofProvider))
    const scripts = new Set(namedFiles(connector).map((name) => path.resolve(base, name)))
    const hash = createHash("sha256").update(text)
    for (const script of scripts) {
      // A file that is missing is reported when the transform is compiled; here it only counts as a change.
      hash.update("\0").update(yield* fs.readFileString(script).pipe(Effect.orElseSucceed(() => "missing")))
    }
    connectors.push({ file, base, connector, further, text, scripts: [...scripts], revision: hash.digest("hex") })
  }
  const named = new Set(connectors.flatMap(({ scripts }) => scripts))
  const lone = manifests.filter(([file]) => !named.has(path.resolve(file)))
  // The one that names it may be one of those that are wrong.
  if (problems.length === 0) {
    const said = lone.map(([file, text]) => loneManifest(file, text, path.basename(file)))
    if (connectors.length === 0) problems.push(...said)
    else warnings.push(...said)
  }
  // A manifest without `type` looks like a connector file that is wrong.
  const ofConnectors = problems.filter(({ file }) => !named.has(path.resolve(file)))
  return { connectors, problems: ofConnectors, warnings } satisfies LoadedFiles
})

/**
 * Name, size and time of the connector files and of `scripts`: another text whenever one of them changes. Looking at the files
 * works where file events do not arrive: on network file systems and in folders that a container shares with its host.
 */
export const stampOf = Effect.fnUntraced(function* (target: string, scripts: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* filesOf(target).pipe(Effect.orElseSucceed(() => ["missing"]))
  const stamps = yield* Effect.forEach([...files, ...scripts], (file) =>
    fs.stat(file).pipe(
      Effect.map((info) => {
        const changed = Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() })
        return `${file} ${info.size} ${changed} ${Option.getOrElse(info.ino, () => 0)}`
      }),
      Effect.orElseSucceed(() => `${file} missing`)
    )
  )
  return stamps.join("\n")
})
