// Kills the process with SIGKILL at random moments of the backfill, restarts it to the end, and compares every row.
//   npm run test:faults                    50 kills
//   npm run test:faults -- --kills 10 --seed 7
import process from "node:process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { connectors, differences, startApi, tributary } from "./harness.ts"

const { values } = parseArgs({
  options: { kills: { type: "string", default: "50" }, seed: { type: "string", default: String(Date.now() % 100_000) } }
})
const kills = Number(values.kills)
let state = Number(values.seed)

/** Mulberry32: the same seed gives the same moments. */
const random = (): number => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

// Small pages and a slow rate make the backfill long enough to be hit anywhere; faults and short tokens are on.
const api = await startApi(["--page-size", "100", "--rate-limit", "0", "--token-life", "5", "--error-rate", "0.02"])

/** A run to the end; the time it took in milliseconds. */
const finish = async (data: string): Promise<number> => {
  const started = performance.now()
  const { code, err } = await tributary(api, ["run", "--once", "-c", connectors, "--data", data]).ended
  if (code !== 0) throw new Error(`the run ended with code ${code}:\n${err}`)
  return performance.now() - started
}

let failed = 0
let killed = 0
let compared = 0
const folder = mkdtempSync(join(tmpdir(), "tributary-faults-"))
try {
  const whole = await finish(join(folder, "baseline"))
  console.log(`seed ${values.seed}; a run without faults takes ${(whole / 1000).toFixed(1)} s`)
  for (let round = 1; killed < kills; round++) {
    const data = join(folder, `round-${round}`)
    const moments: Array<string> = []
    for (let n = 1 + Math.floor(random() * 3); n > 0 && killed < kills; n--) {
      const moment = 200 + random() * whole
      const { child, ended } = tributary(api, ["run", "--once", "-c", connectors, "--data", data])
      const timer = setTimeout(() => child.kill("SIGKILL"), moment)
      const { code, err, signal } = await ended
      clearTimeout(timer)
      if (signal === "SIGKILL") {
        killed++
        moments.push(`${(moment / 1000).toFixed(2)} s`)
      } else if (code === 0) break
      else throw new Error(`the run ended with code ${code} before it was killed:\n${err}`)
    }
    if (moments.length === 0) continue
    await finish(data)
    const wrong = await differences(data)
    compared++
    console.log(`round ${round}: killed at ${moments.join(", ")}: ${wrong.length === 0 ? "exact" : wrong.join("; ")}`)
    if (wrong.length === 0) rmSync(data, { recursive: true, force: true })
    else failed++
  }
} finally {
  await api.stop()
  if (failed === 0) rmSync(folder, { recursive: true, force: true })
  else console.log(`The data of the rounds that differ is in ${folder}.`)
}
console.log(`${killed} kills, ${compared} comparisons of all tables`)
console.log(`faults: ${compared - failed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
