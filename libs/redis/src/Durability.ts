import { Duration, Effect, Result } from "effect"
import { Redis } from "./Redis.ts"
import type { RedisConnection } from "./RedisConnection.ts"
import { RedisError } from "./RedisError.ts"

/** Longest wait for the disk of the server. With `appendfsync everysec` it syncs every second, or every two under load. */
const syncLimit = Duration.seconds(5)

/** Text of an answer of `INFO`, by field. */
const field = (info: string, name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1]

const isAtLeast = (version: string, [major, minor]: readonly [number, number]) => {
  const [left = 0, right = 0] = version.split(".").map(Number)
  return left > major || (left === major && right >= minor)
}

interface Settings {
  readonly session: number
  /** Whether `WAITAOF` tells when a write is on disk. */
  readonly canWait: boolean
}

/** Makes writes of one connection durable, as far as the server can; see `RedisTokenStore` for what is promised. */
export const makeDurability = Effect.fnUntraced(function* (connection: RedisConnection) {
  const { server } = yield* Redis
  const told = new Set<string>()
  let known: Settings | undefined

  const warn = (text: string) =>
    Effect.suspend(() => {
      if (told.has(text)) return Effect.void
      told.add(text)
      return Effect.logWarning(text).pipe(Effect.annotateLogs({ server }))
    })

  /** A setting of the server; `undefined` if it does not tell. */
  const setting = Effect.fnUntraced(function* (name: string) {
    const reply = yield* Effect.result(connection.command("CONFIG", ["GET", name]))
    if (Result.isFailure(reply) || !Array.isArray(reply.success)) return undefined
    const value: unknown = reply.success[1]
    return typeof value === "string" ? value : undefined
  })

  const look = Effect.fnUntraced(function* (session: number) {
    const info = String(yield* connection.command("INFO", []))
    const aof = yield* setting("appendonly")
    const fsync = yield* setting("appendfsync")
    const policy = yield* setting("maxmemory-policy")
    const memory = yield* setting("maxmemory")
    const version = field(info, "redis_version") ?? "0.0"
    const isOn = aof === undefined ? field(info, "aof_enabled") === "1" : aof === "yes"
    // Servers with another name that speak the language of Redis 7.2 give that number here, too.
    const canWait = isOn && isAtLeast(version, [7, 2])
    if (aof === undefined || fsync === undefined || policy === undefined) {
      yield* warn(
        `Redis does not tell its settings (CONFIG GET was refused), so it cannot be known whether it keeps tokens on disk and in memory; INFO says aof_enabled ${field(info, "aof_enabled") ?? "nothing"}. Expected: appendonly yes, appendfsync ${canWait ? "everysec or always" : "always"}, maxmemory-policy noeviction. Make sure that it is so, or let the user run \`CONFIG GET\` (ACL: +config|get).`
      )
    } else if (!isOn) {
      yield* warn(
        `Redis keeps no append-only file (appendonly ${aof}, expected yes), so tokens are lost when it stops, and every authorization with a refresh token then needs a new consent. Run \`CONFIG SET appendonly yes\` and write \`appendonly yes\` to its configuration file.`
      )
    } else if (fsync === "no" || (fsync === "everysec" && !canWait)) {
      yield* warn(
        `Redis writes to disk later than it answers (appendfsync ${fsync}, expected always${canWait || fsync === "no" ? " or, with Redis 7.2 or later, everysec" : `, as this is Redis ${version}`}), so a power cut can lose the newest tokens. Run \`CONFIG SET appendfsync always\` and write it to its configuration file${canWait ? "" : ", or use Redis 7.2 or later with everysec"}.`
      )
    }
    if (policy !== undefined && policy !== "noeviction") {
      const victims = policy.startsWith("allkeys") ? "tokens, leases and budgets" : "leases and budgets"
      yield* warn(
        `Redis removes keys when its memory is full (maxmemory-policy ${policy}, expected noeviction; maxmemory ${memory ?? "unknown"}), ${victims} among them. Run \`CONFIG SET maxmemory-policy noeviction\` and write it to its configuration file.`
      )
    }
    // With `appendfsync no` nobody says when the disk has it.
    known = { session, canWait: canWait && fsync !== "no" }
    return known
  })

  /** What this connection's server can do; asked once per connection, since another server may answer at the address. */
  const settings = Effect.flatMap(connection.session, (session) =>
    known?.session === session ? Effect.succeed(known) : look(session)
  )

  const cutOff = new RedisError({
    server,
    problem: "the connection was lost before it was certain that the change is on disk. It is tried again.",
    failureClass: "transient"
  })

  /** Makes a change and waits until it is durable. If it fails, the change may have been made, or may yet be. */
  const durably = <A>(change: Effect.Effect<A, RedisError>) =>
    Effect.gen(function* () {
      const { canWait, session } = yield* settings
      const result = yield* change
      if (canWait) {
        const reply = yield* connection.command(
          "WAITAOF",
          [1, 0, Duration.toMillis(syncLimit)],
          Duration.sum(syncLimit, Duration.seconds(1))
        )
        if (!Array.isArray(reply) || reply[0] !== 1) {
          return yield* new RedisError({
            server,
            problem: `it did not write a change to disk within ${Duration.format(syncLimit)}. Its disk is overloaded; it is tried again.`,
            failureClass: "transient"
          })
        }
      }
      // What was waited for are the writes of one connection: over a new one the answer means nothing.
      if ((yield* connection.session) !== session) return yield* cutOff
      return result
    })

  return { check: settings, durably }
})
