import { Config, Duration, Effect, FileSystem, Option, Redacted, Schema } from "effect"

/**
 * Servers that take the place of embedded parts, by environment. Each is chosen by itself: Kafka with the embedded ClickHouse is as
 * good as all or none of them.
 */
const settings = Config.all({
  /** `host:port,host:port` */
  brokers: Config.option(Config.String("TRIBUTARY_KAFKA_BROKERS")),
  replication: Config.option(Config.Int("TRIBUTARY_KAFKA_REPLICATION")),
  sessionTimeout: Config.option(Config.Duration("TRIBUTARY_KAFKA_SESSION_TIMEOUT")),
  sasl: Config.option(Config.Literals(["plain", "scram-sha-256", "scram-sha-512"], "TRIBUTARY_KAFKA_SASL")),
  username: Config.option(Config.String("TRIBUTARY_KAFKA_USERNAME")),
  password: Config.option(Config.Redacted("TRIBUTARY_KAFKA_PASSWORD")),
  /** `true`, or the path of a file with the certificates of the authorities to trust (PEM). */
  tls: Config.option(Config.String("TRIBUTARY_KAFKA_TLS")),
  /** Paths of the client's own certificate and key (PEM), where the brokers ask for one. */
  certificate: Config.option(Config.String("TRIBUTARY_KAFKA_TLS_CERTIFICATE")),
  key: Config.option(Config.String("TRIBUTARY_KAFKA_TLS_KEY")),
  clickhouse: Config.option(Config.String("TRIBUTARY_CLICKHOUSE_URL")),
  clickhouseUser: Config.String("TRIBUTARY_CLICKHOUSE_USER").pipe(Config.withDefault("default")),
  clickhousePassword: Config.Redacted("TRIBUTARY_CLICKHOUSE_PASSWORD").pipe(Config.withDefault(Redacted.make(""))),
  redis: Config.option(Config.String("TRIBUTARY_REDIS_URL")),
  redisPassword: Config.option(Config.Redacted("TRIBUTARY_REDIS_PASSWORD")),
  registry: Config.option(Config.String("TRIBUTARY_REGISTRY_URL")),
  registryUser: Config.option(Config.String("TRIBUTARY_REGISTRY_USER")),
  registryPassword: Config.option(Config.Redacted("TRIBUTARY_REGISTRY_PASSWORD"))
})

/**
 * A worker that died is missed so soon, and its connectors and partitions then go to others within seconds. It is the least
 * that brokers allow by default (`group.min.session.timeout.ms`).
 */
const defaultSessionTimeout = Duration.seconds(6)

const filled = (value: Option.Option<string>): string | undefined =>
  Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== ""))

/** A setting of a server that is wrong or goes with another that is missing. */
export class WrongServer extends Schema.TaggedError<WrongServer>()("WrongServer", {
  variable: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `The environment variable ${this.variable} ${this.problem}`
  }
}

type Given = Config.Success<typeof settings>

const pem = Effect.fnUntraced(function* (variable: string, path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFileString(path).pipe(
    Effect.mapError(
      (error) =>
        new WrongServer({
          variable,
          problem: `names the file ${path}, which cannot be read (${error.reason._tag}). Expected a file in PEM form.`
        })
    )
  )
})

const tlsOf = Effect.fnUntraced(function* (given: Given) {
  const tls = filled(given.tls)
  const certificate = filled(given.certificate)
  const key = filled(given.key)
  if (tls === undefined || tls === "false") return {}
  if ((certificate === undefined) !== (key === undefined)) {
    return yield* new WrongServer({
      variable: "TRIBUTARY_KAFKA_TLS_CERTIFICATE",
      problem: "goes with TRIBUTARY_KAFKA_TLS_KEY. Set both, or none."
    })
  }
  return {
    tls: {
      ...(tls === "true" ? {} : { ca: yield* pem("TRIBUTARY_KAFKA_TLS", tls) }),
      ...(certificate === undefined || key === undefined
        ? {}
        : {
            certificate: yield* pem("TRIBUTARY_KAFKA_TLS_CERTIFICATE", certificate),
            key: Redacted.make(yield* pem("TRIBUTARY_KAFKA_TLS_KEY", key))
          })
    }
  }
})

const saslOf = Effect.fnUntraced(function* ({ password, sasl, username }: Given) {
  const name = filled(username)
  if (Option.isNone(sasl)) {
    if (name === undefined) return {}
    return yield* new WrongServer({
      variable: "TRIBUTARY_KAFKA_USERNAME",
      problem: "goes with TRIBUTARY_KAFKA_SASL: plain, scram-sha-256 or scram-sha-512."
    })
  }
  if (name === undefined || Option.isNone(password)) {
    return yield* new WrongServer({
      variable: "TRIBUTARY_KAFKA_SASL",
      problem: "goes with TRIBUTARY_KAFKA_USERNAME and TRIBUTARY_KAFKA_PASSWORD. Set them too."
    })
  }
  return { sasl: { mechanism: sasl.value, username: name, password: password.value } }
})

const kafkaOf = Effect.fnUntraced(function* (given: Given) {
  const brokers = filled(given.brokers)
  if (brokers === undefined) return Option.none()
  if (brokers.includes("@")) {
    return yield* new WrongServer({
      variable: "TRIBUTARY_KAFKA_BROKERS",
      problem:
        "holds an @, as an address with credentials has. Expected host:port,host:port; credentials go into TRIBUTARY_KAFKA_SASL, TRIBUTARY_KAFKA_USERNAME and TRIBUTARY_KAFKA_PASSWORD."
    })
  }
  return Option.some({
    brokers: brokers.split(",").map((broker) => broker.trim()),
    ...Option.match(given.replication, { onNone: () => ({}), onSome: (replication) => ({ replication }) }),
    sessionTimeout: Option.getOrElse(given.sessionTimeout, () => defaultSessionTimeout),
    ...(yield* saslOf(given)),
    ...(yield* tlsOf(given))
  })
})

const secretParameter = /^(?:user(?:name)?|pass(?:word)?|(?:access_)?token|api_?key|secret)$/iu

/**
 * An address over HTTP. Addresses are shown in messages, logs and health, so none may hold a secret; what stands there is not
 * shown here either.
 */
const addressOf = Effect.fnUntraced(function* (variable: string, address: string, instead: string) {
  const wrong = (problem: string) => new WrongServer({ variable, problem })
  const url = URL.parse(address)
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    return yield* wrong("is not of the form http://host:port (https:// for TLS).")
  }
  if (url.username !== "" || url.password !== "") {
    return yield* wrong(`holds credentials. Take them out, and set ${instead}.`)
  }
  if ([...url.searchParams.keys()].some((name) => secretParameter.test(name))) {
    return yield* wrong(`holds credentials behind its question mark. Take them out, and set ${instead}.`)
  }
  return address
})

/** A part of an address in which reserved characters are written as %xx; as it stands where they are not. */
const unescaped = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** An address of Redis is usual with its credentials in it; they are taken out of it before anyone can show it. */
const redisOf = Effect.fnUntraced(function* ({ redis, redisPassword }: Given) {
  const variable = "TRIBUTARY_REDIS_URL"
  const address = filled(redis)
  if (address === undefined) return Option.none()
  const url = URL.parse(address)
  if (url === null || !["redis:", "rediss:"].includes(url.protocol) || url.hostname === "") {
    return yield* new WrongServer({
      variable,
      problem: "is not of the form redis://host:port/database (rediss:// for TLS)."
    })
  }
  const username = unescaped(url.username)
  const password = unescaped(url.password)
  const other = Option.filter(redisPassword, (given) => Redacted.value(given) !== "")
  if (password !== "" && Option.isSome(other)) {
    return yield* new WrongServer({
      variable,
      problem: "holds a password, and TRIBUTARY_REDIS_PASSWORD is another. Take one of them away."
    })
  }
  url.username = ""
  url.password = ""
  const given = password === "" ? Option.getOrUndefined(other) : Redacted.make(password)
  return Option.some({
    url: url.href,
    ...(username === "" ? {} : { username }),
    ...(given === undefined ? {} : { password: given })
  })
})

/** What the environment says of servers; what it does not name is embedded. */
export const servers = Effect.gen(function* () {
  const given = yield* settings
  const ofServer = (name: "CLICKHOUSE" | "REGISTRY", setting: Option.Option<string>) => {
    const address = filled(setting)
    const instead = `TRIBUTARY_${name}_USER and TRIBUTARY_${name}_PASSWORD`
    return address === undefined
      ? Effect.succeedNone
      : Effect.asSome(addressOf(`TRIBUTARY_${name}_URL`, address.trim(), instead))
  }
  const clickhouse = yield* ofServer("CLICKHOUSE", given.clickhouse)
  const registry = yield* ofServer("REGISTRY", given.registry)
  return {
    kafka: yield* kafkaOf(given),
    clickhouse: Option.map(clickhouse, (url) => ({
      url,
      user: given.clickhouseUser,
      password: given.clickhousePassword
    })),
    redis: yield* redisOf(given),
    registry: Option.map(registry, (url) => ({
      url,
      ...Option.match(given.registryUser, { onNone: () => ({}), onSome: (user) => ({ user }) }),
      ...Option.match(given.registryPassword, { onNone: () => ({}), onSome: (password) => ({ password }) })
    }))
  }
})
