// Memory of the connector engine where data is large: a stream of partitions (default 10,000), and a body of NDJSON (default 5 GB), each
// read by a process of its own with the flags that the product runs with, from a server in another process. Prints the largest
// resident set of each, and exits 1 when that of the partitions is above 200 MB, or that of the body grows with it. The partitions are
// read twice: by a program that was never compiled before, which takes more memory, and by one that was.
//   npm run bench:engine-memory
//   npm run bench:engine-memory -- 0.5 20000
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { Budgets, type Checkpoint, make } from "@tributary/connector"
import { Connector } from "@tributary/domain"
import { Tokens } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Console, Effect, Layer, Schema, Stream } from "effect"

const serving = () => {
  const block = Buffer.from(`{"id":1,"text":"${"x".repeat(200)}","n":12345678901234567890}\n`.repeat(4096))
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x")
    const count = Number(searchParams.get("count") ?? 0)
    if (pathname === "/lines") {
      const gone = new AbortController()
      response.on("close", () => gone.abort())
      void (async () => {
        for (let sent = 0; sent < count && !response.destroyed; sent += block.length) {
          if (!response.write(block)) await once(response, "drain", { signal: gone.signal })
        }
        response.end()
      })().catch(() => response.destroy())
      return
    }
    if (pathname === "/parents") {
      const page = Number(searchParams.get("page"))
      const left = Math.min(500, Math.max(0, count - (page - 1) * 500))
      response.end(JSON.stringify(Array.from({ length: left }, (_, n) => ({ id: (page - 1) * 500 + n }))))
      return
    }
    response.end(JSON.stringify([{ id: pathname, at: "2026-01-01T00:00:00Z" }]))
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    process.send?.(typeof address === "object" && address !== null ? address.port : 0)
  })
}

const secrets = Secrets.layer
const tokens = Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer]))
const services = Layer.mergeAll(Budgets.layer, secrets, tokens)

const megabytes = (bytes: number) => Math.round(bytes / 1_048_576)

const measure = Effect.fnUntraced(function* (stream: string, port: number, gigabytes: number, partitions: number) {
  const connector = yield* Schema.decodeEffect(Connector)({
    connector: "big",
    http: { base_url: `http://127.0.0.1:${port}` },
    streams: {
      lines: { path: "/lines", query: { count: gigabytes * 1e9 }, format: "ndjson" },
      parents: { path: "/parents", query: { count: partitions }, pagination: { page: "page", size: 500 } },
      children: {
        path: "/children/{parent}",
        primary_key: "id",
        partitions: { parent: "parents", values: { parent: "id" } },
        concurrency: 16,
        incremental: { field: "at", param: "since" }
      }
    }
  })
  const source = yield* make(connector, { base: import.meta.dirname })
  let records = 0
  let bytes = 0
  let most = 0
  const snapshots: Array<string> = []
  let checkpoint: Checkpoint | undefined
  const start = performance.now()
  yield* source.pages(stream, undefined, { snapshots: [] }).pipe(
    Stream.runForEach((page) =>
      Effect.sync(() => {
        records += page.records.length
        bytes += page.bytes
        for (const { shard, text } of page.snapshots ?? []) snapshots[shard] = text
        checkpoint = page.checkpoint
        most = Math.max(most, process.memoryUsage.rss())
      })
    )
  )
  most = Math.max(most, process.resourceUsage().maxRSS * 1024)
  const seconds = (performance.now() - start) / 1000
  const kept = JSON.stringify(checkpoint).length + snapshots.reduce((sum, text) => sum + text.length, 0)
  yield* Console.log(
    `${stream}: ${records} records, ${megabytes(bytes)} MB in ${seconds.toFixed(1)} s (${Math.round(records / seconds)} records/s); ` +
      `resident at most ${megabytes(most)} MB; position of ${Math.ceil(kept / 1024)} kB`
  )
  const limit = limits[stream] ?? 0
  if (megabytes(most) > limit) {
    yield* Console.error(`MISSED ${stream}: ${megabytes(most)} MB are more than ${limit} MB`)
    process.exitCode = 1
  }
})

/** Most megabytes that may be resident. A body takes as much as half a gigabyte does, however large it is. */
const limits: Readonly<Record<string, number>> = { children: 200, lines: 320 }

/** Runs this program again, in a role. What was compiled is kept in a folder, as the command keeps it. */
const start = (compiled: string, role: string, ...args: ReadonlyArray<string>) =>
  fork(import.meta.filename, [role, ...args], {
    execArgv: ["--max-semi-space-size=8"],
    env: { ...process.env, NODE_COMPILE_CACHE: compiled }
  })

const [role = "5", ...args] = process.argv.slice(2)
if (role === "serve") serving()
else if (role === "children" || role === "lines") {
  const [port, gigabytes, partitions] = args.map(Number)
  await Effect.runPromise(
    measure(role, port ?? 0, gigabytes ?? 0, partitions ?? 0).pipe(Effect.scoped, Effect.provide(services))
  )
  process.disconnect()
} else {
  const compiled = mkdtempSync(join(tmpdir(), "tributary-compiled-"))
  const server = start(compiled, "serve")
  const [port] = await once(server, "message")
  for (const stream of ["children", "children", "lines"]) {
    const [code] = await once(start(compiled, stream, String(port), role, args[0] ?? "10000"), "exit")
    if (code !== 0) process.exitCode = 1
  }
  server.kill()
  rmSync(compiled, { recursive: true, force: true })
}
