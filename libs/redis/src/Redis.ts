import { Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { type ClientOptions, openConnection, type RedisConnection } from "./RedisConnection.ts"
import { RedisError } from "./RedisError.ts"

/** Certificates in PEM form. */
export interface RedisTls {
  /** Authority to trust instead of the well-known ones. */
  readonly ca?: string
  /** Certificate that this program shows, with its key. */
  readonly cert?: string
  readonly key?: Redacted.Redacted<string>
  /** Host name that the server's certificate must be for, if it is not that of the address. */
  readonly serverName?: string
}

export interface RedisOptions {
  /** `redis://host:port/database`, or `rediss://` for TLS. Without credentials. Port 6379 and database 0 by default. */
  readonly url: string
  readonly username?: string
  readonly password?: Redacted.Redacted<string>
  readonly tls?: RedisTls
  /** Beginning of the name of every key, `tributary:` by default. All processes that belong together use the same. */
  readonly prefix?: string
  /** Longest wait for a connection and for an answer, 2 seconds by default. */
  readonly timeout?: Duration.Input
}

const parse = Effect.fnUntraced(function* (options: RedisOptions) {
  const url = URL.parse(options.url)
  const wrong = (server: string, problem: string) => new RedisError({ server, problem, failureClass: "misconfigured" })
  if (url === null || !["redis:", "rediss:"].includes(url.protocol) || url.hostname === "") {
    // What stands there may hold a password, so it is not shown.
    return yield* wrong("(unknown)", "the address is not of the form redis://host:port/database (rediss:// for TLS).")
  }
  const server = `${url.hostname}:${url.port === "" ? 6379 : url.port}`
  if (url.username !== "" || url.password !== "") {
    return yield* wrong(server, "the address holds credentials. Give user and password as settings of their own.")
  }
  const database = url.pathname.replace(/^\//, "")
  if (!/^\d{0,9}$/.test(database)) {
    return yield* wrong(server, `the address ends in "${database}", where the number of a database was expected.`)
  }
  if (options.tls !== undefined && url.protocol === "redis:") {
    return yield* wrong(server, "TLS options are given, but the address begins with redis://. Write rediss://.")
  }
  const { ca, cert, key, serverName } = options.tls ?? {}
  const client: ClientOptions = {
    // The brackets of an IPv6 address belong to the URL only.
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    db: Number(database),
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: Redacted.value(options.password) }),
    ...(url.protocol === "redis:"
      ? {}
      : {
          tls: {
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key: Redacted.value(key) }),
            ...(serverName === undefined ? {} : { servername: serverName })
          }
        })
  }
  return { server, client }
})

/** A single Redis server, version 6.2 or later, or whatever speaks its language; no Redis Cluster. */
export class Redis extends Context.Service<
  Redis,
  {
    /** Address without credentials, for messages. */
    readonly server: string
    readonly prefix: string
    /** Opens a connection for one user of it. Returns at once; a server that is down shows in the requests. */
    readonly connect: Effect.Effect<RedisConnection, never, Scope.Scope>
  }
>()("@tributary/redis/Redis") {
  /** Fails if the options contradict themselves; does not need the server. */
  static readonly layer = (options: RedisOptions): Layer.Layer<Redis, RedisError> =>
    Layer.effect(
      Redis,
      Effect.map(parse(options), ({ client, server }) =>
        Redis.of({
          server,
          prefix: options.prefix ?? "tributary:",
          connect: openConnection(server, client, Duration.fromInputUnsafe(options.timeout ?? "2 seconds"))
        })
      )
    )
}
