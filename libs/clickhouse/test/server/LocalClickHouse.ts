import { Effect, Exit, Redacted, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { kill } from "node:process"
import type { Endpoint } from "../../src/Endpoint.ts"
import { type ServerProcess, startServer } from "../../src/ServerProcess.ts"
import type { WarehouseError } from "../../src/WarehouseError.ts"

/** A ClickHouse server as a process of its own that can be killed and started again on its data. */
export interface LocalClickHouse extends Endpoint {
  /** Process id while it runs. */
  readonly pid: number | undefined
  /** Starts it on its data, at the same port with the same password, and waits until it answers; does nothing while it runs. */
  readonly start: Effect.Effect<void, WarehouseError>
  /** Ends it at once, as a crash does. */
  readonly kill9: Effect.Effect<void>
  /** Ends it in order. */
  readonly stop: Effect.Effect<void>
  /** Stands still without closing connections (SIGSTOP), until `resume`. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

/**
 * Starts the ClickHouse server inside npm's `chdb` on a directory, at `port` or a free one. Unlike the embedded server nobody
 * starts it again but the test. It ends with the scope, and with this process however that ends.
 */
export const startClickHouse = Effect.fn("LocalClickHouse.start")(function* (options: {
  readonly directory: string
  readonly port?: number
  readonly memoryBytes?: number
}): Effect.fn.Return<LocalClickHouse, WarehouseError, Scope.Scope> {
  const outer = yield* Effect.scope
  const password = Redacted.make(randomBytes(24).toString("base64url"), { label: "ClickHouse password" })
  let running: { readonly scope: Scope.Closeable; readonly server: ServerProcess } | undefined

  const launch = Effect.fnUntraced(function* (port: number | undefined) {
    const scope = yield* Scope.fork(outer)
    const server = yield* startServer({ ...options, password, ...(port === undefined ? {} : { port }) }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    running = { scope, server }
    return server.endpoint
  })
  /** Sends the signal to the server and says whether it was there; 0 only asks. */
  const send = (name: NodeJS.Signals | 0): boolean => {
    try {
      return running !== undefined && kill(running.server.pid, name)
    } catch {
      return false
    }
  }
  const signal = (name: NodeJS.Signals) => Effect.sync(() => void send(name))
  const close = Effect.suspend(() => {
    const { scope } = running ?? {}
    running = undefined
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  const exited = Effect.suspend(() => running?.server.exited ?? Effect.void)
  const endpoint = yield* launch(options.port)
  const port = Number(new URL(endpoint.url).port)
  return {
    ...endpoint,
    get pid() {
      return send(0) ? running?.server.pid : undefined
    },
    start: Effect.suspend(() => (send(0) ? Effect.void : Effect.andThen(close, Effect.asVoid(launch(port))))),
    kill9: Effect.uninterruptible(signal("SIGKILL").pipe(Effect.andThen(exited), Effect.andThen(close))),
    stop: Effect.andThen(signal("SIGCONT"), close),
    pause: signal("SIGSTOP"),
    resume: signal("SIGCONT")
  }
})
