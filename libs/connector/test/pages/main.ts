import { Console, Effect, References } from "effect"
import process from "node:process"
import { parseArgs } from "node:util"
import { cells } from "./cells.ts"
import { run } from "./run.ts"
import { lineOf, matching, report } from "./table.ts"

/**
 * Prints the fault matrix of pages: `--runs` runs from `--seed` on, spread over all cells, or those whose names hold `--cell`, such
 * as "offset x time". None is begun behind `--minutes`. A cell that goes wrong is repeated by its name, its seed and `--runs 1`.
 */
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: String(cells.length) },
    seed: { type: "string", default: "1" },
    cell: { type: "string", default: "" },
    concurrency: { type: "string", default: "8" },
    minutes: { type: "string", default: "Infinity" }
  }
})

const program = Effect.gen(function* () {
  const chosen = matching(cells, values.cell)
  if (chosen.length === 0) return yield* Effect.die(new Error(`No cell's name holds ${JSON.stringify(values.cell)}.`))
  // The step has no divisor in common with the number of cells, so that few runs are spread too.
  const plans = Array.from({ length: Number(values.runs) }, (_, index) => ({
    cell: chosen[(index * 1009) % chosen.length]!,
    seed: Number(values.seed) + index
  }))
  let done = 0
  const until = performance.now() + Number(values.minutes) * 60_000
  const results = yield* Effect.forEach(
    plans,
    ({ cell, seed }) =>
      Effect.suspend(() => {
        if (performance.now() > until) return Effect.succeed([])
        return Effect.map(
          Effect.tap(run(cell, seed), (result) => {
            done++
            if (result.problems.length > 0) return Console.error(lineOf(result))
            return done % 200 === 0 ? Console.error(`${done} of ${plans.length} runs`) : Effect.void
          }),
          (result) => [result]
        )
      }),
    { concurrency: Number(values.concurrency) }
  )
  yield* Console.log(report(results.flat()))
  if (results.flat().some(({ problems }) => problems.length > 0)) process.exitCode = 1
}).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

await Effect.runPromise(program)
