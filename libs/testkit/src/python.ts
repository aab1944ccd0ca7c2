import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { env } from "node:process"

/** A Python with what was asked for, or why there is none. */
export type PythonWith = { readonly python: string } | { readonly missing: string }

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "no reason given"

/**
 * A Python of its own with packages from PyPI, made once in the user's cache. `wanted` is what pip is to install, with its version;
 * `name` that of the folder, which has to change with the version.
 */
export const pythonWith = (name: string, wanted: string): PythonWith => {
  const cache = join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")
  const directory = join(cache, `python-${name}`)
  const python = join(directory, "bin", "python")
  if (existsSync(python)) return { python }
  if (spawnSync("python3", ["-c", "import venv"]).status !== 0) return { missing: "python3 with venv is not installed" }
  mkdirSync(cache, { recursive: true })
  const made = spawnSync("python3", ["-m", "venv", directory], { encoding: "utf8", timeout: 120_000 })
  const installed =
    made.status === 0
      ? spawnSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted], {
          encoding: "utf8",
          timeout: 600_000
        })
      : made
  if (installed.status === 0) return { python }
  rmSync(directory, { recursive: true, force: true })
  return { missing: `pip could not install ${wanted}: ${lastLine(installed.stderr)}` }
}
