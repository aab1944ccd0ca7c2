/**
 * The synthetic API as a process: `node libs/testkit/src/synthetic-api-main.ts --port 0 --records 2000000 --page-size 1000`.
 * Every setting of `SyntheticSettings` is an option, `--host` and `--port` say where it listens, the environment variable
 * `SYNTHETIC_CLIENT_SECRET` is the client's secret. Prints one JSON line with its addresses when it is ready; ends on SIGTERM
 * and when its input ends.
 */
import process, { env, stderr, stdin, stdout } from "node:process"
import { parseArgs } from "node:util"
import { startSyntheticApi } from "./SyntheticApi.ts"
import { syntheticDefaults, type SyntheticSettings } from "./SyntheticSettings.ts"

const optionOf = (name: string): string => name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)
const names = Object.keys(syntheticDefaults)

const parsed = parseArgs({
  options: Object.fromEntries(["host", "port", ...names].map((name) => [optionOf(name), { type: "string" as const }]))
})
const values = new Map<string, unknown>(Object.entries(parsed.values))

const settings: Record<string, unknown> = {}
for (const [name, fallback] of Object.entries(syntheticDefaults)) {
  const text = values.get(optionOf(name))
  if (typeof text !== "string") continue
  if (typeof fallback === "number") {
    settings[name] = Number(text)
    if (Number.isNaN(settings[name])) throw new Error(`--${optionOf(name)} takes a number, found ${text}.`)
  } else if (typeof fallback === "boolean") settings[name] = text === "true"
  else settings[name] = Array.isArray(fallback) ? text.split(" ") : text
}

// Not among the arguments, which every user of the machine can read.
const secret = env["SYNTHETIC_CLIENT_SECRET"]
if (secret !== undefined) settings["clientSecret"] = secret

const api = await startSyntheticApi({
  ...(settings as Partial<SyntheticSettings>),
  host: String(values.get("host") ?? "127.0.0.1"),
  port: Number(values.get("port") ?? 0)
}).catch((error: unknown) => {
  stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
stdout.write(`${JSON.stringify({ url: api.url, tokenUrl: api.tokenUrl })}\n`)

let isEnding = false
const end = () => {
  if (isEnding) return
  isEnding = true
  void api.stop().then(() => process.exit(0))
}
process.once("SIGTERM", end)
process.once("SIGINT", end)
stdin.once("end", end)
stdin.once("error", end)
stdin.resume()
