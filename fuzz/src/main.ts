/**
 * Random connector files, manifests and expressions against an API that answers at random: `npm run test:fuzz -- --minutes 60 --seed 7`.
 * Ends with 1 when something is wrong: a crash, a hang, memory without bound, or an error that does not name its place.
 *
 *     --minutes N    how long (default 1)
 *     --cases N      how many at most (default: as many as there is time for)
 *     --seed N       what everything follows from (default: the time)
 *     --kind K       connector, truth (one whose API is known), manifest, engine (a manifest in a connector file) or expression only
 *     --case FILE    runs one case again, as a run before has written it
 *     --one SEED     runs the one case of this seed (with --kind)
 *     --folder D     where cases that go wrong are written (default: .fuzz)
 *     --workers N    cases at a time (default 3)
 *     --time S       seconds that one case may take (default 45)
 *     --sabotage S   crash, exit, hang, loop, memory, place, lose or double: a product with this fault, which is to be found
 */
import { readFileSync } from "node:fs"
import process from "node:process"
import { parseArgs } from "node:util"
import { type Case, isCase } from "./Case.ts"
import { fuzz, type Kind, kinds, makeCase } from "./Fuzz.ts"
import { isObject } from "./Json.ts"
import { startWorker } from "./Worker.ts"

const say = (text: string) => void process.stdout.write(`${text}\n`)

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    cases: { type: "string", default: "Infinity" },
    seed: { type: "string", default: String(Math.floor(performance.timeOrigin) % 1_000_000) },
    kind: { type: "string" },
    case: { type: "string" },
    one: { type: "string" },
    folder: { type: "string", default: ".fuzz" },
    workers: { type: "string", default: "3" },
    time: { type: "string", default: "45" },
    sabotage: { type: "string" }
  }
})

const bounds = { time: Number(values.time) * 1000, memory: 1024 * 1_048_576 }
const chosen: ReadonlyArray<Kind> = kinds.filter((kind) => values.kind === undefined || values.kind === kind)

const again = async (given: Case): Promise<number> => {
  const worker = await startWorker(bounds, values.sabotage)
  const result = await worker.run(given, true)
  await worker.stop()
  say(JSON.stringify(given, undefined, 2).slice(0, 20_000))
  say(JSON.stringify(result, undefined, 2))
  return result.wrong.length === 0 ? 0 : 1
}

const whole = async (): Promise<number> => {
  const { minutes, seed } = values
  say(`fuzz: seed ${seed}, ${minutes} minutes, ${chosen.join(", ")}`)
  const report = await fuzz({
    seed: Number(seed),
    lasts: Number(minutes) * 60_000,
    most: Number(values.cases),
    kinds: chosen,
    bounds,
    folder: values.folder,
    sabotage: values.sabotage,
    shrinkTime: 30_000,
    workers: Number(values.workers),
    say
  })
  for (const [word, count] of [...report.words].toSorted((a, b) => b[1] - a[1]))
    say(`${String(count).padStart(8)}  ${word}`)
  say(
    `${report.cases} cases, ${report.requests} requests; slowest ${Math.round(report.slowest)} ms; at most ${Math.round(report.resident / 1_048_576)} MB resident`
  )
  for (const { count, detail, file, kind, name, seed: own } of report.failures) {
    say(
      `WRONG ${count} times: ${name}\n    npm run test:fuzz -- --case ${file}   (or --kind ${kind} --one ${own})\n    ${detail.split("\n")[0] ?? ""}`
    )
  }
  say(report.failures.length === 0 ? "nothing wrong" : `${report.failures.length} faults`)
  return report.failures.length === 0 ? 0 : 1
}

const written = (file: string): Case => {
  const content: unknown = JSON.parse(readFileSync(file, "utf8"))
  const given = isObject(content) ? content["case"] : undefined
  if (!isCase(given)) throw new Error(`${file} holds no case`)
  return given
}

const file = values.case
process.exitCode =
  file !== undefined
    ? await again(written(file))
    : values.one === undefined
      ? await whole()
      : await again(makeCase(chosen[0] ?? "connector", Number(values.one)))
