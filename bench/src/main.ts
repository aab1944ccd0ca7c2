// Records per second of each part of the chain, each beside its raw limit in the same run.
//   npm run bench                                three rounds of 300,000 records
//   npm run bench -- --records 1000000 --rounds 5
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { type Figures, measure, platform } from "./chain.ts"
import { clientSecret, startApi } from "./synthetic.ts"

const { values } = parseArgs({
  options: { records: { type: "string", default: "300000" }, rounds: { type: "string", default: "3" } }
})

process.env["BENCH_SECRET"] = clientSecret

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

const rate = (records: number, seconds: number): string =>
  Math.round(records / seconds)
    .toLocaleString("en-US")
    .padStart(10)

const parts: ReadonlyArray<readonly [name: string, ours: keyof Figures, raw: keyof Figures, what: string]> = [
  ["API -> log", "apiToLog", "rawDownload", "bare undici and JSON.parse"],
  ["log -> ClickHouse", "logToClickHouse", "rawInsert", "the same bytes inserted directly"],
  ["end to end", "endToEnd", "rawEndToEnd", "one loop: undici, JSON.parse, stringify, insert"]
]

const program = Effect.gen(function* () {
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"))
  const api = yield* Effect.acquireRelease(
    Effect.promise(() => startApi(["--records", values.records])),
    (started) => Effect.promise(() => started.stop())
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const rounds: Array<Figures> = []
  for (let round = 1; round <= Number(values.rounds); round++)
    rounds.push(yield* measure(api, join(folder, `round-${round}`)))
  const lines = [
    `${values.records} records of about 390 bytes, medians of ${rounds.length} rounds, records per second`,
    "",
    `${"".padEnd(20)}${"Tributary".padStart(10)}  ${"raw limit".padStart(10)}  ratio (min-max)`
  ]
  for (const [name, ours, raw, what] of parts) {
    const ratios = rounds.map((figures) => figures[raw] / figures[ours])
    const of = (part: keyof Figures) => median(rounds.map((figures) => figures[part]))
    lines.push(
      `${name.padEnd(20)}${rate(rounds[0]!.records, of(ours))}  ${rate(rounds[0]!.records, of(raw))}  ` +
        `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})  ${what}`
    )
  }
  process.stdout.write(`${lines.join("\n")}\n`)
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(platform)))
