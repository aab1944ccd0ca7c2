// Memory of the process on a long walk: reads, publishes and loads synthetic records through the whole embedded chain, and fails
// when its resident set grows by more than 50 MB after the first tenth, or when a record is missing or doubled.
//   npm run bench:memory
//   npm run bench:memory -- --records 500000
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { clientSecret, startApi, writeConnector } from "./synthetic.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    limit: { type: "string", default: "50" },
    trace: { type: "boolean", default: false }
  }
})
const records = Number(values.records)
const cli = fileURLToPath(import.meta.resolve("@tributary/cli/main"))

/** Resident set of a process in MB (Linux). */
const resident = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_000

const folder = mkdtempSync(join(tmpdir(), "tributary-memory-"))
const api = await startApi(["--records", values.records])
const connectors = writeConnector(folder, api, true)
const common = ["-c", connectors, "--data", join(folder, "data")]
const env = { ...process.env, BENCH_SECRET: clientSecret }

const run = spawn(process.execPath, ["--max-semi-space-size=8", cli, "run", "--json", ...common], {
  stdio: ["ignore", "pipe", "inherit"],
  env
})
const started = performance.now()
const samples: Array<{ readonly loaded: number; readonly mb: number }> = []
let loaded = 0
createInterface({ input: run.stdout }).on("line", (line) => {
  const progress: { readonly loaded?: number } = JSON.parse(line)
  loaded = progress.loaded ?? loaded
  if (loaded >= records) run.kill("SIGTERM")
})
const sampling = setInterval(() => {
  const mb = run.pid === undefined || run.exitCode !== null ? Number.NaN : resident(run.pid)
  // A process that is ending has no memory left to measure.
  if (mb > 0) samples.push({ loaded, mb })
}, 100)
const code = await new Promise<number | null>((done) => run.once("close", done))
clearInterval(sampling)
const elapsed = (performance.now() - started) / 1_000
await api.stop()

const query = spawn(
  process.execPath,
  [
    cli,
    "query",
    "SELECT count() AS rows, uniqExact(_offset) AS offsets, uniqExact(id) AS ids FROM bench.records",
    "--json",
    ...common
  ],
  { stdio: ["ignore", "pipe", "inherit"], env }
)
let answer = ""
query.stdout.on("data", (part: Buffer) => (answer += part.toString()))
await new Promise((done) => query.once("close", done))
rmSync(folder, { recursive: true, force: true })

const early = Math.max(...samples.filter((sample) => sample.loaded <= records / 10).map(({ mb }) => mb))
const late = Math.max(...samples.filter((sample) => sample.loaded > records / 10).map(({ mb }) => mb))
const growth = late - early
const exact = answer.trim() === `{"rows":${records},"offsets":${records},"ids":${records}}`
console.log(
  `${records.toLocaleString("en-US")} records in ${elapsed.toFixed(0)} s (${Math.round(records / elapsed).toLocaleString("en-US")}/s), exit code ${code}`
)
console.log(
  `resident set: ${early.toFixed(0)} MB in the first tenth, at most ${late.toFixed(0)} MB after it: growth ${growth.toFixed(0)} MB`
)
console.log(`in the table: ${answer.trim()}`)
if (values.trace) for (const { loaded: at, mb } of samples) console.log(`${at} ${mb.toFixed(0)}`)
const good = code === 0 && exact && growth < Number(values.limit)
console.log(`memory: ${good ? 1 : 0} passed, ${good ? 0 : 1} failed`)
process.exit(good ? 0 : 1)
