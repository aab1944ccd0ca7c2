import { Effect } from "effect"
import type { Cluster } from "./Cluster.ts"
import { Code } from "./Code.ts"
import { fetchOffsets, type StoredPosition } from "./GroupRequests.ts"
import { type KafkaFault, type Needs, Refused } from "./KafkaFault.ts"
import type { Request } from "./Request.ts"

const moving = new Set<number>([Code.coordinatorLoading, Code.coordinatorNotAvailable, Code.notCoordinator])

/** Asks a group's coordinator once; one that has moved is looked up again the next time. */
export const askGroup = <A>(
  cluster: Cluster,
  group: string,
  request: Request<A>,
  codeOf: (answer: A) => number
): Effect.Effect<A, KafkaFault> =>
  Effect.tap(cluster.toCoordinator("group", group, request), (answer) => {
    const code = codeOf(answer)
    if (!moving.has(code)) return Effect.void
    cluster.forgetCoordinator("group", group)
    return Effect.fail(new Refused({ code, what: `the group ${group}` }))
  })

/** What a group has committed, at one place or everywhere. While a transaction may still move a position it waits. */
export const storedPositions = Effect.fnUntraced(function* (
  cluster: Cluster,
  group: string,
  place: { readonly topic: string; readonly partition: number } | null
): Effect.fn.Return<ReadonlyArray<StoredPosition>, KafkaFault> {
  const { code, positions } = yield* askGroup(cluster, group, fetchOffsets(group, place), (answer) => answer.code)
  const what = `the positions of group ${group}`
  const needs: Needs = { group: ["Read", group] }
  yield* cluster.check(code, what, { needs })
  for (const { code, topic } of positions)
    yield* cluster.check(code, what, { topic, needs: { ...needs, topic: ["Read", topic] } })
  return positions.filter((position) => position.offset >= 0)
})
