// Runs a command of this project on the project's own Node. Needs nothing but Node 20 and npm: the first run installs what
// package-lock.json names; later runs only check that nothing has changed since.
//   node scripts/bootstrap.mjs <node|vitest|oxfmt|...> [args...]
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createHash } from "node:crypto"
import { constants } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = join(root, "node_modules", ".bin")
const stamp = join(root, "node_modules", ".tributary-installed")

const lock = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex")
const installed = existsSync(stamp) && existsSync(join(bin, "node")) ? readFileSync(stamp, "utf8") : ""

if (installed !== lock) {
  process.stderr.write("Installing dependencies (once; about 850 MB, most of it the ClickHouse server) ...\n")
  const started = Date.now()
  // Not `npm ci`: it refuses a lock file in which a registry's missing binaries of other platforms are not listed. `--no-save`
  // takes every version from the lock file too, and leaves it as it is.
  const npm = spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32"
  })
  if (npm.status !== 0) {
    process.stderr.write(
      "npm install failed (see above). Check the network or the npm registry setting, then run the command again.\n"
    )
    process.exit(npm.status ?? 1)
  }
  writeFileSync(stamp, lock)
  process.stderr.write(`Installed in ${((Date.now() - started) / 1000).toFixed(0)} s.\n`)
}

const [command, ...args] = process.argv.slice(2)
/**
 * By default glibc gives each thread that allocates an arena of its own, and keeps in each what was freed there: those of V8's
 * compilers hold 20 to 30 MB after a start. JavaScript's own objects are not in them.
 */
const arenas = process.env.MALLOC_ARENA_MAX ?? "1"
const child = spawn(join(bin, command), args, {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    MALLOC_ARENA_MAX: arenas,
    PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
    INVOKED_FROM: process.env.INIT_CWD ?? process.cwd()
  }
})
// The terminal sends Ctrl-C to the whole group; a supervisor sends SIGTERM to us alone: pass that one on.
process.on("SIGINT", () => {})
process.on("SIGTERM", () => child.kill("SIGTERM"))
child.on("error", (error) => {
  process.stderr.write(`cannot run ${command}: ${error.message}\n`)
  process.exit(1)
})
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0)))
