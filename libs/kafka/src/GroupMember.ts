import { type Claim, Fenced, LogError, type Offset, type TopicInfo } from "@tributary/log"
import { Clock, Duration, Effect, Queue } from "effect"
import type { TopicMetadata } from "./AdminRequests.ts"
import type { Cluster } from "./Cluster.ts"
import { Code } from "./Code.ts"
import { checkCommit } from "./CommitCheck.ts"
import type { Fetching } from "./Fetching.ts"
import { commitOffset, heartbeat, joinGroup, type Joined, leaveGroup, syncGroup } from "./GroupRequests.ts"
import { askGroup, storedPositions } from "./GroupPositions.ts"
import { type KafkaFault, type Needs, Refused, toLogError } from "./KafkaFault.ts"
import { type Consumed, consumption, type KafkaClaim } from "./KafkaClaim.ts"
import type { Request } from "./Request.ts"
import type { StallWatch } from "./StallWatch.ts"
import {
  decodeAssignment,
  decodeSubscription,
  distribute,
  encodeAssignment,
  encodeSubscription,
  type Partition,
  protocol
} from "./Subscription.ts"
import { infoOf, type Topics } from "./Topics.ts"
import type { Membership } from "./TransactionRequests.ts"

/** Work on one partition. */
export interface Work {
  /** Asks it to end; does not wait. */
  readonly interrupt: () => void
  readonly await: Effect.Effect<unknown>
}

export interface MemberOptions {
  readonly cluster: Cluster
  readonly topics: Topics
  readonly fetching: Fetching
  readonly stalls: StallWatch
  readonly group: string
  readonly subscribed: ReadonlyArray<string>
  /** Milliseconds without a heartbeat after which the coordinator gives a member's partitions to others. */
  readonly sessionTimeout: number
  readonly heartbeatInterval: number
  /** Starts the work on a partition. It calls `ended` once when it has, which says whether it was asked to end. */
  readonly start: (claim: Claim, ended: () => boolean) => Work
}

/** A partition that this member works on. */
interface Held {
  readonly topic: TopicInfo
  readonly partition: number
  /** Asked to end. */
  revoked: boolean
  /** The partition is not this member's any more: every call of the claim is refused. */
  over: boolean
  work: Work | undefined
  /** When it was asked to end. */
  since: number | undefined
}

/** How long the coordinator waits for the members to join again, milliseconds. They do at their next heartbeat. */
const rebalanceTimeout = 30_000
/** How often topics are looked at for new partitions. */
const metadataInterval = Duration.seconds(1)
/** Work that takes longer to end than this is reported, milliseconds. */
const slowEnd = 30_000
const settle = Duration.millis(20)
const sameCode = (code: number): number => code
const expelled = new Set<number>([Code.unknownMember, Code.fencedInstance])
const passed = new Set<number>([Code.illegalGeneration, Code.rebalanceInProgress])

/**
 * One member of a consumer group (the classic protocol, with the cooperative way of KIP-429). Every commit names the member
 * and the generation in which the partition is its own, so the coordinator refuses what comes from a member that was expelled
 * or from a generation that has passed: a process that was frozen cannot move a position. Membership and work change only in
 * synchronous code.
 */
export class GroupMember {
  readonly #options: MemberOptions
  readonly #held = new Map<string, Held>()
  readonly #wake: Queue.Queue<void>
  #member = ""
  #generation = -1
  #leaving = false
  #rejoin = true
  /** Topics as the leader saw them when it distributed their partitions; `undefined` when another member leads. */
  #distributed: string | undefined

  constructor(options: MemberOptions, wake: Queue.Queue<void>) {
    this.#options = options
    this.#wake = wake
  }

  static make(options: MemberOptions): Effect.Effect<GroupMember> {
    return Effect.map(Queue.sliding<void>(1), (wake) => new GroupMember(options, wake))
  }

  #fenced({ partition, topic }: Held): LogError {
    const what = `Partition ${topic.name}/${partition} of group ${this.#options.group}`
    return new LogError({ reason: new Fenced({ what }) })
  }

  #requestRejoin(): void {
    this.#rejoin = true
    Queue.offerUnsafe(this.#wake, undefined)
  }

  #revoke(held: Held, now: number): void {
    if (held.revoked) return
    held.revoked = true
    held.since = now
    held.work?.interrupt()
  }

  /** The coordinator does not know this member any more. */
  #expelled(now: number): void {
    this.#member = ""
    this.#generation = -1
    this.#lose(now)
  }

  /** Its partitions may belong to others already. */
  #lose(now: number): void {
    for (const held of this.#held.values()) {
      held.over = true
      this.#revoke(held, now)
    }
    this.#requestRejoin()
  }

  /** Asks the coordinator once; one that has moved is looked up again the next time. */
  #attempt<A>(request: Request<A>, codeOf: (answer: A) => number): Effect.Effect<A, KafkaFault> {
    return askGroup(this.#options.cluster, this.#options.group, request, codeOf)
  }

  #ask<A>(request: () => Request<A>, codeOf: (answer: A) => number): Effect.Effect<A, LogError> {
    return this.#options.cluster.call(Effect.suspend(() => this.#attempt(request(), codeOf)))
  }

  /** Fails for what a member cannot mend by joining again. */
  #fatal(code: number): Effect.Effect<never, LogError> {
    const { cluster, group, sessionTimeout } = this.#options
    const what = `a member of group ${group}, with a session timeout of ${sessionTimeout} ms`
    return Effect.fail(toLogError(cluster)(new Refused({ code, what, needs: { group: ["Read", group] } })))
  }

  get #membership(): Membership {
    return { group: this.#options.group, generation: this.#generation, member: this.#member }
  }

  /** Joins, until a generation has begun in which this member knows its partitions. */
  readonly #join = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<void, LogError> {
    const { group, sessionTimeout, subscribed } = this.#options
    for (;;) {
      // After a loss: no partition may be worked on twice in one process.
      const lost = Array.from(this.#held.values()).filter((held) => held.over)
      for (const { work } of lost) if (work !== undefined) yield* work.await
      this.#rejoin = false
      const answer = yield* this.#ask(
        () => {
          const owned = [...this.#held.values()].map(({ partition, topic }) => ({ topic: topic.name, partition }))
          const subscription = encodeSubscription({ topics: subscribed, owned })
          return joinGroup({ group, member: this.#member, sessionTimeout, rebalanceTimeout, protocol, subscription })
        },
        ({ code }) => code
      )
      if (answer.code === Code.memberIdRequired) this.#member = answer.member
      else if (expelled.has(answer.code)) this.#expelled(yield* Clock.currentTimeMillis)
      else if (passed.has(answer.code)) yield* Effect.sleep(settle)
      else if (answer.code !== Code.none) return yield* this.#fatal(answer.code)
      else if (yield* this.#sync(answer)) return
    }
  })

  /** Fetches this member's partitions; the leader says what everybody's are. False when it has to join again. */
  readonly #sync = Effect.fnUntraced({ self: this }, function* (this: GroupMember, joined: Joined): Effect.fn.Return<
    boolean,
    LogError
  > {
    const { group } = this.#options
    const { generation, leader, member, members } = joined
    this.#member = member
    const assignments = members.length > 0 ? yield* this.#distribute(members) : []
    if (leader !== member) this.#distributed = undefined
    const { assignment, code } = yield* this.#ask(
      () => syncGroup({ group, generation, member }, assignments, rebalanceTimeout),
      (answer) => answer.code
    )
    if (expelled.has(code)) {
      this.#expelled(yield* Clock.currentTimeMillis)
      return false
    }
    if (passed.has(code)) return false
    if (code !== Code.none) return yield* this.#fatal(code)
    this.#generation = generation
    yield* this.#take(decodeAssignment(assignment))
    return true
  })

  readonly #distribute = Effect.fnUntraced({ self: this }, function* (this: GroupMember, joined: Joined["members"]) {
    const members = joined.map(({ id, subscription }) => ({ id, ...decodeSubscription(subscription) }))
    const names = [...new Set(members.flatMap((member) => member.topics))].sort()
    const topics = yield* this.#look(names)
    const assignments = distribute(members, new Map(topics.map((topic) => [topic.name, topic.partitions.length])))
    this.#distributed = stateOf(topics)
    return Array.from(assignments, ([member, partitions]) => ({ member, assignment: encodeAssignment(partitions) }))
  })

  readonly #look = Effect.fnUntraced({ self: this }, function* (this: GroupMember, names: ReadonlyArray<string>) {
    const { topics } = yield* this.#options.cluster.call(this.#options.cluster.refresh(names))
    return topics.filter((topic) => topic.code === Code.none)
  })

  readonly #take = Effect.fnUntraced(
    { self: this },
    function* (this: GroupMember, assigned: ReadonlyArray<Partition>): Effect.fn.Return<void, LogError> {
      const { topics } = this.#options
      const now = yield* Clock.currentTimeMillis
      const infos = new Map<string, TopicInfo>()
      for (const { topic } of assigned) {
        if (infos.has(topic)) continue
        const found = yield* Effect.result(topics.topic(topic))
        // Deleted since: the leader sees it too, and distributes again.
        if (found._tag === "Success") infos.set(topic, infoOf(found.success))
        else if (found.failure.reason._tag !== "UnknownTopic") return yield* found.failure
      }
      const wanted = new Map<string, { readonly topic: TopicInfo; readonly partition: number }>()
      for (const { partition, topic: name } of assigned) {
        const topic = infos.get(name)
        if (topic !== undefined) wanted.set(keyOf(topic, partition), { topic, partition })
      }
      for (const [key, held] of this.#held) if (!wanted.has(key)) this.#revoke(held, now)
      if (this.#leaving) return
      for (const [key, { partition, topic }] of wanted) if (!this.#held.has(key)) this.#begin(key, topic, partition)
    }
  )

  #begin(key: string, topic: TopicInfo, partition: number): void {
    const held: Held = { topic, partition, revoked: false, over: false, work: undefined, since: undefined }
    this.#held.set(key, held)
    held.work = this.#options.start(this.#claim(held), () => {
      held.over = true
      if (this.#held.get(key) === held) this.#held.delete(key)
      if (held.revoked) this.#requestRejoin()
      return held.revoked
    })
  }

  readonly #beat = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<void, LogError> {
    const membership = this.#membership
    // A coordinator that is frozen must be found out before the session is over, and another one be asked.
    const timeout = Math.max(1000, this.#options.sessionTimeout / 4)
    const code = yield* this.#ask(() => heartbeat(membership, timeout), sameCode)
    if (code === Code.none || membership.member !== this.#member) return
    if (expelled.has(code)) this.#expelled(yield* Clock.currentTimeMillis)
    else if (passed.has(code)) this.#rejoin = true
    else return yield* this.#fatal(code)
  })

  /** Ends the work on topics that are gone, and lets the leader distribute partitions that are new. */
  readonly #watchTopics = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<
    void,
    LogError
  > {
    // What begins while the brokers are asked is newer than their answer.
    const held = [...this.#held.values()]
    const distributed = this.#distributed
    const topics = yield* this.#look([...new Set(this.#options.subscribed)].sort())
    const now = yield* Clock.currentTimeMillis
    const ids = new Map(topics.map((topic) => [topic.name, topic.id]))
    for (const one of held) {
      if (ids.get(one.topic.name) === one.topic.id) continue
      one.over = true
      this.#revoke(one, now)
    }
    if (distributed !== undefined && this.#distributed === distributed && distributed !== stateOf(topics))
      this.#requestRejoin()
  })

  /** The life of the member; ends only by failing, or by interruption. */
  run(): Effect.Effect<never, LogError> {
    // Apart from each other: while topics are asked for, which may take long when a broker is away, heartbeats go on.
    return Effect.raceFirst(this.#stay(), this.#watch())
  }

  readonly #stay = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<never, LogError> {
    const { heartbeatInterval, sessionTimeout } = this.#options
    let heard = yield* Clock.currentTimeMillis
    for (;;) {
      if (this.#rejoin) {
        yield* this.#join()
        heard = yield* Clock.currentTimeMillis
      }
      yield* Effect.timeoutOption(Queue.take(this.#wake), Duration.millis(heartbeatInterval))
      if (this.#rejoin) continue
      const beat = yield* Effect.result(Effect.timeoutOption(this.#beat(), Duration.millis(sessionTimeout)))
      const now = yield* Clock.currentTimeMillis
      if (beat._tag === "Failure" && beat.failure.reason._tag !== "LogUnavailable") return yield* beat.failure
      if (beat._tag === "Success" && beat.success._tag === "Some") heard = now
      else if (now - heard > sessionTimeout) {
        yield* Effect.logWarning(
          `Group ${this.#options.group}: no answer for ${now - heard} ms; its partitions count as given to others`
        )
        this.#lose(now)
      }
    }
  })

  readonly #watch = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<never, LogError> {
    for (;;) {
      yield* Effect.sleep(metadataInterval)
      // It is tried again in a second.
      const watched = yield* Effect.result(this.#watchTopics())
      if (watched._tag === "Failure" && watched.failure.reason._tag !== "LogUnavailable") return yield* watched.failure
      yield* this.#reportSlow(yield* Clock.currentTimeMillis)
    }
  })

  readonly #reportSlow = Effect.fnUntraced({ self: this }, function* (this: GroupMember, now: number) {
    for (const held of this.#held.values()) {
      if (held.since === undefined || now - held.since < slowEnd) continue
      held.since = now
      yield* Effect.logWarning(
        `Work on ${held.topic.name}/${held.partition} of group ${this.#options.group} does not end; the partition waits for it`
      )
    }
  })

  /** Ends all work while the member goes on to be one, so that last commits are accepted. */
  readonly endWork = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<void> {
    this.#leaving = true
    const now = yield* Clock.currentTimeMillis
    const works: Array<Work> = []
    for (const held of this.#held.values()) {
      if (held.work !== undefined) works.push(held.work)
      this.#revoke(held, now)
    }
    yield* Effect.forEach(works, (work) => work.await, { discard: true })
  })

  /** Tells the coordinator, so that others need not wait for the session to run out. */
  readonly leave = Effect.fnUntraced({ self: this }, function* (this: GroupMember): Effect.fn.Return<void> {
    if (this.#member === "") return
    const { cluster, group } = this.#options
    yield* cluster.toCoordinator("group", group, leaveGroup(this.#membership)).pipe(
      Effect.timeoutOption(Duration.seconds(2)),
      // The session runs out instead.
      Effect.ignore
    )
  })

  #owned(held: Held): Effect.Effect<void, LogError> {
    return Effect.suspend(() => (held.over ? Effect.fail(this.#fenced(held)) : Effect.void))
  }

  /** The coordinator refused a membership. Waits a moment when the next generation may still have the partition. */
  readonly #refused = Effect.fnUntraced(
    { self: this },
    function* (this: GroupMember, code: number, { generation, member }: Membership): Effect.fn.Return<void> {
      if (member !== this.#member) return
      if (expelled.has(code)) return this.#expelled(yield* Clock.currentTimeMillis)
      if (generation === this.#generation) this.#requestRejoin()
      yield* Effect.sleep(settle)
    }
  )

  readonly #commit = Effect.fnUntraced(
    { self: this },
    function* (this: GroupMember, held: Held, offset: Offset, metadata: string): Effect.fn.Return<void, LogError> {
      yield* checkCommit(offset, metadata)
      const { cluster, group } = this.#options
      const { partition, topic } = held
      const deadline = (yield* Clock.currentTimeMillis) + cluster.options.patience
      for (;;) {
        yield* this.#owned(held)
        let membership = this.#membership
        const attempt = Effect.suspend((): Effect.Effect<number, KafkaFault | LogError> => {
          // In the same tick as the request: what is sent names a generation in which the partition is this member's.
          if (held.over) return Effect.fail(this.#fenced(held))
          membership = this.#membership
          return this.#attempt(commitOffset(membership, { topic: topic.name, partition, offset, metadata }), sameCode)
        })
        const code = yield* cluster.call(attempt)
        if (code === Code.none) return
        const late = (yield* Clock.currentTimeMillis) >= deadline
        const what = `the commit of ${topic.name}/${partition} for group ${group}`
        if (expelled.has(code) || (passed.has(code) && !late)) yield* this.#refused(code, membership)
        else if (code === Code.unknownTopicOrPartition && !late) {
          yield* this.#watchTopics()
          yield* Effect.sleep(settle)
        } else {
          const needs: Needs = { group: ["Read", group], topic: ["Read", topic.name] }
          return yield* toLogError(cluster)(new Refused({ code, what, needs }))
        }
      }
    }
  )

  readonly #committed = Effect.fnUntraced({ self: this }, function* (this: GroupMember, held: Held) {
    const { cluster, group } = this.#options
    const { partition, topic } = held
    yield* this.#owned(held)
    const stored = yield* cluster.call(storedPositions(cluster, group, { topic: topic.name, partition }))
    yield* this.#owned(held)
    const [position] = stored
    return position && { offset: position.offset, metadata: position.metadata }
  })

  #claim(held: Held): KafkaClaim {
    const { partition, topic } = held
    const place = { topic: topic.name, partition, id: topic.id }
    const owned = this.#owned(held)
    const { fetching, stalls } = this.#options
    return {
      topic,
      partition,
      generation: this.#generation,
      committed: Effect.suspend(() => this.#committed(held)),
      read: Effect.fn("Claim.read")((from, limits) =>
        stalls.read(place, from, (progress) => fetching.read(place, from, limits, owned, progress))
      ),
      // A commit that was begun is carried through before the partition goes on: while members join again it is refused for a
      // moment, and work that is interrupted then would be done a second time by the next owner. It ends at the latest when
      // the patience, or the right to the partition, does.
      commit: Effect.fn("Claim.commit")((offset, metadata) =>
        Effect.uninterruptible(this.#commit(held, offset, metadata))
      ),
      [consumption]: (offset): Consumed => ({
        topic: topic.name,
        partition,
        offset,
        membership: Effect.suspend(() =>
          held.over ? Effect.fail(this.#fenced(held)) : Effect.succeed(this.#membership)
        ),
        refused: (code, membership) => this.#refused(code, membership)
      })
    }
  }
}

const keyOf = (topic: TopicInfo, partition: number): string => `${topic.id}/${partition}`

const stateOf = (topics: ReadonlyArray<TopicMetadata>): string =>
  topics
    .map(({ id, name, partitions }) => `${name} ${id} ${partitions.length}`)
    .sort()
    .join("\n")
