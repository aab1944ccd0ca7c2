import { assert, describe, it } from "@effect/vitest"
import { Effect, References } from "effect"
import { type Cell, cells, cursors, faults, paginators, partings } from "./pages/cells.ts"
import { run } from "./pages/run.ts"
import { lineOf } from "./pages/table.ts"

/** Faults that make a run wait for a timeout of real time. */
const slow = new Set(["no headers", "no end of body"])

/** Every paginator with every cursor, once; parts and faults take turns. */
const few: ReadonlyArray<Cell> = paginators.flatMap((paginator, row) =>
  cursors.flatMap((cursor, column): ReadonlyArray<Cell> => {
    const turn = row * cursors.length + column
    const order = faults.filter((fault) => !slow.has(fault) || turn % 30 === 0)
    const parting = partings[(row + column) % partings.length]!
    const wanted = [...order.slice(turn % order.length), ...order]
    const found = wanted
      .map((fault): Cell => ({ paginator, cursor, parting, fault }))
      .find((cell) => cells.some((known) => JSON.stringify(known) === JSON.stringify(cell)))
    return found === undefined ? [] : [found]
  })
)

describe("pages under faults", () => {
  for (const paginator of paginators) {
    it.live(`by ${paginator}: nothing is missed, invented or doubled, and every run ends`, () =>
      Effect.gen(function* () {
        const results = yield* Effect.forEach(
          few.filter((cell) => cell.paginator === paginator),
          (cell, index) => run(cell, index + 1),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(results.filter(({ problems }) => problems.length > 0).map(lineOf), [])
        assert.isAbove(results.length, 3)
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    )
  }
})
