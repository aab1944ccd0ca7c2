import { Console, Effect } from "effect"
import process from "node:process"
import { parseArgs } from "node:util"
import { isWrong, plansOf, type Result, table } from "./matrix.ts"
import { runAll } from "./runAll.ts"

/** Prints the fault matrix: what becomes of refresh tokens with the journal and with a naive client, on both stores. */
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10000" },
    concurrency: { type: "string", default: "32" },
    naive: { type: "string", default: "1050" }
  }
})

const program = Effect.gen(function* () {
  const concurrency = Number(values.concurrency)
  const all: Array<Result> = []
  for (const client of ["journal", "naive"] as const) {
    for (const store of ["sqlite", "redis"] as const) {
      const count = Math.ceil(Number(client === "journal" ? values.runs : values.naive) / 2)
      const results = yield* runAll(store, plansOf(count), client, concurrency)
      yield* Console.log(`\n${table(`${client}, ${store}`, results)}`)
      if (client === "journal") all.push(...results)
    }
  }
  const wrong = all.filter(isWrong)
  for (const { case: plan, detail, revoked, verdict } of wrong.slice(0, 20)) {
    yield* Console.log(
      `${plan.provider.name}: ${plan.kill}, ${plan.reply}, ${plan.trouble}: ${verdict}, ${revoked}. ${detail}`
    )
  }
  if (wrong.length > 0) process.exitCode = 1
})

await Effect.runPromise(program)
