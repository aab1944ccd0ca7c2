// A server that speaks the protocols of AWS: moto (https://docs.getmoto.org), in a Python of its own, made once in the user's cache.
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import process from "node:process"

const version = "5.2.5"
const wanted = `moto[server,kms,secretsmanager]==${version}`

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "no reason given"

const motoPython = (): { readonly python: string } | { readonly missing: string } => {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")
  const directory = join(cache, `python-moto-${version}`)
  const python = join(directory, "bin", "python")
  if (existsSync(join(directory, "bin", "moto_server"))) return { python }
  if (spawnSync("python3", ["-c", "import venv"]).status !== 0) return { missing: "python3 with venv is not installed" }
  mkdirSync(cache, { recursive: true })
  const made = spawnSync("python3", ["-m", "venv", directory], { encoding: "utf8", timeout: 120_000 })
  const installed =
    made.status === 0
      ? spawnSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted], {
          encoding: "utf8",
          timeout: 300_000
        })
      : made
  if (installed.status === 0) return { python }
  rmSync(directory, { recursive: true, force: true })
  return { missing: `pip could not install ${wanted}: ${lastLine(installed.stderr)}` }
}

const found = motoPython()

/** Why it cannot be run; `undefined`: it can. */
export const missing = "missing" in found ? found.missing : undefined
if (missing !== undefined) process.stderr.write(`Tests with moto are skipped: ${missing}.\n`)

/** Starts it at a free port; gives its address. Ended with the scope. */
export const motoServer = Effect.gen(function* () {
  if ("missing" in found) return yield* Effect.die(found.missing)
  const { python } = found
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(python, ["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "pipe", "pipe"] })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return yield* Effect.callback<string>((resume) => {
    let said = ""
    const look = (part: Buffer) => {
      said += part.toString()
      const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (url !== undefined) resume(Effect.succeed(url))
    }
    child.stdout.on("data", look)
    child.stderr.on("data", look)
    child.on("close", () => resume(Effect.die(new Error(`moto ended by itself: ${said}`))))
  })
})
