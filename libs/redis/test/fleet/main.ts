import { Console, Effect } from "effect"
import process from "node:process"
import { parseArgs } from "node:util"
import { missing } from "../RedisServer.ts"
import { sabotages } from "./options.ts"
import { runFleet } from "./runFleet.ts"
import { judge, table } from "./verdict.ts"

/** Proves that a fleet refreshes each token once, keeps to its budget and comes back from an outage in order; prints a table. */
const { values } = parseArgs({
  options: {
    connectors: { type: "string", default: "1000" },
    authorizations: { type: "string", default: "100" },
    processes: { type: "string", default: "4" },
    lives: { type: "string", default: "1000" },
    "life-ms": { type: "string", default: "1500" },
    budget: { type: "string" },
    "outage-s": { type: "string", default: "60" },
    without: { type: "string", default: "nothing" }
  }
})

const life = Number(values["life-ms"])
const authorizations = Number(values.authorizations)
const without = sabotages.find((one) => one === values.without)

const program = Effect.gen(function* () {
  if (missing !== undefined || without === undefined) {
    yield* Console.error(missing ?? `--without takes one of ${sabotages.join(", ")}.`)
    process.exitCode = 2
    return
  }
  const record = yield* runFleet(
    {
      connectors: Number(values.connectors),
      authorizations,
      processes: Number(values.processes),
      lives: Number(values.lives),
      life,
      // Half as many again as the fleet needs when its tokens are replaced after two fifths of their life.
      budget: Number(values.budget ?? Math.ceil((1.5 * authorizations * 1000) / (0.4 * life))),
      outage: Number(values["outage-s"]) * 1000,
      without
    },
    (line) => void process.stderr.write(`${line}\n`)
  )
  const checks = judge(record)
  yield* Console.log(table(record, checks))
  const told = new Map(record.failures.map((one) => [one.failureClass, one.message]))
  for (const [failureClass, message] of told) yield* Console.log(`       failures ${failureClass}: ${message}`)
  if (!record.isComplete || checks.some(({ isGood }) => !isGood)) process.exitCode = 1
})

await Effect.runPromise(program)
