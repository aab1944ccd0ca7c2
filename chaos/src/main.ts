/**
 * The chaos run: `node chaos/src/main.ts --minutes 10 --seed 7 --records 1000000`. Ends with 0 when every record is where it
 * belongs, once. docs/guides/chaos.md says what it does.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Duration, Effect, Exit, Logger, Schema } from "effect"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { argv } from "node:process"
import { parseArgs } from "node:util"
import { type ChaosOptions, runChaos } from "./Run.ts"
import { sabotages } from "./Sabotage.ts"

/** The run found that something is not as it must be; what, has been printed. */
class NotExact extends Schema.TaggedError<NotExact>()("NotExact", { directory: Schema.String }) {
  override get message(): string {
    return `The run failed. Logs of all processes and every difference are in ${this.directory}.`
  }
}

class WrongArguments extends Schema.TaggedError<WrongArguments>()("WrongArguments", { problem: Schema.String }) {
  override get message(): string {
    return `${this.problem}\n${usage}`
  }
}

const Natural = Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))
const Arguments = Schema.Struct({
  minutes: Schema.FiniteFromString.check(Schema.isGreaterThan(0)),
  seed: Schema.optional(Natural),
  records: Schema.optional(Natural),
  pause: Schema.FiniteFromString.check(Schema.isGreaterThan(0)),
  calm: Schema.FiniteFromString.check(Schema.isGreaterThan(0)),
  directory: Schema.optional(Schema.String),
  keep: Schema.Boolean,
  sabotage: Schema.optional(Schema.Literals(sabotages))
})

const usage = `node chaos/src/main.ts [options]
  --minutes N     how long faults are made (default 10)
  --seed N        what the faults follow from (default: the time)
  --records N     records of all APIs together (default 100,000 for each minute)
  --pause N       seconds between two faults, on average (default 4)
  --calm N        seconds without faults at first (default 20)
  --directory D   where data and logs are kept (default: a temporary folder)
  --keep          keep data and logs also of a good run
  --sabotage K    damage the outcome, which must be found: ${sabotages.join(", ")}`

/** Records that are read in a minute, unless the arguments say how many there are. */
const recordsPerMinute = 100_000

const program = Effect.gen(function* () {
  const given = yield* Effect.try({
    try: () =>
      parseArgs({
        args: argv.slice(2),
        options: {
          minutes: { type: "string", default: "10" },
          seed: { type: "string" },
          records: { type: "string" },
          pause: { type: "string", default: "4" },
          calm: { type: "string", default: "20" },
          directory: { type: "string" },
          keep: { type: "boolean", default: false },
          sabotage: { type: "string" }
        }
      }).values,
    catch: (cause) => new WrongArguments({ problem: cause instanceof Error ? cause.message : String(cause) })
  })
  const values = yield* Schema.decodeUnknownEffect(Arguments)(given).pipe(
    Effect.mapError(({ message }) => new WrongArguments({ problem: message }))
  )
  const seed = values.seed ?? (yield* Clock.currentTimeMillis) % 1_000_000
  const directory = yield* Effect.sync(() => {
    if (values.directory === undefined) return mkdtempSync(join(tmpdir(), "tributary-chaos-"))
    mkdirSync(values.directory, { recursive: true })
    return resolve(values.directory)
  })
  const options: ChaosOptions = {
    seed,
    lasts: Duration.minutes(values.minutes),
    records: values.records ?? Math.round(recordsPerMinute * values.minutes),
    pause: Duration.seconds(values.pause),
    calm: Duration.seconds(values.calm),
    directory,
    sabotage: values.sabotage
  }
  yield* Console.log(
    `chaos: seed ${seed}, ${options.records} records, faults for ${Duration.format(options.lasts)}, in ${directory}`
  )
  // Every wait has a bound of its own; this is for what nobody thought of.
  const bound = Duration.sum(Duration.minutes(12), Duration.times(options.lasts, 2))
  const isExact = yield* runChaos(options).pipe(
    Effect.timeout(bound),
    Effect.onExit((exit) =>
      Exit.isSuccess(exit) && exit.value
        ? Effect.void
        : Console.log(`seed ${seed}; logs are in ${join(directory, "logs")}`)
    )
  )
  if (!isExact) return yield* new NotExact({ directory })
  if (!values.keep) yield* Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
})

NodeRuntime.runMain(Effect.provide(program, Logger.layer([Logger.consolePretty()])))
