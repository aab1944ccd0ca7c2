import type { LogError, Offset, TopicInfo, TopicSpec } from "@tributary/log"
import { Duration, Effect } from "effect"
import {
  alterTopic,
  createPartitions,
  createTopic,
  deleteTopic,
  describeTopics,
  type Outcome,
  type Setting,
  type TopicMetadata
} from "./AdminRequests.ts"
import type { Cluster } from "./Cluster.ts"
import { Code } from "./Code.ts"
import { invalid, type KafkaFault, type Needs, Refused, unknownTopic } from "./KafkaFault.ts"
import { listOffsets, type Side } from "./RecordRequests.ts"
import type { Request } from "./Request.ts"

const topicName = /^[a-zA-Z0-9._-]{1,249}$/
const maxPartitions = 10_000
/** What a broker may take for a change of a topic, milliseconds. */
const changeTimeout = 15_000
const tombstoneRetention = Duration.hours(24)
/** Bounds of a segment's size: deletion by size goes by whole segments. */
const minSegment = 1024 * 1024
const maxSegment = 1024 * 1024 * 1024

const checkSpec = ({ name, partitions, retentionBytes }: TopicSpec): Effect.Effect<void, LogError> => {
  if (!topicName.test(name) || name === "." || name === "..")
    return Effect.fail(invalid(`"${name}" cannot be a topic's name; use 1 to 249 letters, digits, ".", "_" and "-".`))
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > maxPartitions)
    return Effect.fail(invalid(`Topic ${name}: partitions must be 1 to ${maxPartitions}, found ${partitions}.`))
  if (retentionBytes !== undefined && !(retentionBytes >= 0))
    return Effect.fail(invalid(`Topic ${name}: retentionBytes must not be negative, found ${retentionBytes}.`))
  return Effect.void
}

const millis = (duration: Duration.Duration | undefined): number =>
  duration === undefined || !Duration.isFinite(duration) ? -1 : Math.trunc(Duration.toMillis(duration))

/** The topic's settings in the broker's words. All are set, so that another default of the broker changes nothing. */
const settingsOf = (spec: TopicSpec): ReadonlyArray<Setting> => {
  const setting = (name: string, value: number | string): Setting => ({ name, value: String(value) })
  if (spec.compacted === true)
    return [setting("cleanup.policy", "compact"), setting("delete.retention.ms", Duration.toMillis(tombstoneRetention))]
  const bytes =
    spec.retentionBytes === undefined || !Number.isFinite(spec.retentionBytes) ? -1 : Math.trunc(spec.retentionBytes)
  return [
    setting("cleanup.policy", "delete"),
    setting("retention.ms", millis(spec.retention)),
    setting("retention.bytes", bytes),
    ...(bytes < 0 ? [] : [setting("segment.bytes", Math.min(maxSegment, Math.max(minSegment, Math.trunc(bytes / 8))))])
  ]
}

/** A topic as writers and readers need it. */
export interface Topic extends TopicMetadata, Known {}

/** Settings of a topic that writers go by. */
interface Known {
  readonly compacted: boolean
  /** Largest batch that it takes, bytes. */
  readonly maxBytes: number
}

export const infoOf = ({ compacted, id, name, partitions }: Topic): TopicInfo => ({
  name,
  id,
  partitions: partitions.length,
  compacted
})

/** Topics of the cluster: their settings, partitions and offsets. */
export class Topics {
  readonly #cluster: Cluster
  readonly #replication: number
  /** By topic id. Whether a topic is compacted is fixed when it is made. */
  readonly #known = new Map<string, Known>()
  readonly #warned = new Set<string>()

  constructor(cluster: Cluster, replication: number) {
    this.#cluster = cluster
    this.#replication = replication
  }

  readonly #describe = Effect.fnUntraced(
    { self: this },
    function* (this: Topics, topics: ReadonlyArray<TopicMetadata>): Effect.fn.Return<ReadonlyArray<Topic>, KafkaFault> {
      const asked = topics.filter((topic) => !this.#known.has(topic.id))
      if (asked.length > 0) {
        const found = yield* this.#cluster.toController(
          describeTopics(
            asked.map((topic) => topic.name),
            ["cleanup.policy", "max.message.bytes"]
          )
        )
        for (const topic of asked) {
          const answer = found.find((answer) => answer.topic === topic.name)
          if (answer === undefined || answer.code !== Code.none) continue
          this.#known.set(topic.id, {
            compacted: (answer.settings.get("cleanup.policy") ?? "").split(",").includes("compact"),
            maxBytes: Number(answer.settings.get("max.message.bytes") ?? Infinity)
          })
        }
      }
      return topics.flatMap((topic) => {
        const known = this.#known.get(topic.id)
        // Deleted in between, not yet known to the broker that was asked, or not ours to see.
        return known === undefined ? [] : [{ ...topic, ...known }]
      })
    }
  )

  /** One try. Fails with `UnknownTopic`'s code at once when the topic is not there. */
  readonly find = Effect.fnUntraced({ self: this }, function* (this: Topics, name: string): Effect.fn.Return<
    Topic,
    KafkaFault
  > {
    const metadata = yield* this.#cluster.topic(name)
    const [topic] = yield* this.#describe([metadata])
    if (topic !== undefined) return topic
    const [answer] = yield* this.#cluster.toController(describeTopics([name], ["cleanup.policy"]))
    // A broker that does not know the topic yet is not asked for ever: another one says whether there is such a topic.
    this.#cluster.forget(name)
    const behind = answer === undefined || answer.code === Code.none || answer.code === Code.unknownTopicOrPartition
    return yield* new Refused({
      code: behind ? Code.leaderNotAvailable : answer.code,
      what: `the settings of topic ${name}`,
      needs: { topic: ["DescribeConfigs", name] }
    })
  })

  /** The topic. That it is not there is a failure at once, not a reason to wait. */
  topic(name: string): Effect.Effect<Topic, LogError> {
    const absent = (fault: KafkaFault) =>
      fault._tag === "Refused" && (fault.code === Code.unknownTopicOrPartition || fault.code === Code.invalidTopic)
    return this.#cluster
      .call(
        Effect.catchIf(
          Effect.map(this.find(name), (topic): Topic | undefined => topic),
          absent,
          () => Effect.undefined
        )
      )
      .pipe(
        Effect.filterOrFail(
          (topic) => topic !== undefined,
          () => unknownTopic(name)
        )
      )
  }

  /** Says of a batch that was refused how large it is, and how large it may be. */
  readonly sizeProblem = Effect.fnUntraced({ self: this }, function* (this: Topics, name: string, size: number) {
    const [answer] = yield* this.#cluster
      .toController(describeTopics([name], ["max.message.bytes"]))
      .pipe(Effect.orElseSucceed(() => []))
    const limit = answer?.settings.get("max.message.bytes")
    // It may have been lowered since.
    this.#known.clear()
    return `${size} bytes; topic ${name} takes ${limit == null ? "fewer" : `at most ${limit}`} in a batch, which a record is too large for by itself. Raise max.message.bytes of the topic and replica.fetch.max.bytes of the brokers, or leave out a large field`
  })

  /** All topics but those of Kafka itself. */
  readonly all: Effect.Effect<ReadonlyArray<Topic>, LogError> = Effect.suspend(() =>
    this.#cluster.call(
      Effect.flatMap(this.#cluster.refresh(null), ({ topics }) =>
        this.#describe(
          topics
            .filter((topic) => topic.code === Code.none && !topic.internal)
            .sort((a, b) => (a.name < b.name ? -1 : 1))
        )
      )
    )
  )

  /** Asks the controller for a change and gives its answer's code. */
  #change(
    what: string,
    request: Request<Outcome>,
    needs: Needs,
    expected: ReadonlyArray<number> = []
  ): Effect.Effect<number, LogError> {
    return this.#cluster.call(
      Effect.flatMap(this.#cluster.toController(request), ({ code, detail }) => {
        if (code === Code.none || expected.includes(code)) return Effect.succeed(code)
        if (code === Code.notController) this.#cluster.forgetController()
        return Effect.fail(new Refused({ code, what, detail, needs }))
      })
    )
  }

  /** Waits until the brokers' metadata says what has been changed, as they learn it a moment later. */
  #settled(name: string, holds: (topic: TopicMetadata | undefined) => boolean): Effect.Effect<void, LogError> {
    const look = Effect.gen({ self: this }, function* () {
      const { topics } = yield* this.#cluster.refresh([name])
      const topic = topics.find((topic) => topic.name === name && topic.code === Code.none)
      if (!holds(topic))
        return yield* new Refused({ code: Code.leaderNotAvailable, what: `the change of topic ${name}` })
    })
    return this.#cluster.call(look)
  }

  readonly ensure = Effect.fnUntraced({ self: this }, function* (this: Topics, spec: TopicSpec): Effect.fn.Return<
    Topic,
    LogError
  > {
    yield* checkSpec(spec)
    const { name, partitions } = spec
    const settings = settingsOf(spec)
    yield* this.#change(
      `making topic ${name}`,
      createTopic(name, partitions, this.#replication, [...settings, ...this.#safety], changeTimeout),
      { topic: ["Create", name] },
      [Code.topicAlreadyExists]
    )
    const ready = (count: number) => (topic: TopicMetadata | undefined) =>
      topic !== undefined && topic.partitions.filter((partition) => partition.leader >= 0).length >= count
    yield* this.#settled(name, ready(1))
    const topic = yield* this.topic(name)
    const compacted = spec.compacted ?? false
    if (topic.compacted !== compacted)
      return yield* invalid(
        `Topic ${name} is ${topic.compacted ? "" : "not "}compacted, and that cannot change. Delete it and make it again, or use another name.`
      )
    yield* this.#updateSettings(name, settings)
    const present = topic.partitions.length
    if (present >= partitions) return topic
    const few = `Topic ${name} has ${present} partition${present === 1 ? "" : "s"}, and ${partitions} are configured`
    if (compacted) {
      yield* this.#warnOnce(
        `${few}. It stays so: each key of a compacted topic lives in one partition. To have more, delete the topic and make it again`
      )
      return topic
    }
    yield* this.#change(
      `adding partitions to topic ${name}`,
      createPartitions(name, partitions, changeTimeout),
      { topic: ["Alter", name] },
      // Another worker was quicker.
      [Code.invalidPartitions]
    )
    yield* this.#settled(name, ready(partitions))
    yield* this.#warnOnce(
      `${few}: it was given more. From now on most keys go to another partition than before, so records of one key may be worked on out of order until what is in the topic has been read`
    )
    return yield* this.topic(name)
  })

  /** With three replicas or more a record counts as written when a second broker has it too, whatever the brokers' default. */
  get #safety(): ReadonlyArray<Setting> {
    return this.#replication >= 3 ? [{ name: "min.insync.replicas", value: "2" }] : []
  }

  #warnOnce(warning: string): Effect.Effect<void> {
    if (this.#warned.has(warning)) return Effect.void
    this.#warned.add(warning)
    return Effect.logWarning(warning)
  }

  readonly #updateSettings = Effect.fnUntraced(
    { self: this },
    function* (this: Topics, name: string, settings: ReadonlyArray<Setting>) {
      const names = settings.map((setting) => setting.name)
      const [present] = yield* this.#cluster.call(this.#cluster.toController(describeTopics([name], names)))
      const changed = settings.filter((setting) => present?.settings.get(setting.name) !== setting.value)
      if (changed.length > 0)
        yield* this.#change(`changing topic ${name}`, alterTopic(name, changed), { topic: ["AlterConfigs", name] })
    }
  )

  readonly delete = Effect.fnUntraced({ self: this }, function* (this: Topics, name: string): Effect.fn.Return<
    void,
    LogError
  > {
    this.#cluster.forget(name)
    const { id } = yield* this.topic(name)
    // It was there just now: that it is unknown means that a try whose answer was lost has done it.
    yield* this.#change(`deleting topic ${name}`, deleteTopic(name, changeTimeout), { topic: ["Delete", name] }, [
      Code.unknownTopicOrPartition
    ])
    yield* this.#settled(name, (topic) => topic?.id !== id)
    this.#known.delete(id)
  })

  /** The offset at one side of each of these partitions. */
  readonly #side = Effect.fnUntraced(
    { self: this },
    function* (
      this: Topics,
      topic: string,
      partitions: ReadonlyArray<number>,
      side: Side
    ): Effect.fn.Return<ReadonlyArray<Offset>, KafkaFault> {
      const offsets: Array<Offset> = []
      const leaders = new Map<string, Array<number>>()
      for (const partition of partitions) {
        const leader = yield* this.#cluster.leaderName(topic, partition)
        const led = leaders.get(leader)
        if (led === undefined) leaders.set(leader, [partition])
        else led.push(partition)
      }
      for (const led of leaders.values()) {
        const places = led.map((partition) => ({ topic, partition }))
        for (const { code, offset, partition } of yield* this.#cluster.toLeader(
          topic,
          led[0]!,
          listOffsets(places, side)
        )) {
          if (code !== Code.none) this.#cluster.forget(topic)
          yield* this.#cluster.check(code, `the offsets of ${topic}/${partition}`, {
            topic,
            needs: { topic: ["Describe", topic] }
          })
          offsets[partition] = offset
        }
      }
      return offsets
    }
  )

  /** The end of a partition as of now: behind every record that was acknowledged before the call. One try. */
  end(topic: string, partition: number): Effect.Effect<Offset, KafkaFault> {
    return Effect.map(this.#side(topic, [partition], "end"), (offsets) => offsets[partition]!)
  }

  earliest(topic: string, partition: number): Effect.Effect<Offset, KafkaFault> {
    return Effect.map(this.#side(topic, [partition], "earliest"), (offsets) => offsets[partition]!)
  }

  readonly offsets = Effect.fnUntraced({ self: this }, function* (this: Topics, name: string) {
    // Another worker may have added partitions.
    this.#cluster.forget(name)
    const topic = yield* this.topic(name)
    const all = topic.partitions.map((partition) => partition.index)
    const earliest = yield* this.#cluster.call(this.#side(name, all, "earliest"))
    const ends = yield* this.#cluster.call(this.#side(name, all, "end"))
    return all.map((partition) => ({ partition, earliest: earliest[partition]!, end: ends[partition]! }))
  })
}
