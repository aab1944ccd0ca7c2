// Runs the example as a user does, in processes of their own, for the end-to-end and fault tests.
import process from "node:process"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { checksumSql, expected } from "./truth.ts"

const salt = "salt of the tests"
const secret = "a secret of the tests"
const cli = join(import.meta.dirname, "..", "..", "services", "cli", "src", "main.ts")

export const connectors = join(import.meta.dirname, "connectors")

export interface Api {
  readonly url: string
  readonly stats: () => Promise<Readonly<Record<string, unknown>>>
  readonly stop: () => Promise<void>
}

/** Starts the flights API with all of January there; `flags` as `api/main.ts` takes them. */
export const startApi = async (flags: ReadonlyArray<string> = []): Promise<Api> => {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "api", "main.ts"), "--port", "0", "--once", ...flags],
    {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, FLIGHTS_CLIENT_SECRET: secret }
    }
  )
  const line = await new Promise<string>((done, fail) => {
    child.once("exit", (code) => fail(new Error(`the API ended with ${code} before it was ready`)))
    createInterface({ input: child.stdout }).once("line", done)
  })
  const { url }: { readonly url: string } = JSON.parse(line)
  return {
    url,
    stats: async () => {
      const answer = await fetch(`${url}/stats`)
      return JSON.parse(await answer.text())
    },
    stop: async () => {
      if (child.exitCode === null) {
        const ended = once(child, "exit")
        child.kill("SIGTERM")
        await ended
      }
    }
  }
}

export interface Run {
  readonly child: ChildProcess
  /** Code (or signal) with which it ended, and what it wrote. */
  readonly ended: Promise<{
    readonly code: number | null
    readonly signal: string | null
    readonly out: string
    readonly err: string
  }>
}

/** Runs `tributary` with the example's settings; `variables` go beside them. */
export const tributary = (
  api: Api | undefined,
  args: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>> = {}
): Run => {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      FLIGHTS_URL: api?.url ?? "http://127.0.0.1:1",
      FLIGHTS_CLIENT_SECRET: secret,
      FLIGHTS_SALT: salt,
      ...variables
    }
  })
  let out = ""
  let err = ""
  child.stdout.on("data", (part: Buffer) => (out += part.toString()))
  child.stderr.on("data", (part: Buffer) => (err += part.toString()))
  return {
    child,
    ended: new Promise((done) => child.once("close", (code, signal) => done({ code, signal, out, err })))
  }
}

const streams = ["flights", "weather", "airlines", "planes", "airports"] as const
const keys: Record<(typeof streams)[number], string> = {
  flights: "id",
  weather: "airport, time",
  airlines: "carrier",
  planes: "tail_number",
  airports: "code"
}

/**
 * What differs between the tables and the data files, in words; empty when nothing does. Needs the embedded engine not to run;
 * `variables` name a server.
 */
export const differences = async (
  data: string,
  variables: Readonly<Record<string, string>> = {}
): Promise<ReadonlyArray<string>> => {
  const sql = streams
    .map(
      (stream) =>
        `SELECT '${stream}' AS stream, truth.rows AS rows, truth.checksum AS checksum, copies.by_offset AS by_offset, copies.by_key AS by_key ` +
        `FROM (${checksumSql(stream)}) AS truth, ` +
        `(SELECT count() - uniqExact(_partition, _offset) AS by_offset, count() - uniqExact(${keys[stream]}) AS by_key FROM nyc.${stream}) AS copies`
    )
    .join(" UNION ALL ")
  const { code, err, out } = await tributary(undefined, ["query", sql, "--json", "--data", data], variables).ended
  if (code !== 0) return [`the query ended with ${code}: ${err}`]
  const found = new Map<string, Readonly<Record<string, unknown>>>()
  for (const line of out.trim().split("\n")) {
    const row: Readonly<Record<string, unknown>> = JSON.parse(line)
    found.set(String(row["stream"]), row)
  }
  const wrong: Array<string> = []
  for (const { checksum, rows, stream } of expected(salt)) {
    const row = found.get(stream)
    const check = (name: string, value: string) => {
      if (String(row?.[name]) !== value) wrong.push(`${stream}: ${name} is ${String(row?.[name])}, expected ${value}`)
    }
    check("rows", String(rows))
    check("checksum", checksum)
    check("by_offset", "0")
    check("by_key", "0")
  }
  return wrong
}
