import { checkpointsTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { answer, around, checkpoint, connector, keys, run, serve, withServices } from "./support.ts"

const count = 450

/** Two records for each of many partitions; `since` leaves out those before it. */
const shops = Effect.gen(function* () {
  const asked: Array<string> = []
  const more = new Set<string>()
  const url = yield* serve((request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams
    const shop = query.get("shop") ?? ""
    asked.push(`${shop} ${query.get("since")}`)
    const all = [1, 2, ...(more.has(shop) ? [3] : [])].map((n) => ({ id: `${shop}-${n}`, at: n }))
    const data = all.filter(({ at }) => at >= Number(query.get("since") ?? 0))
    answer(response, JSON.stringify({ data }))
  })
  return { asked, more, url }
})

const names = Array.from({ length: count }, (_, n) => String(n))
const stream = {
  query: { shop: "{shop}" },
  pagination: { link: "next" },
  partitions: { list: { shop: names } },
  incremental: { field: "at", param: "since", type: "number" },
  poll: "every 1 milli"
}
const settings = (url: string) => connector(url, { items: stream })

describe("a source with many partitions", () => {
  it.live("that is killed after any commit goes on with every cursor, also those in snapshots", () =>
    withServices(
      Effect.gen(function* () {
        const { asked, more, url } = yield* shops
        // The snapshots are written with the 201st and the 402nd partition.
        for (const page of [0, 100, 99, 3]) {
          const reached = yield* Deferred.make<void>()
          const stop = (n: number) =>
            n === page ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
          const fiber = yield* run(settings(url), true).pipe(
            Effect.provide(around(() => Effect.void, stop)),
            Effect.forkChild
          )
          yield* Effect.raceFirst(Deferred.await(reached), Effect.asVoid(Fiber.await(fiber)))
          yield* Fiber.interrupt(fiber)
        }
        yield* run(settings(url), true)
        const all = names.flatMap((shop) => [`${shop}-1`, `${shop}-2`])
        assert.deepStrictEqual((yield* keys()).toSorted(), all.toSorted())
        const known = yield* checkpoint()
        assert.strictEqual(known?.partitions?.shards, 1)
        assert.isBelow(Object.keys(known?.partitions?.changed ?? {}).length, 201)
        const log = yield* Log
        assert.isNotNull(yield* log.latest(checkpointsTopic, Buffer.from("shop/items#0")))
        // Every partition goes on from its own cursor.
        more.add("7").add("431")
        asked.length = 0
        yield* run(settings(url), true)
        assert.deepStrictEqual((yield* keys()).slice(all.length).toSorted(), ["431-3", "7-3"])
        assert.deepStrictEqual(asked.toSorted(), names.map((shop) => `${shop} 2`).toSorted())
      })
    )
  )
})
