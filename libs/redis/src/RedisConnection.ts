import { Deferred, Duration, Effect, Exit } from "effect"
import { Redis as Client, type RedisOptions } from "ioredis"
import type { Script } from "./Script.ts"
import { RedisError, toRedisError } from "./RedisError.ts"

/** Options of the client library. */
export type ClientOptions = Omit<RedisOptions, "replyMapping">

/** One connection. Its requests are executed in the order in which they were made. */
export interface RedisConnection {
  /**
   * Sends one command. A request that failed in any other way than by an error that Redis answered may have been, and may
   * yet be, executed. Waits at most for the time limit for a connection, and again for the answer.
   */
  readonly command: (
    name: string,
    args: ReadonlyArray<string | number>,
    timeout?: Duration.Duration
  ) => Effect.Effect<unknown, RedisError>
  /** Runs a script; all of it or nothing. */
  readonly script: (
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Effect.Effect<unknown, RedisError>
  /** Grows with every new connection. Equal before and after some requests: all were made over one and the same. */
  readonly session: Effect.Effect<number, RedisError>
}

/** Opens a connection, which is made anew by itself for as long as the scope lives. */
export const openConnection = Effect.fnUntraced(function* (
  server: string,
  options: ClientOptions,
  limit: Duration.Duration
) {
  let sessions = 0
  let isReady = false
  /** Why the connection that is being made, or was made last, is no good. */
  let reason: RedisError | undefined
  /** Those who wait for the connection that is being made. */
  let outcome = Deferred.makeUnsafe<void, RedisError>()
  const settle = (exit: Exit.Exit<void, RedisError>) => {
    const waiting = outcome
    outcome = Deferred.makeUnsafe()
    Deferred.doneUnsafe(waiting, exit)
  }

  const client = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const settings: ClientOptions = {
        ...options,
        // Nothing is ever sent twice or later than it was meant to be: the callers decide what to do about a failure.
        autoResendUnfulfilledCommands: false,
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        // Commands answer LOADING themselves, which says more than a silent wait.
        enableReadyCheck: false,
        connectTimeout: Duration.toMillis(limit),
        retryStrategy: (times) => Math.min(50 * times, 500),
        reconnectOnError: (error) => error.message.startsWith("READONLY"),
        disableClientInfo: true,
        protocol: 2
      }
      const client = new Client(settings)
      client.on("connect", () => (reason = undefined))
      client.on("error", (error) => (reason = toRedisError(server, error)))
      client.on("ready", () => {
        // The client library goes on when the database could not be selected, and would use another one.
        if (reason !== undefined) return client.disconnect(true)
        sessions++
        isReady = true
        settle(Exit.void)
      })
      client.on("close", () => {
        isReady = false
        settle(Exit.fail(reason ?? toRedisError(server, new Error("Connection is closed."))))
      })
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )

  // A server without TLS may wait for the rest of what it does not understand, instead of refusing it.
  const orTls =
    options.tls === undefined ? "" : " If this stays, check whether it speaks TLS on this port; if not, write redis://."
  const late = (what: string, after: Duration.Duration, session: number, hint = "") =>
    Effect.suspend(() => {
      // Answers come in order, so nothing more is to be expected of this connection soon.
      if (session === sessions && (client.status === "ready" || client.status === "connect")) {
        isReady = false
        client.disconnect(true)
      }
      return new RedisError({
        server,
        problem: `${what} within ${Duration.format(after)}. It is overloaded, paused or cut off; a new connection is made.${hint}`,
        failureClass: "transient"
      })
    })

  const ready = Effect.suspend(() =>
    isReady
      ? Effect.void
      : Effect.timeoutOrElse(Deferred.await(outcome), {
          duration: limit,
          orElse: () => late("no connection could be made", limit, sessions, orTls)
        })
  )

  const answerWithin =
    (duration: Duration.Duration) =>
    <A>(request: Effect.Effect<A, RedisError>) =>
      Effect.suspend(() => {
        const session = sessions
        return Effect.timeoutOrElse(request, { duration, orElse: () => late("it did not answer", duration, session) })
      })

  const command: RedisConnection["command"] = (name, args, timeout = limit) =>
    Effect.andThen(
      ready,
      Effect.tryPromise({
        try: () => client.call(name, ...args),
        catch: (error) => toRedisError(server, error)
      }).pipe(answerWithin(timeout))
    )

  const script: RedisConnection["script"] = ({ sha, text }, keys, args) =>
    Effect.andThen(
      ready,
      Effect.tryPromise({
        try: () =>
          client.evalsha(sha, keys.length, ...keys, ...args).catch((error: unknown) => {
            if (error instanceof Error && error.message.startsWith("NOSCRIPT")) {
              return client.eval(text, keys.length, ...keys, ...args)
            }
            throw error
          }),
        catch: (error) => toRedisError(server, error)
      }).pipe(answerWithin(limit))
    )

  return { command, script, session: Effect.map(ready, () => sessions) } satisfies RedisConnection
})
