import { NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, FileSystem, Layer, type LogLevel, Option, Path, Runtime } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SqliteLog } from "@tributary/log"
import { Secrets } from "@tributary/vault"
import { authorizations, directories, embedded, tablesOf } from "./Engine.ts"
import { preview } from "./Preview.ts"
import { query } from "./Query.ts"
import { runOnce, serve } from "./Runner.ts"
import { Screen, screenLogger } from "./Screen.ts"
import { showStatus } from "./StatusCommand.ts"
import { tap } from "./Tap.ts"
import { validate } from "./Validate.ts"

const root = Command.make("tributary").pipe(
  Command.withSharedFlags({
    connectors: Flag.String("connectors").pipe(
      Flag.withAlias("c"),
      Flag.withDescription("Folder with connector files (*.yaml), or one file"),
      Flag.withDefault("./connectors")
    ),
    data: Flag.String("data").pipe(
      Flag.withDescription("Folder that the embedded engine keeps its data in"),
      Flag.withDefault("./.tributary")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print results as JSON"), Flag.withDefault(false))
  }),
  Command.withDescription("Streams OAuth2-protected APIs into Kafka and ClickHouse")
)

/** What SIGINT and SIGTERM make of a command: one that stays ends well, one that was under way did not. */
const signalled = { code: 130 }

const staying = Effect.sync(() => {
  signalled.code = 0
})

/** Starts the embedded engine in the data folder, which is made if need be. */
const onEngine = <A, E, R>(data: string, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = path.resolve(data)
    yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
    return yield* Effect.provide(work, embedded(folder))
  })

const dev = Command.make(
  "dev",
  {},
  Effect.fn(function* () {
    const { connectors, data, json } = yield* root
    yield* staying
    yield* onEngine(data, serve({ connectors, json, watch: true }))
  })
).pipe(Command.withDescription("Run everything in one process and take up changes of the files as they happen"))

const run = Command.make(
  "run",
  {
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Read everything there is, load it, print a summary and end"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ once }) {
    const { connectors, data, json } = yield* root
    if (once) return yield* onEngine(data, runOnce({ connectors, json }))
    yield* staying
    yield* onEngine(data, serve({ connectors, json, watch: false }))
  })
).pipe(Command.withDescription("Run all connectors in one process"))

const validateCommand = Command.make(
  "validate",
  {},
  Effect.fn(function* () {
    const { connectors, json } = yield* root
    yield* Effect.provide(validate({ connectors, json }), Secrets.layer)
  })
).pipe(Command.withDescription("Check connector files without making a request"))

const previewCommand = Command.make(
  "preview",
  {
    connector: Argument.String("connector").pipe(
      Argument.withDescription("Identifier of the connector; may be left out if there is only one"),
      Argument.optional
    ),
    stream: Flag.String("stream").pipe(Flag.withDescription("Only this stream"), Flag.optional),
    limit: Flag.Int("limit").pipe(Flag.withDescription("Records to show per stream"), Flag.withDefault(3))
  },
  Effect.fn(function* ({ connector, limit, stream }) {
    const { connectors, data, json } = yield* root
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* fs.makeDirectory(path.resolve(data), { recursive: true, mode: 0o700 })
    yield* preview({
      connectors,
      connector: Option.getOrUndefined(connector),
      stream: Option.getOrUndefined(stream),
      limit,
      json
    }).pipe(Effect.provide(authorizations(path.resolve(data))))
  })
).pipe(Command.withDescription("Fetch one page of each stream and show its records and tables; publish nothing"))

const tapCommand = Command.make(
  "tap",
  {
    topic: Argument.String("topic"),
    from: Flag.Literals("from", ["earliest", "latest"]).pipe(
      Flag.withDescription("Where to begin"),
      Flag.withDefault("earliest")
    ),
    last: Flag.Int("last").pipe(Flag.withDescription("Begin so many records before the end"), Flag.optional),
    limit: Flag.Int("limit").pipe(Flag.withDescription("Stop after so many records"), Flag.optional),
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on as records come"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ follow, from, last, limit, topic }) {
    const { data, json } = yield* root
    const path = yield* Path.Path
    yield* tap({
      topic,
      from: Option.getOrElse(last, () => from),
      limit: Option.getOrUndefined(limit),
      follow,
      json
    }).pipe(Effect.provide(SqliteLog.layerReadOnly({ directory: directories(path.resolve(data)).log })))
  })
).pipe(Command.withDescription("Print the records of a topic"))

const queryCommand = Command.make(
  "query",
  { sql: Argument.String("sql") },
  Effect.fn(function* ({ sql }) {
    const { data, json } = yield* root
    const path = yield* Path.Path
    yield* Effect.provide(query(sql, json), tablesOf(path.resolve(data)))
  })
).pipe(Command.withDescription("Run SQL on the tables"))

const statusCommand = Command.make(
  "status",
  {},
  Effect.fn(function* () {
    const { connectors, data, json } = yield* root
    const path = yield* Path.Path
    yield* showStatus({ connectors, json }).pipe(
      Effect.provide(SqliteLog.layerReadOnly({ directory: directories(path.resolve(data)).log }))
    )
  })
).pipe(Command.withDescription("Show state, lag and last problem of each stream"))

const tributary = root.pipe(
  Command.withSubcommands([dev, run, validateCommand, previewCommand, tapCommand, queryCommand, statusCommand])
)

const level: LogLevel.LogLevel = "Info"

/** What a person reads when a command ends badly: the message of what failed, the trace of what should not happen. */
const report = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    yield* screen.progress("")
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) {
      const { message } = error.value as { readonly message?: unknown }
      if (typeof message === "string" && message !== "") yield* screen.note(`error: ${message}`)
      return
    }
    yield* screen.note(`This should not have happened; please report it.\n${Cause.pretty(cause)}`)
  })

export const program = Command.run(tributary, { version: "0.1.0" }).pipe(
  Effect.tapCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : report(cause))),
  Effect.provide(screenLogger(level).pipe(Layer.provideMerge(Layer.merge(Screen.layer, NodeServices.layer))))
)

/** Exit codes: 0 done (or stopped, for a command that stays), 1 failed, 130 stopped before the end. */
export const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) onExit(signalled.code)
  else Runtime.defaultTeardown(exit, onExit)
}
