import {
  connectionStatus,
  coverageOf,
  errorTrace,
  type Files,
  isCovered,
  isPlainDict,
  loadHooks,
  loadManifest,
  makeSource,
  ManifestError,
  ManifestHttp,
  parseJson,
  type PlainDict,
  portsAt,
  RunError,
  secretPaths,
  specMessage,
  specOf,
  streamStates,
  textAt,
  type Value,
  type WantedStream,
  withTextAt,
  writeJson
} from "@tributary/airbyte"
import { Secrets } from "@tributary/secrets"
import { Clock, Config, Effect, FileSystem, Layer, Option, Path, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { why } from "./ConnectorFiles.ts"
import { Screen } from "./Screen.ts"

/** A file of a manifest's run that cannot be used. */
export class BadFile extends Schema.TaggedError<BadFile>()("BadFile", { path: Schema.String, problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.path}: ${this.problem}`
  }
}

/** A run that did not do all that was asked; why has been printed. */
export class NotComplete extends Schema.TaggedError<NotComplete>()("NotComplete", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

const readText = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs
    .readFileString(file)
    .pipe(Effect.mapError((error) => new BadFile({ path: file, problem: `it cannot be read (${why(error)}).` })))
})

const readJson = Effect.fnUntraced(function* (file: string) {
  const text = yield* readText(file)
  return yield* Effect.try({
    try: () => parseJson(text),
    catch: () => new BadFile({ path: file, problem: "it is not JSON." })
  })
})

const member = (value: Value | undefined, name: string): Value | undefined =>
  value !== undefined && value !== null && isPlainDict(value) && Object.hasOwn(value, name) ? value[name] : undefined

const dict = (value: Value | undefined): PlainDict =>
  value !== undefined && value !== null && isPlainDict(value) ? value : {}

const catalogOf = (file: string, value: Value): Effect.Effect<ReadonlyArray<WantedStream>, BadFile> => {
  const streams = member(value, "streams")
  if (!Array.isArray(streams)) {
    return new BadFile({ path: file, problem: "found no streams, expected a configured catalog." })
  }
  return Effect.succeed(
    streams.flatMap((item): ReadonlyArray<WantedStream> => {
      const stream = member(item, "stream") ?? item
      const name = member(stream, "name")
      const field = member(item, "cursor_field")
      const first = Array.isArray(field) ? field[0] : undefined
      return typeof name === "string"
        ? [
            {
              name,
              cursorField: typeof first === "string" ? first : undefined,
              schema: dict(member(stream, "json_schema"))
            }
          ]
        : []
    })
  )
}

const loaded = Effect.fnUntraced(function* (file: string) {
  const text = yield* readText(file)
  return yield* Effect.try({
    try: () => loadManifest(text),
    catch: (error) =>
      error instanceof ManifestError
        ? new BadFile({ path: file, problem: error.message.replaceAll("manifest, ", "").replaceAll("manifest: ", "") })
        : new BadFile({ path: file, problem: "it cannot be read." })
  })
})

const isReference = (text: string | undefined): text is string => text !== undefined && /^\$\{[^}]+\}$/.test(text)

/** The config with the secrets that its `airbyte_secret` fields refer to (`${env:NAME}`, `${file:path}`). */
const withSecrets = Effect.fnUntraced(function* (specification: Value | undefined, config: PlainDict, base: string) {
  const secrets = yield* Secrets
  let result = config
  for (const path of secretPaths(specification)) {
    const text = textAt(result, path)
    if (!isReference(text)) continue
    result = withTextAt(result, path, Redacted.value(yield* secrets.secret(text, base)))
  }
  return result
})

/** Folders that Airbyte's tools take files from; the second when the first is not there. */
const stagingFolder = "/staging/files"
const localFolder = "/tmp/airbyte-file-transfer"

/** Writes the files of records below a folder: the one that is given, or where airbyte-cdk writes them. */
const filesIn = Effect.fnUntraced(function* (given: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const staging = yield* Config.String("AIRBYTE_STAGING_DIRECTORY").pipe(Config.withDefault(stagingFolder))
  const isThere = given === undefined && (yield* Effect.orElseSucceed(fs.exists(staging), () => false))
  const folder = path.resolve(given ?? (isThere ? staging : localFolder))
  const files: Files = {
    write: Effect.fn("cli.connectors.file")(
      function* (name, body) {
        const file = path.join(folder, name)
        yield* fs.makeDirectory(path.dirname(file), { recursive: true })
        yield* fs.writeFile(file, body)
        return { url: file, size: body.length }
      },
      Effect.mapError(
        (error) =>
          new RunError({
            problem: `A file of a record cannot be written below ${folder} (${why(error)}). Name another folder with --files.`,
            failureType: "config_error"
          })
      )
    )
  }
  return files
})

interface RunOptions {
  readonly verb: "read" | "spec" | "check" | "discover"
  readonly manifest: string
  readonly config: string | undefined
  readonly state: string | undefined
  readonly catalog: string | undefined
  readonly hooks: string | undefined
  readonly files: string | undefined
}

const runManifest = Effect.fn("cli.connectors.run")(function* (options: RunOptions) {
  const screen = yield* Screen
  const path = yield* Path.Path
  const clock = yield* Clock.Clock
  const manifest = yield* loaded(options.manifest)
  const print = (lines: ReadonlyArray<string>) => screen.print(lines.join("\n"))
  if (options.verb === "spec") return yield* print([writeJson(specMessage(manifest))])
  const given = options.config === undefined ? {} : yield* readJson(options.config)
  if (given === null || !isPlainDict(given)) {
    return yield* new BadFile({ path: options.config ?? "", problem: "expected a JSON object." })
  }
  const base = options.config === undefined ? "." : path.dirname(path.resolve(options.config))
  const config = yield* withSecrets(specOf(manifest)?.["connection_specification"], given, base)
  const file = options.hooks
  const hooks =
    file === undefined
      ? undefined
      : yield* Effect.mapError(loadHooks(path.resolve(file)), (problem) => new BadFile({ path: file, problem }))
  // Whoever reads the output looks for the answer there, whatever went wrong.
  const told = (error: RunError) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const message =
        options.verb === "check" ? connectionStatus(error.message) : errorTrace(error.message, error.failureType, now)
      yield* print([writeJson(message)])
    })
  const source = yield* Effect.tapError(
    makeSource({
      manifest,
      config,
      folder: path.dirname(path.resolve(options.manifest)),
      environment: { ports: portsAt(() => clock.currentTimeMillisUnsafe() * 1000), hooks },
      output: { print },
      files: yield* filesIn(options.files)
    }),
    told
  )
  switch (options.verb) {
    case "check": {
      if (!(yield* source.check)) return yield* new NotComplete({ problem: "The check failed; see the message." })
      return
    }
    case "discover":
      return yield* Effect.tapError(source.discover, told)
    default: {
      const state = options.state === undefined ? new Map() : streamStates(yield* readJson(options.state))
      const { catalog } = options
      const wanted = catalog === undefined ? undefined : yield* catalogOf(catalog, yield* readJson(catalog))
      if (!(yield* source.read({ catalog: wanted, state }))) {
        return yield* new NotComplete({ problem: "Not all streams were read to their end; see the messages." })
      }
    }
  }
}, Effect.scoped)

const optionalFile = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const run = Command.make(
  "run",
  {
    verb: Argument.Literals("verb", ["read", "spec", "check", "discover"]).pipe(
      Argument.withDescription("What to do: read (the default), spec, check or discover"),
      Argument.optional
    ),
    airbyte: Flag.String("airbyte").pipe(Flag.withDescription("An Airbyte declarative manifest (YAML)")),
    config: optionalFile("config", "The connector's config (JSON)"),
    state: optionalFile("state", "State messages of the last run (JSON)"),
    catalog: optionalFile("catalog", "The configured catalog (JSON); default: every stream"),
    hooks: optionalFile("hooks", "Module with what stands for components that are written in Python (TypeScript)"),
    files: optionalFile(
      "files",
      "Folder for the files of records; default: $AIRBYTE_STAGING_DIRECTORY, or /tmp/airbyte-file-transfer"
    )
  },
  Effect.fn(function* ({ airbyte, catalog, config, files, hooks, state, verb }) {
    yield* runManifest({
      verb: Option.getOrElse(verb, () => "read" as const),
      manifest: airbyte,
      config: Option.getOrUndefined(config),
      state: Option.getOrUndefined(state),
      catalog: Option.getOrUndefined(catalog),
      hooks: Option.getOrUndefined(hooks),
      files: Option.getOrUndefined(files)
    }).pipe(Effect.provide(Layer.merge(ManifestHttp.layer, Secrets.layer)))
  })
).pipe(Command.withDescription("Run an Airbyte manifest and print messages of Airbyte's protocol"))

const isManifest = (name: string): boolean => /\.ya?ml$/i.test(name)

const some = (texts: ReadonlyArray<string>): string => (texts.length === 0 ? "-" : texts.join(", "))

const coverage = Command.make(
  "coverage",
  {
    folder: Argument.String("folder").pipe(Argument.withDescription("Folder with manifests (*.yaml), or one of them"))
  },
  Effect.fn(function* ({ folder }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const screen = yield* Screen
    const failed = (error: { readonly message: string }) =>
      new BadFile({ path: folder, problem: `it cannot be read (${error.message}).` })
    const info = yield* Effect.mapError(fs.stat(folder), failed)
    const names =
      info.type === "Directory"
        ? (yield* Effect.mapError(fs.readDirectory(folder, { recursive: true }), failed)).filter(isManifest).toSorted()
        : [""]
    let covered = 0
    for (const name of names) {
      const file = name === "" ? folder : path.join(folder, name)
      const found = coverageOf(yield* readText(file))
      if (isCovered(found)) covered++
      yield* screen.print(
        [
          name === "" ? path.basename(folder) : name,
          found.loads ? "loads" : "does not load",
          found.validates ? "valid" : "not valid",
          `missing: ${some(found.missing)}`,
          `expressions failing: ${some(found.expressions)}`,
          `hooks needed: ${some(found.hooks)}`,
          ...(found.problems.length === 0 ? [] : [found.problems.join("; ")])
        ].join(" | ")
      )
    }
    yield* screen.print(`${covered} of ${names.length} manifests have all they need.`)
  })
).pipe(Command.withDescription("Show which manifests of a folder run here, and what the others need"))

/** `tributary connectors`: connectors that are written elsewhere. */
export const connectorsCommand = Command.make("connectors").pipe(
  Command.withSubcommands([run, coverage]),
  Command.withDescription("Run connectors of Airbyte's catalogue, and see which ones run")
)
