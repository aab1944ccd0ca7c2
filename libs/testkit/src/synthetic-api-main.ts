/**
 * The synthetic API as a process: `node libs/testkit/src/synthetic-api-main.ts --port 0 --records 2000000 --page-size 1000`.
 * Every setting of `SyntheticSettings` is an option. Prints one JSON line with its addresses when it is ready; ends on SIGTERM
 * and when its input ends.
 */
import process, { stdin, stdout } from "node:process"
import { parseArgs } from "node:util"
import { startSyntheticApi, syntheticDefaults, type SyntheticSettings } from "./SyntheticApi.ts"

const optionOf = (name: string): string => name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)
const names = Object.keys(syntheticDefaults)

const parsed = parseArgs({
  options: Object.fromEntries(["port", ...names].map((name) => [optionOf(name), { type: "string" as const }]))
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

const api = await startSyntheticApi({
  ...(settings as Partial<SyntheticSettings>),
  port: Number(values.get("port") ?? 0)
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
