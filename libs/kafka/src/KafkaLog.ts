import {
  type Claim,
  type GroupOptions,
  Log,
  LogError,
  type NewRecord,
  partitionOf,
  type Transaction
} from "@tributary/log"
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { bearerLogin } from "./BearerLogin.ts"
import { Cluster } from "./Cluster.ts"
import { CompactedView } from "./CompactedView.ts"
import type { Compression } from "./Compression.ts"
import { diagnose } from "./Diagnosis.ts"
import { Fetching } from "./Fetching.ts"
import { GroupMember, type Work } from "./GroupMember.ts"
import { storedPositions } from "./GroupPositions.ts"
import { consumption, isKafkaClaim } from "./KafkaClaim.ts"
import { invalid, toLogError, unavailable, unusable } from "./KafkaFault.ts"
import { Router } from "./Routing.ts"
import { StallWatch } from "./StallWatch.ts"
import { sslOf, type Tls, tlsProblem } from "./Tls.ts"
import { infoOf, Topics } from "./Topics.ts"
import { TransactionalProducer } from "./TransactionalProducer.ts"

export type { Tls } from "./Tls.ts"

/** How to say who one is (SASL). */
export type Sasl =
  | {
      readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
      readonly username: string
      readonly password: Redacted.Redacted
    }
  | {
      readonly mechanism: "oauthbearer"
      /** Gives a valid token; asked for every connection, so it should be cached. */
      readonly token: Effect.Effect<Redacted.Redacted, LogError>
    }

export interface KafkaLogOptions {
  /** Brokers to begin with, as `host:port`. The others are found through them. */
  readonly brokers: ReadonlyArray<string>
  /** Name under which the brokers know this client, in their logs and quotas. */
  readonly clientId?: string
  readonly sasl?: Sasl
  /** `true`: TLS with the system's authorities. */
  readonly tls?: boolean | Tls
  /** Replicas of topics that are made; the brokers' default when it is left out. */
  readonly replication?: number
  /** How records are compressed; `zstd` by default. */
  readonly compression?: Compression
  /** A member that was not heard of for so long loses its partitions; 10 seconds by default. */
  readonly sessionTimeout?: Duration.Duration
  /** How often a member is heard of; a tenth of the session timeout by default. A rebalance takes about as long. */
  readonly heartbeatInterval?: Duration.Duration
  /**
   * The brokers abort a transaction that is open longer; 20 seconds by default. Readers wait behind one that hangs: at most
   * this, and the brokers' sweep (10 seconds) after it.
   */
  readonly transactionTimeout?: Duration.Duration
  /**
   * How long a claim's read may stand still although there are records; 60 seconds by default. Then it fails with
   * `LogUnavailable`; the second time in a row all connections are made anew. Only time inside of `read` counts.
   */
  readonly stallTimeout?: Duration.Duration
  /**
   * Called with what is wrong when reading stands still for the third time in a row, and each time after: only a new process
   * can help then. Nothing by default.
   */
  readonly onStalled?: (message: string) => Effect.Effect<void>
  /** How long a call is tried again while brokers are away; 30 seconds by default. Then it fails with `LogUnavailable`. */
  readonly patience?: Duration.Duration
}

const closeTimeout = "10 seconds"
/** How long opening waits for the first broker, milliseconds. */
const openPatience = 10_000

const parseBroker = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || !(port > 0 && port < 65_536) ? undefined : { host, port }
}

const saslOf = (sasl: Sasl, run: <A>(effect: Effect.Effect<A, LogError>) => Promise<A>): object =>
  sasl.mechanism === "oauthbearer"
    ? {
        mechanism: "oauthbearer",
        authenticationProvider: bearerLogin(async () => Redacted.value(await run(sasl.token)))
      }
    : { mechanism: sasl.mechanism, username: sasl.username, password: Redacted.value(sasl.password) }

const principalOf = ({ sasl, tls }: KafkaLogOptions): string | undefined => {
  if (sasl !== undefined) return sasl.mechanism === "oauthbearer" ? undefined : `User:${sasl.username}`
  return typeof tls === "object" && tls.certificate !== undefined ? undefined : "User:ANONYMOUS"
}

const openCluster = Effect.fnUntraced(function* (options: KafkaLogOptions) {
  const brokers: Array<{ readonly host: string; readonly port: number }> = []
  for (const text of options.brokers) {
    const broker = parseBroker(text)
    if (broker === undefined)
      return yield* unusable("Kafka", `"${text}" is not the address of a broker; expected host:port.`)
    brokers.push(broker)
  }
  if (brokers.length === 0) return yield* unusable("Kafka", "no brokers are given; name at least one as host:port.")
  if (typeof options.tls === "object") {
    const problem = tlsProblem(options.tls, yield* Clock.currentTimeMillis)
    if (problem !== undefined) return yield* unusable(options.brokers.join(","), problem)
  }
  const context = yield* Effect.context()
  const cluster = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Cluster({
          brokers,
          clientId: options.clientId ?? "tributary",
          sasl: options.sasl === undefined ? null : saslOf(options.sasl, Effect.runPromiseWith(context)),
          ssl: sslOf(options.tls),
          connectionTimeout: 5000,
          requestTimeout: 15_000,
          patience: options.patience === undefined ? 30_000 : Duration.toMillis(options.patience),
          principal: principalOf(options)
        })
    ),
    (cluster) => Effect.sync(() => cluster.close())
  )
  const explain = Effect.gen(function* () {
    const tls = options.tls !== undefined && options.tls !== false
    for (const { host, port } of brokers) {
      const verdict = yield* diagnose(host, port, tls)
      if (verdict !== undefined) return yield* unusable(`${host}:${port}`, `${verdict}.`)
    }
  })
  yield* cluster.call(cluster.refresh([])).pipe(
    Effect.timeoutOrElse({
      duration: openPatience,
      // The last try says why.
      orElse: () => Effect.andThen(explain, Effect.mapError(cluster.refresh([]), toLogError(cluster)))
    }),
    Effect.tapError((error) => (error.reason._tag === "LogUnavailable" ? explain : Effect.void)),
    Effect.mapError((error) => {
      const { reason } = error
      // What a broker does to requests of those who have not logged in; also one that is being stopped.
      const closed = reason._tag === "LogUnavailable" && error.message.includes("Closed connection")
      if (!closed || options.sasl !== undefined) return error
      const why = reason.cause instanceof Error ? reason.cause.message : "the connection was closed"
      return unavailable(new Error(`${why}; if the brokers ask for a login (SASL), name user and password`))
    })
  )
  return cluster
})

/** Producers of the log itself, taken for a call and given back: `publish` writes all its records or none. */
class Publishers {
  readonly #make: Effect.Effect<TransactionalProducer, LogError>
  readonly #idle: Array<TransactionalProducer> = []

  constructor(make: Effect.Effect<TransactionalProducer, LogError>) {
    this.#make = make
  }

  publish(records: ReadonlyArray<NewRecord>) {
    // Its id was nobody else's, so a producer that is fenced was forgotten by the brokers, after a long rest or a transaction
    // that took too long: nothing is written, and a new one writes it.
    return Effect.catchIf(
      this.#publish(records, true),
      (error) => error.reason._tag === "Fenced",
      () => this.#publish(records, false)
    )
  }

  #publish(records: ReadonlyArray<NewRecord>, again: boolean) {
    return Effect.acquireUseRelease(
      Effect.suspend(() => {
        const idle = again ? this.#idle.pop() : undefined
        return idle === undefined ? this.#make : Effect.succeed(idle)
      }),
      (producer) => producer.transact(records),
      (producer, exit) =>
        Effect.sync(() => {
          // Nobody else has its id, so a failure says nothing about the next call; a new one is simply made.
          if (Exit.isSuccess(exit)) this.#idle.push(producer)
        })
    )
  }
}

/** How work ends whose partition was taken away. */
const isFarewell = (reason: Cause.Reason<unknown>): boolean =>
  Cause.isInterruptReason(reason) ||
  (Cause.isFailReason(reason) && reason.error instanceof LogError && reason.error.reason._tag === "Fenced")

const make = Effect.fnUntraced(function* (options: KafkaLogOptions) {
  const cluster = yield* openCluster(options)
  const topics = new Topics(cluster, options.replication ?? -1)
  const fetching = new Fetching(cluster, topics)
  const router = new Router(topics)
  const stalls = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new StallWatch({
          cluster: cluster.options,
          timeout: Duration.toMillis(options.stallTimeout ?? Duration.seconds(60)),
          reset: () => cluster.reset(),
          onStalled: options.onStalled ?? (() => Effect.void)
        })
    ),
    (stalls) => Effect.sync(() => stalls.close())
  )
  const sessionTimeout = Duration.toMillis(options.sessionTimeout ?? Duration.seconds(10))
  const heartbeatInterval =
    options.heartbeatInterval === undefined ? sessionTimeout / 10 : Duration.toMillis(options.heartbeatInterval)
  const producing = {
    cluster,
    topics,
    router,
    compression: options.compression ?? "zstd",
    transactionTimeout: Duration.toMillis(options.transactionTimeout ?? Duration.seconds(20))
  }
  const take = Effect.fnUntraced(function* (transactionalId: string) {
    const producer = new TransactionalProducer(transactionalId, producing)
    yield* Effect.mapError(producer.take(), toLogError(cluster))
    return producer
  })
  const publishers = new Publishers(Effect.suspend(() => take(`tributary-publish-${randomUUID()}`)))
  const views = new Map<string, CompactedView>()
  const members = new Set<Effect.Effect<void>>()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(members, (end) => end, { discard: true, concurrency: "unbounded" }).pipe(
      Effect.timeoutOption(closeTimeout)
    )
  )

  const producer = Effect.fn("Log.producer")(function* (transactionalId: string) {
    const taken = yield* take(transactionalId)
    let closed = false
    yield* Effect.addFinalizer(() => Effect.sync(() => (closed = true)))
    const transact = Effect.fn("Producer.transact")(function* ({ consumed, records }: Transaction) {
      if (closed) return yield* invalid(`The producer ${transactionalId} was used after its scope had closed.`)
      if (consumed === undefined) return yield* taken.transact(records)
      const { claim, offset } = consumed
      if (!isKafkaClaim(claim)) return yield* invalid("The claim of the transaction was not made by this log.")
      if (!Number.isSafeInteger(offset) || offset < 0)
        return yield* invalid(`The offset to commit must be a whole number from 0 on, found ${offset}.`)
      return yield* taken.transact(records, claim[consumption](offset))
    })
    return { transact }
  })

  const latest = Effect.fn("Log.latest")(function* (name: string, key: Uint8Array) {
    const topic = yield* topics.topic(name)
    if (!topic.compacted)
      return yield* invalid(`Topic ${name} is not compacted: it has no last value of a key. Read it instead.`)
    const partition = partitionOf(key, topic.partitions.length)
    const place = `${topic.id}/${partition}`
    let view = views.get(place)
    if (view === undefined) {
      view = new CompactedView(cluster, topics, fetching, { topic: name, partition, id: topic.id })
      views.set(place, view)
    }
    return yield* view.latest(key)
  })

  // Without a span: it would be open for as long as the member lives.
  const consume = Effect.fnUntraced(function* <E, R>(
    { group, topics: subscribed }: GroupOptions,
    work: (claim: Claim) => Effect.Effect<never, E, R>
  ): Effect.fn.Return<never, LogError | E, R> {
    const fork = Effect.runForkWith(yield* Effect.context<R>())
    const failed = yield* Deferred.make<never, LogError | E>()
    const start = (claim: Claim, ended: () => boolean): Work => {
      // Not at once: the member is in the middle of its changes when it starts work.
      const fiber = fork(Effect.andThen(Effect.yieldNow, work(claim)))
      fiber.addObserver((exit) => {
        const asked = ended()
        // Work that fails while it is being revoked fails its member too, unless it learned just that: the partition is gone.
        if (Exit.isFailure(exit) && !(asked && exit.cause.reasons.every(isFarewell))) Deferred.doneUnsafe(failed, exit)
      })
      return { interrupt: () => fiber.interruptUnsafe(), await: Fiber.await(fiber) }
    }
    const member = yield* GroupMember.make({
      cluster,
      topics,
      fetching,
      stalls,
      group,
      subscribed,
      sessionTimeout,
      heartbeatInterval,
      start
    })
    return yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        const living = fork(Effect.onError(member.run(), (cause) => Deferred.failCause(failed, cause)))
        const end = Effect.andThen(member.endWork(), Effect.andThen(Fiber.interrupt(living), member.leave()))
        members.add(end)
        return end
      }),
      () => Deferred.await(failed),
      (end) => {
        members.delete(end)
        return end
      }
    )
  })

  return Log.of({
    ensureTopic: Effect.fn("Log.ensureTopic")((spec) => Effect.map(topics.ensure(spec), infoOf)),
    deleteTopic: Effect.fn("Log.deleteTopic")((name) => topics.delete(name)),
    topics: Effect.map(topics.all, (all) => all.map(infoOf)),
    offsets: Effect.fn("Log.offsets")((name) => topics.offsets(name)),
    publish: Effect.fn("Log.publish")((records) => publishers.publish(records)),
    producer,
    read: Effect.fn("Log.read")((topic, partition, from, limits) => fetching.read({ topic, partition }, from, limits)),
    latest,
    consume,
    positions: Effect.fn("Log.positions")(function* (group) {
      const stored = yield* cluster.call(storedPositions(cluster, group, null))
      const present = new Set((yield* topics.all).map((topic) => topic.name))
      return stored
        .filter((position) => present.has(position.topic))
        .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
        .map(({ metadata, offset, partition, topic }) => ({ topic, partition, offset, metadata }))
    })
  })
})

/**
 * The log on a Kafka cluster, 2.8 or later. Topic ids are the cluster's own. Its producers and group members speak Kafka's
 * protocol themselves, over the connections of kafkajs: so commits carry member and generation (also those inside
 * transactions, KIP-447), a producer that goes on after an error cannot fence its successor (KIP-360), and reads see neither
 * records of aborted transactions nor an end that lies before a commit.
 */
export const layer = (options: KafkaLogOptions): Layer.Layer<Log, LogError> => Layer.effect(Log, make(options))
