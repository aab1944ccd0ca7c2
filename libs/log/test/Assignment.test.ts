import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { assign } from "../src/Assignment.ts"

interface Partition {
  readonly topic: { readonly name: string }
  readonly index: number
}
interface Member {
  readonly topics: ReadonlySet<string>
}

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Change = Schema.Union([
  Schema.TaggedStruct("Join", { topics: Schema.Array(upTo(2)) }),
  Schema.TaggedStruct("Leave", { member: upTo(5) }),
  Schema.TaggedStruct("Grow", { topic: upTo(2), by: upTo(4) })
])

describe("Assignment", () => {
  it.effect.prop(
    "gives every partition to one of its subscribers, as evenly as can be, and moves none without need",
    [Schema.Array(Change)],
    ([changes]) => {
      const partitions: Array<Partition> = []
      const members: Array<Member> = []
      let current = new Map<Partition, Member>()
      for (const change of changes) {
        if (change._tag === "Join") members.push({ topics: new Set(change.topics.map(String)) })
        else if (change._tag === "Leave") members.splice(change.member, 1)
        else {
          const topic = { name: String(change.topic) }
          for (let i = 0; i < change.by; i++) partitions.push({ topic, index: partitions.length })
        }
        const before = current
        current = assign(partitions, members, before)
        const load = (member: Member) => [...current.values()].filter((owner) => owner === member).length
        for (const partition of partitions) {
          const able = members.filter((member) => member.topics.has(partition.topic.name))
          const owner = current.get(partition)
          if (owner === undefined) {
            assert.deepStrictEqual(able, [])
            continue
          }
          assert.include(able, owner)
          for (const other of able) assert.isAtMost(load(owner) - load(other), 1)
        }
        for (const [partition, owner] of assign(partitions, members, current))
          assert.strictEqual(owner, current.get(partition))
        // One who leaves costs the others nothing but what was his.
        if (change._tag === "Leave") {
          const all = members.every((member) => [...current.keys()].every(({ topic }) => member.topics.has(topic.name)))
          if (all)
            for (const [partition, owner] of before)
              if (members.includes(owner)) assert.strictEqual(current.get(partition), owner)
        }
      }
      return Effect.void
    },
    { arbitrary: { runs: 300 } }
  )
})
