import { it } from "@effect/vitest"
import { Schema } from "effect"
import { assert, describe } from "vitest"
import {
  decodeAssignment,
  decodeSubscription,
  distribute,
  encodeAssignment,
  encodeSubscription,
  type Partition
} from "../src/Subscription.ts"

const topics = new Map([
  ["a", 5],
  ["b", 3]
])
const all: ReadonlyArray<Partition> = Array.from(topics, ([topic, count]) =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))
).flat()
const nameOf = ({ partition, topic }: Partition): string => `${topic}/${partition}`

describe("a distribution", () => {
  it.prop(
    "gives each partition to one member at most, takes none from its owner before that has let go, and comes to rest",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })))],
    ([history]) => {
      const owned = new Map<number, Set<string>>()
      for (const member of history) {
        // Joins, or leaves.
        if (owned.has(member)) owned.delete(member)
        else owned.set(member, new Set())
        for (let round = 0, rest = false; !rest && owned.size > 0; round++) {
          assert.isBelow(round, 5)
          const members = Array.from(owned, ([id, places]) => ({
            id: String(id),
            topics: [...topics.keys()],
            owned: all.filter((place) => places.has(nameOf(place)))
          }))
          const assigned = distribute(members, topics)
          rest = true
          for (const [id, places] of assigned) {
            for (const place of places)
              for (const [other, held] of owned)
                assert.isFalse(String(other) !== id && held.has(nameOf(place)), `${nameOf(place)} is still held`)
            const now = new Set(places.map(nameOf))
            const before = owned.get(Number(id))!
            if (now.size !== before.size || [...now].some((name) => !before.has(name))) rest = false
          }
          for (const [id, places] of assigned) owned.set(Number(id), new Set(places.map(nameOf)))
        }
        const held = Array.from(owned.values(), (places) => Array.from(places)).flat()
        if (owned.size > 0) assert.deepStrictEqual(held.sort(), all.map(nameOf).sort())
        const loads = [...owned.values()].map((places) => places.size)
        assert.isAtMost(Math.max(0, ...loads) - Math.min(8, ...loads), 1)
      }
    }
  )

  it("is sent as it was made", () => {
    const owned = all.slice(2, 6)
    assert.deepStrictEqual(decodeSubscription(encodeSubscription({ topics: ["b", "a"], owned })), {
      topics: ["a", "b"],
      owned
    })
    assert.deepStrictEqual(decodeAssignment(encodeAssignment(owned)), owned)
    assert.deepStrictEqual(decodeAssignment(Buffer.alloc(0)), [])
  })
})
