import type { LogError } from "@tributary/log"
import { Clock, Duration, Effect } from "effect"
import {
  type CoordinatorKind,
  findCoordinator,
  metadata,
  type Metadata,
  type NodeAddress,
  type TopicMetadata
} from "./AdminRequests.ts"
import { Code } from "./Code.ts"
import { isTransient, type KafkaFault, type Needs, Refused, toLogError, Unreachable } from "./KafkaFault.ts"
import { Link, type LinkOptions, TooOld } from "./Link.ts"
import type { Request } from "./Request.ts"
import { explainTls } from "./Tls.ts"

export interface ClusterOptions extends LinkOptions {
  readonly brokers: ReadonlyArray<{ readonly host: string; readonly port: number }>
  /** How long a call is tried again while brokers are away or busy, milliseconds. */
  readonly patience: number
  /** As whom the brokers know this client, when that can be told. */
  readonly principal: string | undefined
}

type Address = Pick<NodeAddress, "host" | "port">
const nameOf = ({ host, port }: Address): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

/** Connections that are kept open for the next request, per broker. */
const maxIdle = 8
/** How long what is known of a topic is believed, milliseconds. */
const metadataAge = 30_000

const finalErrors = new Set(["KafkaJSSASLAuthenticationError", "KafkaJSNotImplemented", "TooOld"])
// Errors of TLS that a retry does not mend.
const finalCodes = /^(ERR_TLS|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_SSL_)/

/** kafkajs' error for a login at a listener that knows none. */
const isLoginless = (error: Error): boolean => "type" in error && error.type === "ILLEGAL_SASL_STATE"

const isFinal = (error: Error): boolean =>
  error instanceof TooOld ||
  isLoginless(error) ||
  finalErrors.has(error.name) ||
  ("code" in error && typeof error.code === "string" && finalCodes.test(error.code))

const isAbsent = (topic: TopicMetadata | undefined): boolean =>
  topic === undefined || topic.code === Code.unknownTopicOrPartition

interface Known {
  readonly topic: TopicMetadata
  readonly asOf: number
}

/**
 * What is known of a topic after an answer. A broker that was away may answer with what was true before: the leader of the
 * later epoch counts, and partitions are never taken away from a topic.
 */
export const newest = (known: TopicMetadata | undefined, answer: TopicMetadata): TopicMetadata => {
  if (known === undefined || known.id !== answer.id) return answer
  const partitions = answer.partitions.map((partition, i) => {
    const before = known.partitions[i]
    if (before === undefined || before.epoch < partition.epoch) return partition
    // Who does not see the leader of this election does not know of a later one either.
    return before.epoch > partition.epoch || partition.leader < 0 ? before : partition
  })
  return { ...answer, partitions: [...partitions, ...known.partitions.slice(partitions.length)] }
}

/** Waits between tries, milliseconds: short ones first, because most refusals pass at once. */
const pauseAfter = (failure: KafkaFault | LogError, attempt: number): number => {
  // The markers of the transaction before are being written: this wait is the latency of transactions in a row.
  const longest = failure._tag === "Refused" && failure.code === Code.concurrentTransactions ? 20 : 500
  return Math.min(10 * 2 ** Math.min(attempt, 10), longest)
}

/**
 * The brokers as one client sees them: who leads which partition, who coordinates what, and connections that are taken and
 * given back. Each connection carries one request at a time, because a broker answers a connection's requests in order and
 * a read that waits would hold up everything behind it.
 */
export class Cluster {
  readonly name: string
  readonly principal: string | undefined
  readonly options: ClusterOptions
  readonly #given: ReadonlySet<string>
  readonly #idle = new Map<string, Array<Link>>()
  readonly #open = new Set<Link>()
  readonly #versions = new Map<string, Link["versions"]>()
  readonly #nodes = new Map<number, Address>()
  readonly #topics = new Map<string, Known>()
  readonly #coordinators = new Map<string, Address>()
  /** Brokers that did not answer the last time. */
  readonly #suspects = new Set<string>()
  #controller = -1
  #turn = 0
  #closed = false

  constructor(options: ClusterOptions) {
    this.options = options
    this.#given = new Set(options.brokers.map(nameOf))
    this.name = [...this.#given].join(",")
    this.principal = options.principal
  }

  close(): void {
    this.#closed = true
    this.reset()
  }

  /** Drops all connections and all that is known of the brokers. Requests that are under way fail, and are tried again. */
  reset(): void {
    for (const link of this.#open) link.close()
    this.#open.clear()
    this.#idle.clear()
    this.#versions.clear()
    this.#nodes.clear()
    this.#topics.clear()
    this.#coordinators.clear()
    this.#suspects.clear()
    this.#controller = -1
  }

  #take(address: Address): Link {
    const key = nameOf(address)
    const idle = this.#idle.get(key) ?? []
    for (;;) {
      const link = idle.pop()
      if (link === undefined) break
      if (link.usable) return link
      this.#drop(link)
    }
    const link = new Link(address.host, address.port, this.options, this.#versions.get(key) ?? null)
    this.#open.add(link)
    return link
  }

  #drop(link: Link): void {
    this.#open.delete(link)
    link.close()
  }

  async #exchange<A>(address: Address, request: Request<A>): Promise<A> {
    if (this.#closed) throw new Error("the log was closed")
    const link = this.#take(address)
    const key = nameOf(address)
    try {
      const answer = await link.send(request)
      this.#suspects.delete(key)
      this.#versions.set(key, link.versions)
      const idle = this.#idle.get(key) ?? []
      this.#idle.set(key, idle)
      if (!this.#open.has(link) || idle.length >= maxIdle) this.#drop(link)
      else idle.push(link)
      return answer
    } catch (error) {
      this.#suspects.add(key)
      this.#drop(link)
      // A restarted broker may be of another version.
      this.#versions.delete(key)
      throw error
    }
  }

  /** One try. When the fiber is interrupted the request goes on, and its connection is kept from others until it is answered. */
  send<A>(address: Address, request: Request<A>): Effect.Effect<A, Unreachable> {
    return Effect.tryPromise({
      try: () => this.#exchange(address, request),
      catch: (cause) => {
        const error = cause instanceof Error ? cause : new Error(String(cause))
        const name = nameOf(address)
        const final = this.#closed || isFinal(error)
        const why = isLoginless(error)
          ? "this listener knows no login (SASL): leave user and password out, or name the port for SASL"
          : this.options.ssl === null
            ? undefined
            : explainTls(error, this.options.ssl)
        return this.#unreachable(name, why === undefined ? error : new Error(why, { cause: error }), final)
      }
    })
  }

  #unreachable(name: string, cause: Error, final: boolean): Unreachable {
    return new Unreachable({ address: name, cause, final, told: !this.#given.has(name) })
  }

  /**
   * A broker that is known, or one of those that were configured; they take turns. Those that did not answer the last time
   * are left out as long as there are others: one that is frozen would cost a request's time limit each time.
   */
  #any(): Address {
    const known = this.#turn % 2 === 0 ? [...this.#nodes.values()] : []
    const all = known.length > 0 ? known : this.options.brokers
    const sound = all.filter((address) => !this.#suspects.has(nameOf(address)))
    const choices = sound.length > 0 ? sound : all
    const address = choices[(this.#turn++ >> 1) % choices.length]
    if (address === undefined) throw new Error("No brokers are configured.")
    return address
  }

  /** Asks any broker. */
  #ask<A>(request: Request<A>): Effect.Effect<A, Unreachable> {
    return Effect.suspend(() => this.send(this.#any(), request))
  }

  /**
   * Reads the metadata of topics (`null`: all) from a broker and remembers it. Topics that are not there are left out of what
   * is remembered; one that was there before, or each with `sure`, is gone only when no broker that answers has it. An answer
   * without brokers is none: a broker that is being started gives it, and knows no topics then either.
   */
  readonly refresh = Effect.fnUntraced(
    { self: this },
    function* (
      this: Cluster,
      names: ReadonlyArray<string> | null,
      sure = false
    ): Effect.fn.Return<Metadata, KafkaFault> {
      const asked = this.#any()
      const answer = yield* this.send(asked, metadata(names))
      if (answer.nodes.length === 0) {
        this.#suspects.add(nameOf(asked))
        const cause = new Error(
          "it knows of no broker, not even itself: it is being started, or cut off from its cluster"
        )
        return yield* this.#unreachable(nameOf(asked), cause, false)
      }
      const now = yield* Clock.currentTimeMillis
      this.#nodes.clear()
      for (const node of answer.nodes) this.#nodes.set(node.id, node)
      this.#controller = answer.controller
      const topics = new Map<string, TopicMetadata>()
      for (const topic of answer.topics) topics.set(topic.name, topic)
      const missing = (names ?? []).filter((name) => isAbsent(topics.get(name)) && (sure || this.#topics.has(name)))
      if (missing.length > 0) {
        for (const node of answer.nodes) {
          // One that is away cannot say.
          const other = yield* Effect.result(this.send(node, metadata(missing)))
          if (other._tag === "Failure") continue
          for (const topic of other.success.topics) if (!isAbsent(topic)) topics.set(topic.name, topic)
        }
      }
      for (const name of names ?? []) if (topics.get(name)?.code !== Code.none) this.#topics.delete(name)
      for (const [name, topic] of topics) {
        if (topic.code !== Code.none) continue
        const latest = newest(this.#topics.get(name)?.topic, topic)
        topics.set(name, latest)
        this.#topics.set(name, { topic: latest, asOf: now })
      }
      return { ...answer, topics: [...topics.values()] }
    }
  )

  /** What is known of the topics, read again if that is old. */
  readonly topic = Effect.fnUntraced({ self: this }, function* (this: Cluster, name: string): Effect.fn.Return<
    TopicMetadata,
    KafkaFault
  > {
    const known = this.#topics.get(name)
    if (known !== undefined && (yield* Clock.currentTimeMillis) - known.asOf < metadataAge) return known.topic
    const answer = yield* this.refresh([name], true)
    const topic = answer.topics.find((topic) => topic.name === name)
    const code = topic === undefined ? Code.unknownTopicOrPartition : topic.code
    if (topic === undefined || code !== Code.none)
      return yield* new Refused({
        code,
        what: `the metadata of topic ${name}`,
        topic: name,
        needs: { topic: ["Describe", name] }
      })
    return topic
  })

  /** What is known of the topic is to be read again. */
  forget(topic: string): void {
    const known = this.#topics.get(topic)
    if (known !== undefined) this.#topics.set(topic, { ...known, asOf: -Infinity })
  }

  readonly #leader = Effect.fnUntraced({ self: this }, function* (this: Cluster, name: string, partition: number) {
    const topic = yield* this.topic(name)
    const place = topic.partitions[partition]
    const address = place === undefined ? undefined : this.#nodes.get(place.leader)
    if (address === undefined) {
      this.forget(name)
      return yield* new Refused({ code: Code.leaderNotAvailable, what: `the leader of ${name}/${partition}` })
    }
    return address
  })

  /** One try at the leader of a partition. */
  toLeader<A>(topic: string, partition: number, request: Request<A>): Effect.Effect<A, KafkaFault> {
    return this.#leader(topic, partition).pipe(
      Effect.flatMap((address) => this.send(address, request)),
      Effect.tapError(() => Effect.sync(() => this.forget(topic)))
    )
  }

  /** The address of each partition's leader, as text, to send requests for several partitions together. */
  leaderName(topic: string, partition: number): Effect.Effect<string, KafkaFault> {
    return Effect.map(this.#leader(topic, partition), nameOf)
  }

  /** One try at the coordinator of a group or of a transactional id. */
  toCoordinator<A>(kind: CoordinatorKind, key: string, request: Request<A>): Effect.Effect<A, KafkaFault> {
    return this.#coordinator(kind, key).pipe(
      Effect.flatMap((address) => this.send(address, request)),
      Effect.tapError(() => Effect.sync(() => this.forgetCoordinator(kind, key)))
    )
  }

  readonly #coordinator = Effect.fnUntraced(
    { self: this },
    function* (this: Cluster, kind: CoordinatorKind, key: string): Effect.fn.Return<Address, KafkaFault> {
      const place = `${kind} ${key}`
      const known = this.#coordinators.get(place)
      if (known !== undefined) return known
      const { code, detail, node } = yield* this.#ask(findCoordinator(kind, key))
      if (code !== Code.none)
        return yield* new Refused({
          code,
          what: `the coordinator of ${kind === "group" ? "group" : "transactional id"} ${key}`,
          detail,
          needs: { group: ["Read", key], id: ["Write", key] }
        })
      this.#coordinators.set(place, node)
      return node
    }
  )

  /** To be called when one answered that it is none. */
  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind} ${key}`)
  }

  /** One try at the controller, for changes of topics. */
  toController<A>(request: Request<A>): Effect.Effect<A, KafkaFault> {
    return Effect.andThen(
      Effect.suspend(() => (this.#nodes.has(this.#controller) ? Effect.void : this.refresh([]))),
      Effect.suspend(() => this.send(this.#nodes.get(this.#controller) ?? this.#any(), request))
    ).pipe(Effect.tapError(() => Effect.sync(() => this.forgetController())))
  }

  forgetController(): void {
    this.#controller = -1
  }

  /** Repeats a try for as long as its failure may pass, up to the patience; then fails with the last failure. */
  persist<A, E extends KafkaFault | LogError>(
    attempt: Effect.Effect<A, E>,
    patience: number = this.options.patience
  ): Effect.Effect<A, E> {
    return Effect.gen({ self: this }, function* () {
      const deadline = (yield* Clock.currentTimeMillis) + patience
      for (let count = 0; ; count++) {
        const result = yield* Effect.result(attempt)
        if (result._tag === "Success") return result.success
        const { failure } = result
        if (!isTransient(failure) || (yield* Clock.currentTimeMillis) >= deadline)
          return yield* Effect.fromResult(result)
        yield* Effect.sleep(Duration.millis(pauseAfter(failure, count)))
      }
    })
  }

  /** `persist`, with the port's error. */
  call<A>(attempt: Effect.Effect<A, KafkaFault | LogError>): Effect.Effect<A, LogError> {
    return Effect.mapError(this.persist(attempt), toLogError(this))
  }

  /** Turns an error code into a failure. */
  check(code: number, what: string, extra: { readonly topic?: string; readonly needs?: Needs } = {}) {
    return code === Code.none ? Effect.void : Effect.fail(new Refused({ code, what, ...extra }))
  }
}
