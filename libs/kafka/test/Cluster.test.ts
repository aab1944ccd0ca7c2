import { assert, describe, it } from "vitest"
import type { TopicMetadata } from "../src/AdminRequests.ts"
import { newest } from "../src/Cluster.ts"

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
