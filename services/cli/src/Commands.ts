import { Secrets } from "@tributary/secrets"
import { Console, Duration, Effect, Layer, Option, Path, Schedule } from "effect"
import { Argument, CliConfig, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { askingCommands, onCassette } from "./AskingCommands.ts"
import { loadConnectors } from "./ConnectorFiles.ts"
import { countOf } from "./CountFlag.ts"
import { dataFolder } from "./DataFolder.ts"
import { defaultData } from "./Directories.ts"
import { connectorsCommand } from "./ConnectorsCommand.ts"
import { auditOf, authorizations, catalogOf, engine, schemasOf, tablesOf, topicsOf } from "./Engine.ts"
import { loadCommand } from "./LoadCommand.ts"
import { exitCodes, runProcess } from "./Process.ts"
import { query } from "./Query.ts"
import { requireConnectors, runOnce } from "./RunOnce.ts"
import { Screen } from "./Screen.ts"
import { serve } from "./Serve.ts"
import { NotOnce, services } from "./ServiceName.ts"
import { showStatus } from "./StatusCommand.ts"
import { tap } from "./Tap.ts"
import { validate } from "./Validate.ts"
import { vaultCommand } from "./VaultCommand.ts"

const root = Command.make("tributary").pipe(
  Command.withSharedFlags({
    connectors: Flag.String("connectors").pipe(
      Flag.withAlias("c"),
      Flag.withDescription("Folder with connector files (*.yaml), or one file"),
      Flag.withDefault("./connectors")
    ),
    data: Flag.String("data").pipe(
      Flag.withDescription("Folder that the embedded engine keeps its data in"),
      Flag.withDefault(defaultData)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print results as JSON"), Flag.withDefault(false))
  }),
  Command.withDescription("Streams OAuth2-protected APIs into Kafka and ClickHouse")
)

/** What a signal makes of a command: one that stays ends well, one that was under way did not. */
const signalled: { code: number } = { code: exitCodes.stopped }

const staying = Effect.sync(() => {
  signalled.code = exitCodes.done
})

/** Starts the embedded engine in the data folder. */
const onEngine = <A, E, R>(data: string, work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(dataFolder(data), (folder) => Effect.provide(work, engine(folder)))

const http = Flag.String("http").pipe(
  Flag.withDescription(
    "Where the process answers for its health and gives its metrics: host:port (control: its API, default 127.0.0.1:7480)"
  ),
  Flag.optional
)

/** The engine of one process, with its health where it is to be served. */
const onServedEngine = Effect.fnUntraced(function* <A, E, R>(
  data: string,
  address: Option.Option<string>,
  work: Effect.Effect<A, E, R>
) {
  if (Option.isNone(address)) return yield* onEngine(data, work)
  // Loaded where it is asked for: it would make each command slower to start.
  const { servingHealth } = yield* Effect.promise(() => import("./ServeHealth.ts"))
  return yield* servingHealth(address.value, onEngine(data, work))
})

const dev = Command.make(
  "dev",
  {
    http,
    authServer: Flag.Boolean("auth-server").pipe(
      Flag.withDescription("Also start an authorization server on this machine, to try out consent and tokens by hand"),
      Flag.withDefault(false)
    ),
    authPort: Flag.Int("auth-port").pipe(
      Flag.withDescription("Port of that server; 0: any free one"),
      Flag.withDefault(7489)
    )
  },
  Effect.fn(function* ({ authPort, authServer, http }) {
    const { connectors, data, json } = yield* root
    const running = Effect.gen(function* () {
      // Said before the engine starts.
      yield* loadConnectors(connectors)
      yield* staying
      yield* onServedEngine(data, http, serve({ connectors, json, watch: true }))
    })
    if (!authServer) return yield* running
    const { startDevAuthServer } = yield* Effect.promise(() => import("./DevAuthServer.ts"))
    const screen = yield* Screen
    // A person who tries out the server has no connectors yet, and saves the first one when it was shown.
    const first = Effect.catchTag(loadConnectors(connectors), "NoConnectors", ({ message }) =>
      screen.note(`${message} Only the authorization server runs until there is one.`).pipe(
        Effect.andThen(staying),
        Effect.andThen(
          Effect.retry(loadConnectors(connectors), {
            schedule: Schedule.spaced("1 second"),
            while: ({ _tag }) => _tag === "NoConnectors"
          })
        )
      )
    )
    yield* startDevAuthServer(authPort).pipe(Effect.andThen(first), Effect.andThen(running), Effect.scoped)
  })
).pipe(Command.withDescription("Run everything in one process and take up changes of the files as they happen"))

const stage = Argument.Literals("service", services).pipe(
  Argument.withDescription("Run only this service, on the servers that others of its kind share; default: everything"),
  Argument.optional
)

const run = Command.make(
  "run",
  {
    service: stage,
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("Read everything there is, load it, print a summary and end"),
      Flag.withDefault(false)
    ),
    http,
    replay: onCassette
  },
  Effect.fn(function* ({ http, once, replay, service }) {
    const { connectors, data, json } = yield* root
    if (Option.isSome(replay)) {
      const { runOnReplay } = yield* Effect.promise(() => import("./RunReplay.ts"))
      return yield* runOnReplay({
        connectors,
        data,
        json,
        cassette: replay.value,
        isOnce: once && Option.isNone(service)
      })
    }
    if (Option.isSome(service)) {
      if (once) return yield* new NotOnce({ service: service.value })
      yield* staying
      // Loaded where it is asked for, as above.
      const { runService } = yield* Effect.promise(() => import("./Service.ts"))
      return yield* runService(service.value, { data: yield* dataFolder(data), http: Option.getOrUndefined(http) })
    }
    yield* requireConnectors(connectors)
    if (once) {
      const screen = yield* Screen
      return yield* onServedEngine(data, http, runOnce({ connectors, json })).pipe(
        Effect.onInterrupt(() =>
          screen.note("Stopped before the end. What was committed is kept; the next run goes on from there.")
        )
      )
    }
    yield* staying
    yield* onServedEngine(data, http, serve({ connectors, json, watch: false }))
  })
).pipe(Command.withDescription("Run all connectors in one process, or one service of many"))

const applyCommand = Command.make(
  "apply",
  {
    files: Flag.String("file").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Folder with connector files, or one file; default: --connectors"),
      Flag.optional
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Show what would change and change nothing"),
      Flag.withDefault(false)
    ),
    prune: Flag.Boolean("prune").pipe(
      Flag.withDescription("Delete registered connectors that are in none of the files"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ dryRun, files, prune }) {
    const { connectors, json } = yield* root
    const { apply } = yield* Effect.promise(() => import("./Apply.ts"))
    yield* apply({ files: Option.getOrElse(files, () => connectors), dryRun, prune, json }).pipe(
      Effect.provide(Layer.merge(catalogOf("apply"), Secrets.layer))
    )
  })
).pipe(Command.withDescription("Register connector files on Kafka; the workers take them up within seconds"))

const deleteCommand = Command.make(
  "delete",
  { connector: Argument.String("connector").pipe(Argument.withDescription("Identifier of the connector")) },
  Effect.fn(function* ({ connector }) {
    const { remove } = yield* Effect.promise(() => import("./Apply.ts"))
    yield* remove(connector).pipe(Effect.provide(catalogOf("delete")))
  })
).pipe(Command.withDescription("Delete a registered connector; its topics and tables stay"))

const validateCommand = Command.make(
  "validate",
  {},
  Effect.fn(function* () {
    const { connectors, json } = yield* root
    yield* Effect.provide(validate({ connectors, json }), Secrets.layer)
  })
).pipe(Command.withDescription("Check connector files without making a request"))

const tapCommand = Command.make(
  "tap",
  {
    topic: Argument.String("topic"),
    from: Flag.Literals("from", ["earliest", "latest"]).pipe(
      Flag.withDescription("Where to begin"),
      Flag.withDefault("earliest")
    ),
    last: countOf("last").pipe(Flag.withDescription("Begin so many records before the end"), Flag.optional),
    limit: countOf("limit").pipe(Flag.withDescription("Stop after so many records"), Flag.optional),
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on as records come"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ follow, from, last, limit, topic }) {
    const { data, json } = yield* root
    const path = yield* Path.Path
    if (follow) yield* staying
    yield* tap({
      topic,
      from: Option.getOrElse(last, () => from),
      limit: Option.getOrUndefined(limit),
      follow,
      json
    }).pipe(Effect.provide(Layer.merge(topicsOf(path.resolve(data)), schemasOf(path.resolve(data)))))
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
  {
    processes: Flag.Boolean("processes").pipe(
      Flag.withDescription(
        "Show the services that share a Kafka, with their CPU time and memory, in place of the streams"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ processes }) {
    const { connectors, data, json } = yield* root
    const path = yield* Path.Path
    yield* showStatus({ connectors, data: path.resolve(data), json, processes })
  })
).pipe(Command.withDescription("Show state, lag and last problem of each stream"))

const auditCommand = Command.make(
  "audit",
  {
    connector: Flag.String("connector").pipe(
      Flag.withDescription("Only what concerns this connector, or the authorization of this name"),
      Flag.optional
    ),
    last: countOf("last").pipe(Flag.withDescription("So many events at most, the newest"), Flag.withDefault(50))
  },
  Effect.fn(function* ({ connector, last }) {
    const { data, json } = yield* root
    const path = yield* Path.Path
    const { showAudit } = yield* Effect.promise(() => import("./AuditCommand.ts"))
    yield* showAudit({ connector: Option.getOrUndefined(connector), last, json }).pipe(
      Effect.provide(auditOf(path.resolve(data)))
    )
  })
).pipe(Command.withDescription("Show what happened to tokens: who obtained, refreshed or lost which, and when"))
const consentCommand = Command.make(
  "consent",
  {
    connector: Argument.String("connector").pipe(
      Argument.withDescription("Identifier of the connector; may be left out if only one needs consent"),
      Argument.optional
    ),
    device: Flag.Boolean("device").pipe(
      Flag.withDescription("Show a code that is entered in a browser of any device"),
      Flag.withDefault(false)
    ),
    paste: Flag.Boolean("paste").pipe(
      Flag.withDescription("Take the code, or the whole address that the browser ended at, from the terminal"),
      Flag.withDefault(false)
    ),
    refreshToken: Flag.Boolean("refresh-token").pipe(
      Flag.withDescription("Take a refresh token that exists already from the terminal, and try it out"),
      Flag.withDefault(false)
    ),
    timeout: Flag.Int("timeout").pipe(
      Flag.withDescription("Seconds that are waited for the person"),
      Flag.withDefault(300)
    )
  },
  Effect.fn(function* ({ connector, device, paste, refreshToken, timeout }) {
    const { connectors, data, json } = yield* root
    const { NoConsent, runConsent } = yield* Effect.promise(() => import("./ConsentCommand.ts"))
    const { TokenTransport } = yield* Effect.promise(() => import("@tributary/oauth"))
    if ([device, paste, refreshToken].filter((is) => is).length > 1) {
      return yield* new NoConsent({ problem: "Choose one of --device, --paste and --refresh-token." })
    }
    const folder = yield* dataFolder(data)
    yield* runConsent({
      connectors,
      connector: Option.getOrUndefined(connector),
      how: device ? "device" : paste ? "paste" : refreshToken ? "refresh-token" : "browser",
      timeout: Duration.seconds(Math.max(1, timeout)),
      json
    }).pipe(Effect.provide(Layer.merge(authorizations(folder), TokenTransport.layer)))
  })
).pipe(Command.withDescription("Ask a person for the consent that a connector needs, and store what they grant"))

const revokeCommand = Command.make(
  "revoke",
  {
    connector: Argument.String("connector").pipe(
      Argument.withDescription("Identifier of the connector; may be left out if there is only one"),
      Argument.optional
    ),
    forget: Flag.Boolean("forget").pipe(
      Flag.withDescription(
        "Only forget the tokens here, without asking the server; works if they cannot be opened any more"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* ({ connector, forget }) {
    const { connectors, data, json } = yield* root
    const { runRevoke } = yield* Effect.promise(() => import("./Revoke.ts"))
    const { TokenTransport } = yield* Effect.promise(() => import("@tributary/oauth"))
    const folder = yield* dataFolder(data)
    yield* runRevoke({ connectors, connector: Option.getOrUndefined(connector), isOnlyForgotten: forget, json }).pipe(
      Effect.provide(Layer.merge(authorizations(folder), TokenTransport.layer))
    )
  })
).pipe(Command.withDescription("End a connector's authorization: revoke its tokens at the server and forget them"))

const tributary = root.pipe(
  Command.withSubcommands([
    dev,
    run,
    applyCommand,
    deleteCommand,
    validateCommand,
    ...askingCommands(root),
    tapCommand,
    queryCommand,
    statusCommand,
    auditCommand,
    consentCommand,
    revokeCommand,
    vaultCommand(root),
    loadCommand(root),
    connectorsCommand
  ])
)

const program = Command.run(tributary, { version: "0.1.0" }).pipe(
  // Wrong arguments are explained beside the result, never in its place.
  Effect.provide(
    Layer.merge(
      CliOutput.layerPresenter({
        present: (event) =>
          event._tag === "InvalidInvocation"
            ? Effect.gen(function* () {
                const formatter = yield* CliOutput.Formatter
                yield* Console.error(formatter.formatErrors(event.errors))
                yield* Console.error(`See tributary ${event.commandPath.slice(1).join(" ")} --help.`.replace("  ", " "))
              })
            : CliOutput.defaultPresenter.present(event)
      }),
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] })
    )
  )
)

/** Runs the command that the arguments name, as this process. */
export const runCommand = (): void => runProcess(program, { stopCode: () => signalled.code })
