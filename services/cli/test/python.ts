// A Python with the consumer that the tests run, made once in the user's cache.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import process from "node:process"

/** What is installed, as pip names it. */
const wanted = "confluent-kafka[avro,json,schemaregistry]==2.16.0"

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "no reason given"

/** The Python that has it, or why there is none. */
export const consumerPython = (): { readonly python: string } | { readonly missing: string } => {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")
  const directory = join(cache, "python-confluent-kafka-2.16.0")
  const python = join(directory, "bin", "python")
  if (existsSync(python)) return { python }
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
