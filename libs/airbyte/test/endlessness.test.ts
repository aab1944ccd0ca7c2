import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { wholeSlice } from "../src/component/Slice.ts"
import type { RunError } from "../src/component/RunError.ts"
import type { PlainDict } from "../src/expression/Value.ts"
import type { RetrievedPage } from "../src/run/Parts.ts"
import { readPages } from "../src/run/readPages.ts"

interface Walked {
  readonly ids: ReadonlyArray<number>
  readonly pages: number
  readonly failure: RunError | undefined
}

/** Walks through the pages that an API with `answer` has: ids, and where it goes on. */
const walk = (
  answer: (
    token: number | undefined,
    request: number
  ) => readonly [ids: ReadonlyArray<number>, next: number | undefined]
): Effect.Effect<Walked> =>
  Effect.gen(function* () {
    let pages = 0
    const ids: Array<number> = []
    const page = (_: unknown, position: PlainDict | undefined) =>
      Effect.sync((): RetrievedPage => {
        const token = position?.["token"]
        const [found, next] = answer(typeof token === "number" ? token : undefined, pages++)
        return {
          // Times differ from request to request.
          records: found.map((id) => ({ data: { id, at: performance.now() }, slice: wholeSlice })),
          next: next === undefined ? undefined : { token: next },
          answers: [Buffer.from(JSON.stringify(found))]
        }
      })
    const read = readPages(page, "orders")(wholeSlice, (records) =>
      Effect.sync(() => {
        for (const { data } of records) ids.push(Number(data["id"]))
      })
    )
    const result = yield* Effect.result(read)
    return { ids, pages, failure: Result.isFailure(result) ? result.failure : undefined }
  })

it.effect("a walk that comes back to its pages ends, and says so", () =>
  Effect.gen(function* () {
    for (const length of [1, 2, 7]) {
      const { failure, ids, pages } = yield* walk((token = 0) => [[token], (token + 1) % length])
      assert.include(failure?.message, "Stream orders: its pagination does not end: after page ")
      assert.isAtMost(pages, 4 * length)
      assert.sameMembers([...new Set(ids)], [...Array(length).keys()])
    }
  })
)

it.effect("a walk through pages that are all the same ends, and says so", () =>
  Effect.gen(function* () {
    const { failure, pages } = yield* walk((token = 0) => [[1, 2, 3], token + 1])
    assert.include(failure?.message, "the API has answered 101 requests in a row with the same records")
    assert.strictEqual(pages, 101)
    const few = yield* walk((token = 0) => [[1, 2, 3], token < 90 ? token + 1 : undefined])
    assert.isUndefined(few.failure)
  })
)

it.effect("a cursor that stays the same is followed while the answers differ", () =>
  Effect.gen(function* () {
    const { failure, ids } = yield* walk((_, request) => [[request], request < 5000 ? 7 : undefined])
    assert.isUndefined(failure)
    assert.strictEqual(ids.length, 5001)
  })
)

it.effect("an API that has nothing yet is asked again", () =>
  Effect.gen(function* () {
    const { failure, ids, pages } = yield* walk((_, request) => (request < 300 ? [[], 7] : [[1], undefined]))
    assert.isUndefined(failure)
    assert.deepStrictEqual([ids, pages], [[1], 301])
    const never = yield* walk(() => [[], 7])
    assert.include(never.failure?.message, "its pagination does not end")
    assert.isAtMost(never.pages, 1010)
  })
)
