import { Clock, Data, Effect, Fiber, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { closeSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { env, execPath, kill } from "node:process"

/** Ends a process with the one that started it, however that ends; only Linux can do that. */
export const withParent: ReadonlyArray<string> =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "true"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig", "KILL"]
    : []

/** What any process needs of the environment that this one runs in. */
export const inherited = (from: Readonly<Record<string, string | undefined>>): Record<string, string> => {
  const names = ["PATH", "HOME", "TMPDIR", "LANG", "NODE_EXTRA_CA_CERTS", "NODE_COMPILE_CACHE", "MALLOC_ARENA_MAX"]
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])))
}

/** Starts a Node program whose output goes to the end of a file. */
export const spawnNode = (
  args: ReadonlyArray<string>,
  options: { readonly env: Readonly<Record<string, string>>; readonly log: string; readonly head?: string }
): ChildProcess => {
  const out = openSync(options.log, "a")
  if (options.head !== undefined) writeSync(out, `${options.head}\n`)
  const [command, ...rest] = [...withParent, execPath, ...args]
  const child = spawn(command ?? execPath, rest, {
    stdio: ["ignore", out, out],
    // Ctrl-C in a terminal is for the process that started it, which then ends it.
    detached: true,
    env: { ...inherited(env), ...options.env }
  })
  closeSync(out)
  return child
}

export const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const exitOf = (child: ChildProcess): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const end = (code: number | null, signal: string | null) =>
      resume(Effect.succeed(signal === null ? `code ${code}` : signal))
    if (hasEnded(child)) return end(child.exitCode, child.signalCode)
    child.once("exit", end)
    child.once("error", (error) => resume(Effect.succeed(error.message)))
  })

/** A command of the platform that failed or did not end. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly message: string }> {}

/** Runs a Node program to its end, for at most three minutes. */
export const runToEnd = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: { readonly env: Readonly<Record<string, string>>; readonly log: string }
) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawnNode(args, options)),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const how = yield* exitOf(child).pipe(
    Effect.timeoutOrElse({ duration: "3 minutes", orElse: () => Effect.succeed("no end within three minutes") })
  )
  if (how !== "code 0") {
    return yield* new CommandFailed({ message: `${args.join(" ")}: ${how}; see ${options.log}` })
  }
}, Effect.scoped)

/** An end of a worker that nobody asked for. */
export interface Death {
  readonly worker: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly how: string
}

/** A process of the platform that is started again whenever it ends. */
export interface Worker {
  readonly name: string
  readonly stage: string
  /** File that all its lives write to. */
  readonly log: string
  /** Process id while it runs. */
  readonly pid: () => number | undefined
  /** How often it was started. */
  readonly starts: () => number
  /** Ends it at once, as a crash does; `false` when it does not run. */
  readonly kill9: Effect.Effect<boolean>
  /** SIGSTOP: it stands still, with its connections open; `false` when it does not run. */
  readonly freeze: Effect.Effect<boolean>
  readonly thaw: Effect.Effect<void>
  /** Ends it at once and starts it no more. */
  readonly lose: Effect.Effect<void>
  /** Ends it in order (SIGTERM), by force if that takes longer than 30 seconds, and starts it no more. Says how it ended. */
  readonly stop: Effect.Effect<string>
}

export interface WorkerOptions {
  readonly name: string
  readonly stage: string
  /** Arguments of Node. */
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  /** Folder of the logs. */
  readonly logs: string
  /** Called for each end that was not asked for. */
  readonly onDeath?: (death: Death) => void
}

const restartDelay = "1 second"
const stopTimeout = "30 seconds"

/** Starts a worker; it ends with the scope. */
export const startWorker = Effect.fnUntraced(function* (
  options: WorkerOptions
): Effect.fn.Return<Worker, never, Scope.Scope> {
  const { name, stage } = options
  const log = join(options.logs, `${name}.log`)
  let child: ChildProcess | undefined
  let starts = 0
  let isStopping = false
  /** The process whose end was asked for. */
  let condemned: ChildProcess | undefined

  const signal = (name: NodeJS.Signals) =>
    Effect.sync(() => {
      if (child === undefined || hasEnded(child) || child.pid === undefined) return false
      return kill(child.pid, name)
    })
  const live = Effect.gen(function* () {
    for (;;) {
      starts++
      const now = yield* Clock.currentTimeMillis
      const own = spawnNode(options.args, { env: options.env, log, head: JSON.stringify({ start: starts, at: now }) })
      child = own
      const how = yield* exitOf(own)
      if (isStopping) return
      if (condemned !== own) options.onDeath?.({ worker: name, at: yield* Clock.currentTimeMillis, how })
      yield* Effect.sleep(restartDelay)
    }
  })
  const fiber = yield* Effect.forkScoped(live, { startImmediately: true })
  const end = (name: NodeJS.Signals) =>
    Effect.suspend(() => {
      condemned = child
      return signal(name)
    })
  const kill9 = end("SIGKILL")
  const thaw = Effect.asVoid(signal("SIGCONT"))
  const stop = Effect.suspend(() => {
    isStopping = true
    const last = child
    if (last === undefined || hasEnded(last)) return Effect.as(Fiber.interrupt(fiber), "not running")
    return thaw.pipe(
      Effect.andThen(end("SIGTERM")),
      Effect.andThen(exitOf(last)),
      Effect.timeoutOrElse({
        duration: stopTimeout,
        orElse: () => Effect.as(kill9, `killed, as it did not end within ${stopTimeout}`)
      })
    )
  })
  const lose = Effect.suspend(() => {
    isStopping = true
    const last = child
    return last === undefined ? Effect.void : Effect.asVoid(Effect.andThen(kill9, exitOf(last)))
  })
  yield* Effect.addFinalizer(() => lose)
  return {
    name,
    stage,
    log,
    pid: () => (child === undefined || hasEnded(child) ? undefined : child.pid),
    starts: () => starts,
    kill9,
    freeze: signal("SIGSTOP"),
    thaw,
    lose,
    stop
  }
})
