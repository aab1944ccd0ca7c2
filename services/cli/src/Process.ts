import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Config, Duration, Effect, Exit, Layer, type LogLevel, Option, type Runtime } from "effect"
import { CliError } from "effect/cli"
// The edge of the process, as Screen.ts.
// oxlint-disable-next-line no-restricted-imports
import process from "node:process"
import { type ProcessFailed, untilFatal } from "./Fatal.ts"
import { Screen, screenLogger } from "./Screen.ts"

/** Exit codes; docs/guides/operating.md has them as a table. */
export const exitCodes = { done: 0, failed: 1, usage: 2, stopped: 130 } as const

const signals = ["SIGINT", "SIGTERM"] as const

/**
 * One Ctrl-C reaches a process more than once when npm or a shell passes it on, so only what comes later than this, in
 * milliseconds, counts as a second signal.
 */
const echo = 1_000

/**
 * Bounds the time that a stop takes: after the first signal the process ends by itself; after the drain deadline
 * (`TRIBUTARY_DRAIN_DEADLINE`, 20 seconds) or a second signal it ends all the same; so it does after something fatal. What was under way is then replayed at the
 * next start.
 */
const boundStop = Effect.gen(function* () {
  const deadline = yield* Config.Duration("TRIBUTARY_DRAIN_DEADLINE").pipe(Config.withDefault(Duration.seconds(20)))
  const giveUp = (why: string, code: number) => {
    process.stderr.write(
      `\n${why}: ended at once. What was committed is kept; the rest is done again at the next start.\n`
    )
    process.exit(code)
  }
  /** A timer of the process itself: by now the fibers are being interrupted. */
  const endAfterDeadline = (code: number, before = "") => {
    const why = `${before}The stop took longer than ${Duration.format(deadline)}`
    // oxlint-disable-next-line eslint/no-restricted-globals -- see above
    setTimeout(() => giveUp(why, code), Duration.toMillis(deadline)).unref()
  }
  let isFatal = false
  yield* Effect.sync(() => {
    let first: number | undefined
    const onSignal = () => {
      const now = performance.now()
      if (first === undefined) {
        first = now
        endAfterDeadline(exitCodes.stopped)
      } else if (now - first > echo) giveUp("Second signal", exitCodes.stopped)
    }
    for (const signal of signals) process.on(signal, onSignal)
  })
  return {
    /** What is broken so that the process cannot go on may well hold up its end too. */
    onFatal: ({ message }: ProcessFailed) =>
      Effect.sync(() => {
        if (!isFatal) endAfterDeadline(exitCodes.failed, `error: ${message}\n`)
        isFatal = true
      })
  }
})

/** What is wrong with an environment variable, without its value. */
const wrongVariable = ({ message }: Config.ConfigError): string => {
  const name = /\["(\w+)"/u.exec(message)?.[1]
  const expected = /Expected ([^\n]+)/u.exec(message)?.[1]
  return name === undefined || expected === undefined
    ? message
    : `the environment variable ${name} is wrong: expected ${expected}.`
}

const isUsage = (error: unknown): error is CliError.ShowHelp => CliError.isCliError(error) && error._tag === "ShowHelp"

/** An error of ours that says that the arguments are wrong. */
const saysUsage = (error: unknown): boolean => error instanceof Error && "isUsage" in error && error.isUsage === true

/** What a person reads when a command ends badly: the message of what failed, the trace of what should not happen. */
const report = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    yield* screen.progress("")
    if (Cause.hasInterruptsOnly(cause)) return
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    // Help and what is wrong with the arguments have been shown.
    if (isUsage(error)) return
    if (error instanceof Config.ConfigError) return yield* screen.note(`error: ${wrongVariable(error)}`)
    if (error instanceof Error && error.message !== "") return yield* screen.note(`error: ${error.message}`)
    yield* screen.note(`This should not have happened; please report it.\n${Cause.pretty(cause)}`)
  })

const codeOf = (exit: Exit.Exit<unknown, unknown>, stopCode: () => number): number => {
  if (Exit.isSuccess(exit)) return exitCodes.done
  if (Cause.hasInterruptsOnly(exit.cause)) return stopCode()
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (isUsage(error)) return error.errors.length === 0 ? exitCodes.done : exitCodes.usage
  return saysUsage(error) ? exitCodes.usage : exitCodes.failed
}

/**
 * Runs a program as this process, with screen, logs and the platform's services: interrupts it on SIGINT and SIGTERM, reports
 * how it failed, and ends the process with its exit code; `stopCode` is the code of a program that a signal ended.
 */
export const runProcess = <E>(
  program: Effect.Effect<void, E, Screen | NodeServices.NodeServices>,
  options: { readonly stopCode: () => number; readonly level?: LogLevel.LogLevel }
): void => {
  const teardown: Runtime.Teardown = (exit) => {
    // Not left to the event loop: idle sockets, which nobody needs any more, would hold the process for seconds. The empty
    // write comes after everything that was printed.
    process.stdout.write("", () => process.exit(codeOf(exit, options.stopCode)))
  }
  Effect.flatMap(boundStop, ({ onFatal }) => untilFatal(program, onFatal)).pipe(
    Effect.tapCause(report),
    Effect.provide(
      screenLogger(options.level ?? "Info").pipe(Layer.provideMerge(Layer.merge(Screen.layer, NodeServices.layer)))
    ),
    NodeRuntime.runMain({ teardown, disableErrorReporting: true })
  )
}
