// Records per second of one stream, read by the connector engine, by a bare loop, by airbyte-cdk and by dlt: the same API, the same
// pages, each reader in a process of its own, one after the other, in rounds. Exits 1 when a goal is missed.
//   npm run bench:engine
//   npm run bench:engine -- --records 600000 --rounds 5 --peer-records 60000
import { spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"
import { text } from "node:stream/consumers"
import { parseArgs } from "node:util"
import { pythonWith } from "@tributary/testkit"
import { type Api, clientSecret, startApi } from "./synthetic.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "600000" },
    "peer-records": { type: "string", default: "40000" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" }
  }
})

interface Reader {
  readonly name: string
  readonly what: string
  readonly command: ReadonlyArray<string>
  readonly isPeer: boolean
}

const node = (name: string, what: string): Reader => ({
  name,
  what,
  isPeer: false,
  // The flags that the product itself runs with.
  command: [process.execPath, "--max-semi-space-size=8", join(import.meta.dirname, "reader.ts"), name]
})

const say = (line: string) => void process.stdout.write(`${line}\n`)

const peer = (name: string, what: string, script: string, venv: string, wanted: string): ReadonlyArray<Reader> => {
  const found = pythonWith(venv, wanted)
  if ("missing" in found) {
    say(`skipped: ${name}, ${found.missing}`)
    return []
  }
  return [{ name, what, isPeer: true, command: [found.python, join(import.meta.dirname, script), name] }]
}

const cdk = ["airbyte-cdk-7.39.1", "airbyte-cdk==7.39.1"] as const
const dlt = ["dlt-1.31.0", "dlt==1.31.0"] as const

const readers: ReadonlyArray<Reader> = [
  node(
    "bare",
    "loop: undici, JSON.parse, next page; no retry, no time limit, no checkpoint, nothing kept or checked, numbers rounded"
  ),
  node("bare-ahead", "the same, the next page asked for before the records are parsed"),
  node("engine", "pages of the engine one after the other, no log"),
  node("engine-ahead", "the same with prefetch, as the product runs"),
  node("engine-log", "with prefetch into the SQLite log: records and checkpoint of a page in one transaction"),
  ...peer("airbyte-cdk", "records of its runner as messages, not printed", "airbyteReader.py", ...cdk),
  ...peer("dlt-extract", "its extract step, which writes its own working files", "dltReader.py", ...dlt),
  ...peer("dlt", "extract, normalise and load as lines of JSON", "dltReader.py", ...dlt)
].filter(({ name }) => values.only === undefined || values.only.split(",").includes(name))

interface Figures {
  readonly rate: number
  /** Microseconds of the reader's own processor time per record. */
  readonly cpu: number
}

const run = async ({ command, name }: Reader, api: Api): Promise<Figures> => {
  const [program = "", ...args] = command
  const child = spawn(program, [...args, api.url, api.tokenUrl], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, BENCH_SECRET: clientSecret, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" }
  })
  const ended = new Promise<number | null>((done) => child.once("close", done))
  const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
  const code = await ended
  const line = said.trim().split("\n").at(-1) ?? ""
  if (code !== 0 || !line.startsWith("{")) throw new Error(`${name} ended with ${code}: ${complained.slice(-2000)}`)
  const { cpu, records, seconds }: { readonly records: number; readonly seconds: number; readonly cpu: number } =
    JSON.parse(line)
  if (records !== expected.get(name)) throw new Error(`${name} read ${records} records of ${expected.get(name)}`)
  return { rate: records / seconds, cpu: (cpu / records) * 1e6 }
}

const expected = new Map(
  readers.map(({ isPeer, name }) => [name, Number(isPeer ? values["peer-records"] : values.records)])
)
const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

const api = await startApi(["--records", values.records])
const few = await startApi(["--records", values["peer-records"]])
const rounds: Array<Map<string, Figures>> = []
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    const figures = new Map<string, Figures>()
    for (const reader of readers) figures.set(reader.name, await run(reader, reader.isPeer ? few : api))
    rounds.push(figures)
  }
} finally {
  await api.stop()
  await few.stop()
}

const of = (name: string, part: keyof Figures): number => median(rounds.map((round) => round.get(name)?.[part] ?? 0))
const ratios = (name: string, base: string): ReadonlyArray<number> =>
  rounds.map((round) => (round.get(name)?.rate ?? 0) / (round.get(base)?.rate ?? Number.NaN))

say(
  `${values.records} records (${values["peer-records"]} for readers in Python) of about 390 bytes in pages of 1,000; medians of ${values.rounds} rounds\n`
)
say(`${"".padEnd(14)}${"records/s".padStart(11)}${"us CPU".padStart(9)}${"to bare".padStart(9)}  what it does`)
for (const { name, what } of readers) {
  const rate = Math.round(of(name, "rate")).toLocaleString("en-US").padStart(11)
  say(
    `${name.padEnd(14)}${rate}${of(name, "cpu").toFixed(2).padStart(9)}${median(ratios(name, "bare")).toFixed(2).padStart(9)}  ${what}`
  )
}
say("")

/** How many times as fast as another reader it is to be at least; without a number it is only told. */
const goals: ReadonlyArray<readonly [name: string, base: string, least?: number]> = [
  ["engine", "bare", 0.8],
  ["engine-ahead", "bare", 0.8],
  ["engine", "airbyte-cdk", 10],
  ["engine", "dlt", 10],
  ["engine", "dlt-extract"],
  ["engine-log", "bare"],
  ["engine-log", "airbyte-cdk"],
  ["engine-log", "dlt"]
]
let missed = 0
for (const [name, base, least] of goals) {
  const found = ratios(name, base).filter((ratio) => !Number.isNaN(ratio))
  if (found.length === 0 || found.includes(0)) continue
  const ratio = median(found)
  const isMissed = least !== undefined && ratio < least
  if (isMissed) missed++
  const range = `${Math.min(...found).toFixed(2)}-${Math.max(...found).toFixed(2)}`
  const verdict = least === undefined ? "told  " : isMissed ? "MISSED" : "ok    "
  const goal = least === undefined ? "" : `, goal ${least}`
  say(`${verdict} ${name} / ${base}: ${ratio.toFixed(2)} (${range})${goal}`)
}
process.exitCode = missed > 0 ? 1 : 0
