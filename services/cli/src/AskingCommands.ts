import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { countOf } from "./CountFlag.ts"
import { dataFolder } from "./DataFolder.ts"
import { authorizations } from "./Engine.ts"

/** Which connector a command looks at. */
const chosen = Argument.String("connector").pipe(
  Argument.withDescription("Connector file, or identifier of a connector; may be left out if there is only one"),
  Argument.optional
)

export const onCassette = Flag.String("replay").pipe(
  Flag.withDescription("Ask nobody: take the answers from this cassette of tributary record"),
  Flag.optional
)

/** Runs a command that asks APIs: on a cassette if one is named, else with the tokens of the data folder. */
const asking = <A, E, R>(work: Effect.Effect<A, E, R>, cassette: Option.Option<string>, data: string) =>
  Effect.gen(function* () {
    if (Option.isNone(cassette)) return yield* Effect.provide(work, authorizations(yield* dataFolder(data)))
    const { replayOf } = yield* Effect.promise(() => import("./Replay.ts"))
    return yield* Effect.provide(work, replayOf(cassette.value))
  })

/** What the root command gives. */
interface Shared {
  readonly connectors: string
  readonly data: string
  readonly json: boolean
}

/** The commands that ask an API, or a cassette in its place, and publish nothing. */
export const askingCommands = <E, R>(root: Effect.Effect<Shared, E, R>) => {
  const checking = Command.make(
    "check",
    {
      connector: chosen,
      stream: Argument.String("stream").pipe(
        Argument.withDescription("Only this stream; default: all of them"),
        Argument.optional
      ),
      replay: onCassette
    },
    Effect.fn(function* ({ connector, replay, stream }) {
      const { connectors, data, json } = yield* root
      const { check } = yield* Effect.promise(() => import("./Check.ts"))
      const work = check({
        connectors,
        connector: Option.getOrUndefined(connector),
        stream: Option.getOrUndefined(stream),
        json
      })
      yield* asking(work, replay, data)
    })
  ).pipe(
    Command.withDescription("Try a connector step by step: address, TLS, token, scopes, and one record of each stream")
  )

  const recording = Command.make(
    "record",
    {
      connector: chosen,
      to: Flag.String("to").pipe(Flag.withDescription("File to write: a cassette for tests and for --replay")),
      stream: Flag.String("stream").pipe(Flag.withDescription("Only this stream"), Flag.optional),
      answers: countOf("answers").pipe(
        Flag.withDescription("Most answers to keep of each stream; after them it looks as if there were no more"),
        Flag.withDefault(100)
      ),
      body: countOf("body").pipe(
        Flag.withDescription("Largest body to keep, in bytes, without its encoding"),
        Flag.withDefault(16_777_216)
      ),
      keep: Flag.String("keep").pipe(
        Flag.withDescription("Reference that is no secret (env:REGION), to be left in; may be given more than once"),
        Flag.between(0, 100)
      ),
      overwrite: Flag.Boolean("overwrite").pipe(
        Flag.withDescription("Replace a file that is there"),
        Flag.withDefault(false)
      )
    },
    Effect.fn(function* ({ answers, body, connector, keep, overwrite, stream, to }) {
      const { connectors, data, json } = yield* root
      const { record } = yield* Effect.promise(() => import("./Record.ts"))
      yield* record({
        connectors,
        connector: Option.getOrUndefined(connector),
        stream: Option.getOrUndefined(stream),
        to,
        answers,
        body,
        keep,
        overwrite,
        json
      }).pipe(Effect.provide(authorizations(yield* dataFolder(data))))
    })
  ).pipe(Command.withDescription("Write down what an API answers, secrets cut out, to run the connector on it offline"))

  const replaying = Command.make(
    "replay",
    {
      connector: chosen,
      from: Flag.String("from").pipe(Flag.withDescription("Cassette of tributary record")),
      stream: Flag.String("stream").pipe(Flag.withDescription("Only this stream"), Flag.optional)
    },
    Effect.fn(function* ({ connector, from, stream }) {
      const { connectors, json } = yield* root
      const { replay, replayOf } = yield* Effect.promise(() => import("./Replay.ts"))
      yield* replay({
        connectors,
        connector: Option.getOrUndefined(connector),
        stream: Option.getOrUndefined(stream),
        json
      }).pipe(Effect.provide(replayOf(from)))
    })
  ).pipe(Command.withDescription("Read a connector's streams from a cassette and say what comes; ask nobody"))

  const previewing = Command.make(
    "preview",
    {
      connector: chosen,
      stream: Flag.String("stream").pipe(Flag.withDescription("Only this stream"), Flag.optional),
      limit: countOf("limit").pipe(Flag.withDescription("Records to show per stream"), Flag.withDefault(3)),
      detect: Flag.Boolean("detect").pipe(
        Flag.withDescription(
          "Look for records, paging, key and cursor of every stream; default: of those without pagination"
        ),
        Flag.withDefault(false)
      ),
      table: Flag.Boolean("table").pipe(
        Flag.withDescription(
          "Start the folder's server to compare with the tables that are there; one that runs is asked anyway"
        ),
        Flag.withDefault(false)
      ),
      replay: onCassette
    },
    Effect.fn(function* ({ connector, detect, limit, replay, stream, table }) {
      const { connectors, data, json } = yield* root
      const { preview } = yield* Effect.promise(() => import("./Preview.ts"))
      const { tablesThere } = yield* Effect.promise(() => import("./TablesThere.ts"))
      const work = Effect.gen(function* () {
        const tables = Option.isSome(replay) ? undefined : yield* tablesThere(data, table)
        yield* preview({
          connectors,
          connector: Option.getOrUndefined(connector),
          stream: Option.getOrUndefined(stream),
          limit,
          detect,
          tables,
          json
        })
      }).pipe(Effect.scoped)
      yield* asking(work, replay, data)
    })
  ).pipe(Command.withDescription("Fetch one page of each stream and show its records and tables; publish nothing"))

  const discovering = Command.make(
    "discover",
    {
      connector: chosen,
      stream: Flag.String("stream").pipe(Flag.withDescription("Only the schema of this stream"), Flag.optional),
      pages: countOf("pages").pipe(
        Flag.withDescription("Pages of each stream to look at; 0: only ask which streams there are"),
        Flag.withDefault(3)
      ),
      as: Flag.Literals("as", ["yaml", "json-schema", "clickhouse"]).pipe(
        Flag.withDescription(
          "How schemas are shown: the connector file's, JSON Schema, or the table that would be made"
        ),
        Flag.withDefault("yaml")
      ),
      write: Flag.Boolean("write").pipe(
        Flag.withDescription("Write the streams that streams_from finds into the connector's file"),
        Flag.withDefault(false)
      ),
      replay: onCassette
    },
    Effect.fn(function* ({ as, connector, pages, replay, stream, write }) {
      const { connectors, data, json } = yield* root
      const { discover } = yield* Effect.promise(() => import("./Discover.ts"))
      const work = discover({
        connectors,
        connector: Option.getOrUndefined(connector),
        stream: Option.getOrUndefined(stream),
        pages,
        as,
        write,
        json
      })
      yield* asking(work, replay, data)
    })
  ).pipe(Command.withDescription("Find out which streams an API has, and the types of their records"))

  return [checking, discovering, previewing, recording, replaying] as const
}
