/** A Python with airbyte-cdk, made once in the user's cache. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"

/** What is installed, as pip names it. */
const wanted = "airbyte-cdk==7.39.1"

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "no reason given"

/** The Python that has it, or why there is none. AIRBYTE_CDK_PYTHON names one that is there already. */
export const cdkPython = (): { readonly python: string } | { readonly missing: string } => {
  const given = process.env["AIRBYTE_CDK_PYTHON"]
  if (given !== undefined && given !== "") return { python: given }
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")
  const directory = join(cache, "python-airbyte-cdk-7.39.1")
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

/** A process that runs one job after the other. */
export const startCdk = (python: string) => {
  const child: ChildProcess = spawn(python, [join(import.meta.dirname, "cdk.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NO_PROXY: "*", no_proxy: "*" }
  })
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error("Python has no pipes")
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  return {
    /** A job and its reply, each one line of JSON. */
    run: async (job: string): Promise<string> => {
      stdin.write(`${job}\n`)
      const next = await lines.next()
      if (next.done === true) throw new Error("the Python process ended; see its messages above")
      return next.value
    },
    stop: () => stdin.end()
  }
}
