import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(import.meta.resolve("@tributary/testkit/synthetic-api"))

export const clientSecret = "client-secret"

export interface Api {
  readonly url: string
  readonly tokenUrl: string
  readonly stop: () => Promise<void>
}

/** Starts the synthetic API in a process of its own, so that its work is not counted as ours. */
export const startApi = async (flags: ReadonlyArray<string>): Promise<Api> => {
  const child: ChildProcess = spawn(process.execPath, [main, "--port", "0", ...flags], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const line = await new Promise<string>((done, fail) => {
    child.once("exit", (code) => fail(new Error(`the API ended with ${code} before it was ready`)))
    createInterface({ input: child.stdout! }).once("line", done)
  })
  const ready: { readonly url: string; readonly tokenUrl: string } = JSON.parse(line)
  return {
    ...ready,
    stop: async () => {
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      await ended
    }
  }
}

/** The connector file that reads the synthetic API; `loads` says whether its records go to ClickHouse too. */
export const connectorText = (api: Api, loads: boolean): string => `connector: bench
auth:
  oauth2: client_credentials
  token_url: ${api.tokenUrl}
  client_id: client
  client_secret: \${env:BENCH_SECRET}
  scopes: [records.read]
http:
  base_url: ${api.url}
streams:
  records:
    path: /records
    records: $.data[*]
    primary_key: id
    pagination: { cursor: $.next, param: cursor }
    poll: every 1 hour
${loads ? "sink:\n  clickhouse: { table: bench.records, order_by: [id] }\n" : ""}`

/** Writes the connector file into a folder of its own and returns the folder. */
export const writeConnector = (folder: string, api: Api, loads: boolean): string => {
  const file = join(folder, "connectors", "bench.yaml")
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, connectorText(api, loads))
  return dirname(file)
}
