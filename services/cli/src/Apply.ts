import { Catalog, type Change, type Registered } from "@tributary/catalog"
import { transformSteps } from "@tributary/domain"
import { compileTransform, type TransformError } from "@tributary/transform"
import { createTwoFilesPatch } from "diff"
import { Effect, FileSystem, Path, Schema } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { noteProblems } from "./FileProblems.ts"
import { count } from "./Format.ts"
import { loadRegistered, NotRegistrable, registrationOf } from "./Registered.ts"
import { revokeRegistered } from "./Revoke.ts"
import { Screen } from "./Screen.ts"

export interface ApplyOptions {
  /** Folder with connector files, or one file. */
  readonly files: string
  readonly dryRun: boolean
  /** Delete what is registered and in none of the files. */
  readonly prune: boolean
  readonly json: boolean
}

/** Some of the files cannot be registered; why has been printed. The others are. */
export class NotApplied extends Schema.TaggedError<NotApplied>()("NotApplied", { problems: Schema.Natural }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${count(this.problems)} problem(s) in connector files; the files without one were registered.`
  }
}

export class NotRegistered extends Schema.TaggedError<NotRegistered>()("NotRegistered", {
  connector: Schema.String,
  registered: Schema.Array(Schema.String)
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    const known = this.registered.length === 0 ? "none is" : this.registered.toSorted().join(", ")
    return `No connector ${this.connector} is registered (${known}).`
  }
}

type Action = "created" | "changed" | "unchanged" | "deleted" | "kept"

interface Step {
  readonly connector: string
  readonly action: Action
  readonly change: Change | undefined
  readonly diff: string
}

/** The files of a registration in one text, for comparing. */
const written = (registered: Registered): string => {
  if (registered._tag === "Failure") return ""
  const { scripts, text } = registered.success
  return [text, ...scripts.map((script) => `--- ${script.path}\n${script.text}`)].join("\n")
}

const patch = (id: string, before: string, after: string): string =>
  createTwoFilesPatch(`${id} (registered)`, `${id} (file)`, before, after, undefined, undefined, { context: 2 })
    .split("\n")
    .slice(1)
    .join("\n")
    .trimEnd()

/** Tries what a worker will do: the modules, apart from their folder, must load there too. */
const tryOut = Effect.fnUntraced(function* (loaded: LoadedConnector) {
  const fs = yield* FileSystem.FileSystem
  const registration = yield* registrationOf(loaded)
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "tributary-apply-" })
  const copy = yield* loadRegistered(registration, directory, { withScripts: true })
  for (const stream of Object.keys(copy.connector.streams)) {
    const steps = transformSteps(copy.connector, stream)
    yield* compileTransform(steps, { connector: copy.connector.connector, stream, base: copy.base }).pipe(
      // A secret that is missing here is there where the workers run, or they will say so.
      Effect.catchIf(
        (error: TransformError) => error.at[1] === "mask",
        () => Effect.void
      ),
      Effect.mapError(
        (error) =>
          new NotRegistrable({
            connector: registration.connector,
            problem:
              `${error.message}` +
              (error.at[1] === "typescript"
                ? " A registered module goes to the workers alone: what it imports from files beside it has to be in it."
                : "")
          })
      )
    )
  }
  return registration
}, Effect.scoped)

const marks: Record<Action, string> = { created: "+", changed: "~", unchanged: "=", deleted: "-", kept: "?" }

/** Registers connector files on Kafka and shows what changes. */
export const apply = Effect.fn("cli.apply")(function* (options: ApplyOptions) {
  const screen = yield* Screen
  const catalog = yield* Catalog
  const loaded = yield* loadConnectors(options.files)
  yield* noteProblems(loaded)
  const registered = yield* catalog.list
  const steps: Array<Step> = []
  const problems: Array<{ readonly connector: string; readonly message: string }> = []
  for (const one of loaded.connectors) {
    const id = one.connector.connector
    const tried = yield* Effect.result(tryOut(one))
    if (tried._tag === "Failure") {
      const { message } = tried.failure
      problems.push({ connector: id, message })
      yield* screen.note(`error: ${message}\n  --> ${one.file}\n`)
      continue
    }
    const next = tried.success
    const before = registered.get(id)
    const isSame = before?._tag === "Success" && before.success.revision === next.revision
    steps.push({
      connector: id,
      action: before === undefined ? "created" : isSame ? "unchanged" : "changed",
      change: isSame ? undefined : { register: next },
      diff:
        before === undefined || isSame
          ? ""
          : patch(
              id,
              written(before),
              [next.text, ...next.scripts.map(({ path, text }) => `--- ${path}\n${text}`)].join("\n")
            )
    })
  }
  // A file that has a problem may be that of any connector, so nothing that is missing is known to be gone.
  const isWhole = loaded.problems.length === 0
  for (const id of registered.keys()) {
    if (loaded.connectors.some(({ connector }) => connector.connector === id)) continue
    const isDeleted = options.prune && isWhole
    steps.push({
      connector: id,
      action: isDeleted ? "deleted" : "kept",
      change: isDeleted ? { remove: id } : undefined,
      diff: ""
    })
  }
  const changes = steps.flatMap(({ change }) => (change === undefined ? [] : [change]))
  if (!options.dryRun && changes.length > 0) yield* catalog.write(changes)
  const deleted = changes.flatMap((change) => ("remove" in change ? [change.remove] : []))
  const path = yield* Path.Path
  const revoked = options.dryRun
    ? new Map<string, string>()
    : yield* revokeRegistered(deleted, registered, path.resolve(options.files))

  const failed = problems.length + loaded.problems.length
  if (options.json) {
    yield* screen.print(
      JSON.stringify({
        dryRun: options.dryRun,
        connectors: steps.map(({ action, connector, diff }) => ({
          connector,
          action,
          ...(diff === "" ? {} : { diff }),
          ...(revoked.has(connector) ? { tokens: revoked.get(connector) } : {})
        })),
        problems,
        fileProblems: loaded.problems
      })
    )
  } else {
    for (const { action, connector, diff } of steps) {
      const note =
        action !== "kept"
          ? ""
          : options.prune
            ? " (not deleted: files with problems may be its own)"
            : " (registered, in none of the files; --prune deletes it)"
      yield* screen.print(`${marks[action]} ${connector}: ${action}${note}`)
      const tokens = revoked.get(connector)
      if (tokens !== undefined) yield* screen.print(`    ${tokens}`)
      if (diff !== "") yield* screen.print(diff.replaceAll(/^/gmu, "    "))
    }
    yield* screen.print(
      options.dryRun
        ? `${count(changes.length)} change(s) to make; nothing was changed (--dry-run).`
        : `${count(changes.length)} change(s) made.`
    )
  }
  if (failed > 0) return yield* new NotApplied({ problems: failed })
})

/** Deletes a registered connector. Its workers stop it within seconds; its tokens are revoked; its topics and tables stay. */
export const remove = Effect.fn("cli.remove")(function* (connector: string) {
  const screen = yield* Screen
  const catalog = yield* Catalog
  const registered = yield* catalog.list
  if (!registered.has(connector)) return yield* new NotRegistered({ connector, registered: [...registered.keys()] })
  yield* catalog.write([{ remove: connector }])
  const path = yield* Path.Path
  const tokens = (yield* revokeRegistered([connector], registered, path.resolve("."))).get(connector)
  yield* screen.print(`- ${connector}: deleted. Its topics and tables stay.${tokens === undefined ? "" : ` ${tokens}`}`)
})
