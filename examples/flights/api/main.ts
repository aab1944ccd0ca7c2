import { fstatSync } from "node:fs"
import process from "node:process"
import { parseArgs } from "node:util"
import { startApi } from "./server.ts"
import { defaults } from "./settings.ts"

/**
 * The flights API as a process: prints one line `{"url":…,"issuer":…}` when it is ready, and ends on SIGTERM, SIGINT, or when the
 * process that started it closes its standard input (so that it does not outlive its starter).
 */
const { values } = parseArgs({
  options: {
    host: { type: "string", default: defaults.host },
    port: { type: "string", default: String(defaults.port) },
    url: { type: "string" },
    once: { type: "boolean", default: defaults.once },
    "history-days": { type: "string", default: String(defaults.historyDays) },
    speed: { type: "string", default: String(defaults.speed) },
    "token-life": { type: "string", default: String(defaults.tokenLife) },
    "page-size": { type: "string", default: String(defaults.pageSize) },
    "rate-limit": { type: "string", default: String(defaults.rateLimit) },
    "error-rate": { type: "string", default: String(defaults.errorRate) },
    "drop-rate": { type: "string", default: String(defaults.dropRate) },
    "token-error-rate": { type: "string", default: String(defaults.tokenErrorRate) },
    seed: { type: "string", default: String(defaults.seed) }
  }
})

const stop = (message: string): never => {
  process.stderr.write(`${message}\n`)
  return process.exit(2)
}

const number = (name: Exclude<keyof typeof values, "once" | "host" | "url">, least: number, most: number): number => {
  const text = values[name]
  const value = Number(text)
  if (text.trim() !== "" && value >= least && value <= most) return value
  return stop(`--${name}: found "${text}", expected a number from ${least} to ${most}.`)
}

const secret = (name: string): string =>
  process.env[name] || stop(`${name} is not set: the secret of the API's only client.`)

const publicUrl = (): string | undefined => {
  if (values.url === undefined) return undefined
  const url = URL.parse(values.url)
  return url?.protocol === "http:" || url?.protocol === "https:"
    ? url.href.replace(/\/$/u, "")
    : stop(`--url: found "${values.url}", expected an address as in http://api:7480.`)
}

const api = await startApi({
  host: values.host,
  url: publicUrl(),
  port: number("port", 0, 65_535),
  clientId: process.env["FLIGHTS_CLIENT_ID"] || "tributary",
  clientSecret: secret("FLIGHTS_CLIENT_SECRET"),
  once: values.once,
  historyDays: number("history-days", 0, 31),
  speed: number("speed", 0, 1e9),
  tokenLife: number("token-life", 1, 86_400),
  pageSize: number("page-size", 1, 1000),
  rateLimit: number("rate-limit", 0, 1e6),
  errorRate: number("error-rate", 0, 1),
  dropRate: number("drop-rate", 0, 1),
  tokenErrorRate: number("token-error-rate", 0, 1),
  seed: number("seed", 0, 4_294_967_295)
})

const end = (): void => void api.close().then(() => process.exit(0))
process.once("SIGTERM", end)
process.once("SIGINT", end)
// Only a pipe tells that the starter is gone; /dev/null and a terminal are at their end, or silent, from the start.
const input = fstatSync(0)
if (input.isFIFO() || input.isSocket()) process.stdin.once("end", end).once("close", end).resume()

process.stdout.write(`${JSON.stringify({ url: api.url, issuer: api.issuer })}\n`)
