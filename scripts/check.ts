// Everything that can be checked without running the product, side by side; prints what failed and exits 1.
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const checks: ReadonlyArray<{ readonly name: string; readonly command: ReadonlyArray<string> }> = [
  { name: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "lint", command: ["oxlint", "--deny-warnings"] },
  { name: "format", command: ["oxfmt", "--check"] },
  { name: "package direction", command: ["turbo", "boundaries", "--no-color"] },
  { name: "dead code", command: ["knip", "--no-progress"] },
  { name: "dependencies", command: ["node", "--disable-warning=ExperimentalWarning", "scripts/dependencies.ts"] },
  { name: "generated files", command: ["node", "scripts/gen.ts", "--check"] }
]

const run = ({ name, command: [program, ...args] }: (typeof checks)[number]) =>
  new Promise<boolean>((resolve) => {
    const started = performance.now()
    const child = spawn(program!, args, {
      cwd: root,
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()))
    child.on("error", (error) => (output += error.message))
    child.on("close", (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`)
      if (code !== 0) console.log(output)
      resolve(code === 0)
    })
  })

const waiting = [...checks]
const results: Array<boolean> = []
const worker = async () => {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) results.push(await run(check))
}
await Promise.all(Array.from({ length: Math.min(availableParallelism(), checks.length) }, worker))
process.exit(results.every(Boolean) ? 0 : 1)
