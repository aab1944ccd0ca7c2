import { Fenced, LogError, type NewRecord, type Offset, type Position } from "@tributary/log"
import { Clock, Duration, Effect, Exit, Semaphore } from "effect"
import type { Cluster } from "./Cluster.ts"
import { Code, isProducerFenced } from "./Code.ts"
import type { Compression } from "./Compression.ts"
import type { Consumed } from "./KafkaClaim.ts"
import { isTransient, type KafkaFault, type Needs, Refused, toLogError, unavailable } from "./KafkaFault.ts"
import { encodeBatch } from "./RecordBatch.ts"
import { produce, type ProducePart } from "./RecordRequests.ts"
import type { Request } from "./Request.ts"
import type { Part, Router } from "./Routing.ts"
import type { Topics } from "./Topics.ts"
import {
  addOffsets,
  addPartitions,
  commitInTransaction,
  endTransaction,
  initProducer,
  type ProducerIdentity
} from "./TransactionRequests.ts"

export interface ProducerOptions {
  readonly cluster: Cluster
  readonly topics: Topics
  readonly router: Router
  readonly compression: Compression
  /** The broker aborts a transaction that is open longer, milliseconds. */
  readonly transactionTimeout: number
}

/** What a broker may take to write, milliseconds. */
const produceTimeout = 10_000
/** How long a failed transaction is tried to be aborted; afterwards its time limit does it. */
const abortTimeout = Duration.seconds(5)
/** How often a transaction is done again because the group was in a rebalance. */
const maxRounds = 50

type Failure = KafkaFault | LogError

/**
 * A request of a transaction is not interrupted before it is answered, only between tries. Otherwise the abort that follows
 * could overtake it on another connection: the coordinator would open the transaction again behind it.
 */
const settled = Effect.uninterruptible

const nextSequence = (sequence: number, count: number): number => {
  const next = sequence + count
  return next > 0x7fffffff ? next - 0x8000_0000 : next
}

/** The group's generation passed while the transaction was under way; nothing is wrong. */
class GenerationPassed {
  readonly _tag = "GenerationPassed"
}

/**
 * Writes transactions under one transactional id, one at a time. It has the id from `take` on, before its first transaction.
 * After an error it asks for a new epoch with its present one (KIP-360): that fails when a later producer has taken the id,
 * so that it can never take it back.
 */
export class TransactionalProducer {
  readonly id: string
  readonly #options: ProducerOptions
  readonly #turn = Semaphore.makeUnsafe(1)
  readonly #sequences = new Map<string, number>()
  #identity: ProducerIdentity = { id: -1, epoch: -1 }
  /** `begun`: there may be something to abort. `broken`: a new epoch is needed. */
  #state: "ready" | "begun" | "broken" | "fenced" = "broken"

  constructor(id: string, options: ProducerOptions) {
    this.id = id
    this.#options = options
  }

  #fenced(): LogError {
    this.#state = "fenced"
    return new LogError({ reason: new Fenced({ what: `Transactional id ${this.id}` }) })
  }

  /** Asks the transaction coordinator, again and again while the failure may pass. */
  #coordinator<A>(
    what: string,
    request: () => Request<A>,
    codeOf: (answer: A) => number,
    needs?: (answer: A) => Needs
  ): Effect.Effect<A, Failure> {
    const { cluster } = this.#options
    const attempt = Effect.gen({ self: this }, function* () {
      const answer = yield* cluster.toCoordinator("transaction", this.id, request())
      const code = codeOf(answer)
      if (code === Code.none) return answer
      if (code === Code.notCoordinator || code === Code.coordinatorNotAvailable)
        cluster.forgetCoordinator("transaction", this.id)
      return yield* new Refused({ code, what, needs: { id: ["Write", this.id], ...needs?.(answer) } })
    })
    return cluster
      .persist(settled(attempt))
      .pipe(
        Effect.mapError((fault) => (fault._tag === "Refused" && isProducerFenced(fault.code) ? this.#fenced() : fault))
      )
  }

  /** Takes the transactional id, or a new epoch of it. An open transaction of a predecessor is ended by it. */
  readonly take = Effect.fnUntraced({ self: this }, function* (this: TransactionalProducer): Effect.fn.Return<
    void,
    Failure
  > {
    const { id, epoch } = yield* this.#coordinator(
      `the transactional id ${this.id}, with transactions of up to ${this.#options.transactionTimeout} ms`,
      () => initProducer(this.id, this.#options.transactionTimeout, this.#identity),
      (answer) => answer.code
    )
    this.#identity = { id, epoch }
    this.#sequences.clear()
    this.#state = "ready"
  })

  /** Ends an open transaction without its records, as far as that is possible now. */
  readonly #abort = Effect.fnUntraced({ self: this }, function* (this: TransactionalProducer): Effect.fn.Return<void> {
    if (this.#state !== "begun") return
    this.#state = "broken"
    const abort = this.#coordinator(
      `the abort of a transaction of ${this.id}`,
      () => endTransaction(this.id, this.#identity, false),
      // Nothing had been written yet.
      (code) => (code === Code.invalidTransactionState ? Code.none : code)
    )
    yield* abort.pipe(
      Effect.timeoutOption(abortTimeout),
      // Not done: the new epoch, or the transaction's time limit, does it.
      Effect.ignore
    )
  })

  readonly #enroll = Effect.fnUntraced(
    { self: this },
    function* (this: TransactionalProducer, parts: ReadonlyArray<Part>): Effect.fn.Return<void, Failure> {
      const { cluster } = this.#options
      const what = `a transaction of ${this.id}`
      yield* this.#coordinator(
        what,
        () => addPartitions(this.id, this.#identity, parts),
        (answers) => {
          // The first one that is not merely a consequence of another.
          const codes = answers.map((answer) => answer.code).filter((code) => code !== Code.none)
          for (const { code, topic } of answers) if (code === Code.unknownTopicOrPartition) cluster.forget(topic)
          return codes.find((code) => !consequences.has(code)) ?? codes[0] ?? Code.none
        },
        (answers) => {
          const denied = answers.find(({ code }) => code === Code.topicAuthorizationFailed)
          return denied === undefined ? {} : { topic: ["Write", denied.topic] }
        }
      )
    }
  )

  /** Writes one batch to each of these partitions, and repeats what its leader did not take. Gives the first offsets. */
  readonly #produce = Effect.fnUntraced(
    { self: this },
    function* (
      this: TransactionalProducer,
      batches: ReadonlyArray<ProducePart>,
      bases: Map<ProducePart, Offset>
    ): Effect.fn.Return<void, Failure> {
      const { cluster, topics } = this.#options
      const attempt = Effect.gen({ self: this }, function* () {
        const leaders = new Map<string, Array<ProducePart>>()
        for (const batch of batches) {
          if (bases.has(batch)) continue
          const leader = yield* cluster.leaderName(batch.topic, batch.partition)
          const led = leaders.get(leader)
          if (led === undefined) leaders.set(leader, [batch])
          else led.push(batch)
        }
        yield* Effect.forEach(
          leaders.values(),
          (led) =>
            Effect.gen({ self: this }, function* () {
              const [first] = led
              if (first === undefined) return
              const answers = yield* cluster.toLeader(
                first.topic,
                first.partition,
                produce(this.id, led, produceTimeout)
              )
              let worst: Refused | undefined
              for (const { code, offset, partition, topic } of answers) {
                const batch = led.find((batch) => batch.topic === topic && batch.partition === partition)
                if (batch === undefined) continue
                if (code === Code.none) bases.set(batch, offset)
                else {
                  cluster.forget(topic)
                  const refused = new Refused({
                    code,
                    what: `writing to ${topic}/${partition}`,
                    topic,
                    detail: tooLarge.has(code) ? yield* topics.sizeProblem(topic, batch.batch.length) : undefined,
                    needs: { topic: ["Write", topic], id: ["Write", this.id] }
                  })
                  if (worst === undefined || isTransient(worst)) worst = refused
                }
              }
              if (worst !== undefined) return yield* worst
            }),
          { concurrency: "unbounded", discard: true }
        )
      })
      // Given up before the brokers end the transaction, which would look as if another had taken the id.
      const patience = Math.min(cluster.options.patience, this.#options.transactionTimeout * 0.75)
      yield* cluster
        .persist(settled(attempt), patience)
        .pipe(
          Effect.mapError((fault) =>
            fault._tag === "Refused" && isProducerFenced(fault.code) ? this.#fenced() : fault
          )
        )
    }
  )

  readonly #write = Effect.fnUntraced(
    { self: this },
    function* (
      this: TransactionalProducer,
      parts: ReadonlyArray<Part>
    ): Effect.fn.Return<Map<Part, Array<Offset>>, Failure> {
      const { compression } = this.#options
      const timestamp = Math.trunc(yield* Clock.currentTimeMillis)
      const offsets = new Map<Part, Array<Offset>>(parts.map((part) => [part, []]))
      const rounds = Math.max(0, ...parts.map((part) => part.cuts.length + 1))
      for (let round = 0; round < rounds; round++) {
        const sent = new Map<ProducePart, { readonly part: Part; readonly count: number }>()
        for (const part of parts) {
          if (round > part.cuts.length) continue
          const start = round === 0 ? 0 : part.cuts[round - 1]!
          const end = part.cuts[round] ?? part.records.length
          const place = `${part.topic}/${part.partition}`
          const sequence = this.#sequences.get(place) ?? 0
          const records = part.records.slice(start, end)
          const batch = encodeBatch(records, { producer: this.#identity, sequence, timestamp, compression })
          this.#sequences.set(place, nextSequence(sequence, records.length))
          sent.set({ topic: part.topic, partition: part.partition, batch }, { part, count: records.length })
        }
        const bases = new Map<ProducePart, Offset>()
        yield* this.#produce([...sent.keys()], bases)
        for (const [batch, { count, part }] of sent) {
          const base = bases.get(batch) ?? 0
          const list = offsets.get(part)!
          for (let i = 0; i < count; i++) list.push(base + i)
        }
      }
      return offsets
    }
  )

  readonly #commitPosition = Effect.fnUntraced(
    { self: this },
    function* (this: TransactionalProducer, consumed: Consumed): Effect.fn.Return<void, Failure | GenerationPassed> {
      const { cluster } = this.#options
      const membership = yield* consumed.membership
      const { group } = membership
      yield* this.#coordinator(
        `a transaction of ${this.id} with group ${group}`,
        () => addOffsets(this.id, this.#identity, group),
        (code) => code,
        () => ({ group: ["Read", group] })
      )
      const attempt = Effect.gen({ self: this }, function* () {
        // Asked in the same tick in which the request is made; its generation lets the coordinator refuse what comes too late.
        const now = yield* consumed.membership
        const code = yield* cluster.toCoordinator(
          "group",
          group,
          commitInTransaction(this.id, this.#identity, now, consumed)
        )
        if (code === Code.notCoordinator) cluster.forgetCoordinator("group", group)
        if (lostMembership.has(code)) {
          yield* consumed.refused(code, now)
          return "passed" as const
        }
        yield* cluster.check(code, `the commit of ${consumed.topic}/${consumed.partition} for group ${group}`, {
          topic: consumed.topic,
          needs: { topic: ["Read", consumed.topic], group: ["Read", group], id: ["Write", this.id] }
        })
        return "done" as const
      })
      const outcome = yield* cluster
        .persist(settled(attempt))
        .pipe(
          Effect.mapError((fault) =>
            fault._tag === "Refused" && isProducerFenced(fault.code) ? this.#fenced() : fault
          )
        )
      if (outcome === "passed") return yield* Effect.fail(new GenerationPassed())
    }
  )

  /** Commits. From the request on it cannot be interrupted, and is repeated until its outcome is known. */
  readonly #commit = Effect.fnUntraced(
    { self: this },
    function* (this: TransactionalProducer, empty: boolean): Effect.fn.Return<void, Failure> {
      const result = yield* Effect.result(
        this.#coordinator(
          `the commit of a transaction of ${this.id}`,
          () => endTransaction(this.id, this.#identity, true),
          // Without any record there is no transaction to commit, but the coordinator has checked the epoch.
          (code) => (empty && code === Code.invalidTransactionState ? Code.none : code)
        )
      )
      if (result._tag === "Success") {
        this.#state = "ready"
        return
      }
      const failure = result.failure
      if (failure._tag !== "Unreachable" && !(failure._tag === "Refused" && isTransient(failure))) {
        return yield* failure
      }
      // Committed or not: only the next owner of the id can tell, by what it reads after it has fenced this one.
      this.#state = "fenced"
      return yield* unavailable(
        new Error(
          `${failure.message}; whether the last transaction of ${this.id} is committed is not known. Take the id anew and read on from its last commit`
        )
      )
    }
  )

  readonly #once = Effect.fnUntraced(
    { self: this },
    function* (
      this: TransactionalProducer,
      records: ReadonlyArray<NewRecord>,
      consumed: Consumed | undefined
    ): Effect.fn.Return<ReadonlyArray<Position>, Failure | GenerationPassed> {
      if (this.#state === "fenced") return yield* this.#fenced()
      const { parts, places } = yield* this.#options.router.route(records)
      if (consumed !== undefined) yield* consumed.membership
      if (this.#state !== "ready") {
        yield* this.#abort()
        yield* this.take()
      }
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen({ self: this }, function* () {
          const work = Effect.gen({ self: this }, function* () {
            this.#state = "begun"
            if (parts.length > 0) yield* this.#enroll(parts)
            const offsets = yield* this.#write(parts)
            // Last, so that nothing is under way while the position is open for others.
            if (consumed !== undefined) yield* this.#commitPosition(consumed)
            return offsets
          })
          const exit = yield* Effect.exit(restore(work))
          if (Exit.isFailure(exit)) {
            yield* this.#abort()
            return yield* Effect.failCause(exit.cause)
          }
          yield* this.#commit(parts.length === 0 && consumed === undefined)
          const offsets = exit.value
          return places.map(({ at, part }) => ({
            topic: part.topic,
            partition: part.partition,
            offset: offsets.get(part)![at]!
          }))
        })
      )
    }
  )

  /**
   * Writes all records and the position, or none. A transaction that failed for what may pass is done again as a whole while
   * the patience lasts: nothing of it is visible, as long as its commit had not been asked for.
   */
  transact(records: ReadonlyArray<NewRecord>, consumed?: Consumed): Effect.Effect<ReadonlyArray<Position>, LogError> {
    const { cluster } = this.#options
    const rounds = Effect.gen({ self: this }, function* () {
      const deadline = (yield* Clock.currentTimeMillis) + cluster.options.patience
      // What is told in the end: that its abort is not done is only what came of it.
      let reason: Failure | undefined
      for (let passed = 0; ;) {
        const result = yield* Effect.result(this.#once(records, consumed))
        if (result._tag === "Success") return result.success
        const failure = result.failure
        if (failure._tag === "GenerationPassed") {
          if (++passed > maxRounds)
            return yield* unavailable(new Error(`The group of transactional id ${this.id} does not come to rest`))
        } else {
          const follows = failure._tag === "Refused" && failure.code === Code.concurrentTransactions
          if (!follows || reason === undefined) reason = failure
          if (!isTransient(failure) || (yield* Clock.currentTimeMillis) >= deadline)
            return yield* toLogError(cluster)(reason)
        }
      }
    })
    return this.#turn.withPermit(rounds)
  }
}

const tooLarge = new Set<number>([Code.messageTooLarge, Code.recordListTooLarge])
/** Answers for partitions of which nothing is wrong, because another one of the request is. */
const operationNotAttempted = 55
const consequences = new Set<number>([operationNotAttempted])
const lostMembership = new Set<number>([
  Code.illegalGeneration,
  Code.rebalanceInProgress,
  Code.unknownMember,
  Code.fencedInstance
])
