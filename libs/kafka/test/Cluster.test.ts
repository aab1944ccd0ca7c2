import { it } from "@effect/vitest"
import { Effect } from "effect"
import { assert, describe } from "vitest"
import type { NodeAddress, TopicMetadata } from "../src/AdminRequests.ts"
import { Reader, Writer } from "../src/Bytes.ts"
import { Cluster, newest } from "../src/Cluster.ts"
import type { Request } from "../src/Request.ts"

/** A topic with these leaders, each with the epoch of its election. */
const topic = (id: string, ...leaders: ReadonlyArray<readonly [leader: number, epoch: number]>): TopicMetadata => ({
  code: 0,
  name: "orders",
  id,
  internal: false,
  partitions: leaders.map(([leader, epoch], index) => ({ code: 0, index, leader, epoch }))
})

describe("what is known of a topic", () => {
  it("follows the latest election, whoever tells of it", () => {
    const known = topic("a", [1, 4], [2, 7])
    assert.deepStrictEqual(newest(known, topic("a", [3, 5], [1, 6])), topic("a", [3, 5], [2, 7]))
    assert.deepStrictEqual(newest(known, topic("a", [-1, 5], [2, 7])), topic("a", [-1, 5], [2, 7]))
  })

  it("loses no leader by an answer of a broker that does not see it", () => {
    const known = topic("a", [1, 4], [2, 7])
    assert.deepStrictEqual(newest(known, topic("a", [-1, 4], [3, 8])), topic("a", [1, 4], [3, 8]))
  })

  it("loses no partition by an answer of a broker that was away", () => {
    const known = topic("a", [1, 1], [2, 1])
    assert.deepStrictEqual(newest(known, topic("a", [1, 1])), known)
    assert.deepStrictEqual(newest(topic("a", [1, 1]), known), known)
  })

  it("begins anew with a topic that was made again", () => {
    const again = topic("b", [3, 0])
    assert.deepStrictEqual(newest(topic("a", [1, 9], [2, 9]), again), again)
    assert.deepStrictEqual(newest(undefined, again), again)
  })
})

/** Metadata (version 10) as a broker sends it. */
const metadataOf = (nodes: ReadonlyArray<NodeAddress>, topics: ReadonlyArray<TopicMetadata>): Buffer => {
  const writer = new Writer()
  writer.int32(0).compactArray(nodes, ({ host, id, port }) => {
    writer.int32(id).compactString(host).int32(port).compactString(null).tags()
  })
  writer.compactString(null).int32(nodes[0]?.id ?? -1)
  writer.compactArray(topics, ({ code, internal, name, partitions }) => {
    writer.int16(code).compactString(name).raw(Buffer.alloc(16, 1)).bool(internal)
    writer.compactArray(partitions, ({ code, epoch, index, leader }) => {
      writer.int16(code).int32(index).int32(leader).int32(epoch)
      for (let i = 0; i < 3; i++) writer.compactArray([], () => {})
      writer.tags()
    })
    writer.int32(0).tags()
  })
  return writer.tags().bytes
}

/** Brokers that give these answers, one after the other, whoever is asked. */
class Scripted extends Cluster {
  readonly answers: Array<Buffer> = []
  readonly asked: Array<string> = []

  constructor() {
    super({
      brokers: [1, 2].map((port) => ({ host: "kafka", port })),
      patience: 1000,
      principal: undefined,
      clientId: "test",
      ssl: null,
      sasl: null,
      connectionTimeout: 1000,
      requestTimeout: 1000
    })
  }

  override send<A>(address: { readonly host: string; readonly port: number }, request: Request<A>) {
    return Effect.sync(() => {
      this.asked.push(`${address.host}:${address.port}`)
      return request.read(new Reader(this.answers.shift() ?? Buffer.alloc(0)))
    })
  }
}

describe("an answer without brokers", () => {
  const nodes = [1, 2].map((id) => ({ id, host: "kafka", port: id }))
  const full = metadataOf(nodes, [topic("a", [1, 1], [2, 1])])
  /** Of a broker that is being started: it knows neither itself nor any topic. */
  const empty = metadataOf([], [{ ...topic("a"), code: 3 }])

  it.effect("is not believed: nothing is forgotten, and another broker is asked", () =>
    Effect.gen(function* () {
      const cluster = new Scripted()
      cluster.answers.push(full, empty, full)
      yield* cluster.refresh(["orders"])
      const [from] = cluster.asked.splice(0)
      const error = yield* Effect.flip(cluster.refresh(["orders"], true))
      assert.match(error.message, /^Kafka at kafka:[12]: it knows of no broker, not even itself/)
      assert.isTrue(error._tag === "Unreachable" && !error.final)
      assert.strictEqual(yield* cluster.leaderName("orders", 1), "kafka:2")
      const { topics } = yield* cluster.refresh(["orders"], true)
      assert.deepStrictEqual([topics.length, topics[0]?.partitions.length], [1, 2])
      assert.strictEqual(new Set([from, ...cluster.asked]).size, 2)
      assert.notStrictEqual(cluster.asked[0], cluster.asked[1], "the one that knew nothing is left out for a while")
    })
  )

  it.effect("is no reason to take a topic for gone that is looked for", () =>
    Effect.gen(function* () {
      const cluster = new Scripted()
      cluster.answers.push(empty, full)
      const error = yield* Effect.flip(cluster.topic("orders"))
      assert.strictEqual(error._tag, "Unreachable")
      assert.strictEqual((yield* cluster.topic("orders")).partitions.length, 2)
    })
  )
})
