import { Config, Effect, Option, Redacted } from "effect"

/**
 * Servers that take the place of embedded parts, by environment. Each is chosen by itself: Kafka with the embedded ClickHouse is as
 * good as all or none of them.
 */
const settings = Config.all({
  /** `host:port,host:port` */
  brokers: Config.option(Config.String("TRIBUTARY_KAFKA_BROKERS")),
  replication: Config.option(Config.Int("TRIBUTARY_KAFKA_REPLICATION")),
  clickhouse: Config.option(Config.String("TRIBUTARY_CLICKHOUSE_URL")),
  clickhouseUser: Config.String("TRIBUTARY_CLICKHOUSE_USER").pipe(Config.withDefault("default")),
  clickhousePassword: Config.Redacted("TRIBUTARY_CLICKHOUSE_PASSWORD").pipe(Config.withDefault(Redacted.make(""))),
  redis: Config.option(Config.String("TRIBUTARY_REDIS_URL")),
  redisPassword: Config.option(Config.Redacted("TRIBUTARY_REDIS_PASSWORD"))
})

const filled = (value: Option.Option<string>): string | undefined =>
  Option.getOrUndefined(Option.filter(value, (text) => text.trim() !== ""))

/** What the environment says of servers; what it does not name is embedded. */
export const servers = Effect.map(settings, (given) => ({
  kafka: Option.map(Option.fromUndefinedOr(filled(given.brokers)), (brokers) => ({
    brokers: brokers.split(",").map((broker) => broker.trim()),
    ...Option.match(given.replication, { onNone: () => ({}), onSome: (replication) => ({ replication }) })
  })),
  clickhouse: Option.map(Option.fromUndefinedOr(filled(given.clickhouse)), (url) => ({
    url,
    user: given.clickhouseUser,
    password: given.clickhousePassword
  })),
  redis: Option.map(Option.fromUndefinedOr(filled(given.redis)), (url) => ({
    url,
    ...Option.match(given.redisPassword, { onNone: () => ({}), onSome: (password) => ({ password }) })
  }))
}))
