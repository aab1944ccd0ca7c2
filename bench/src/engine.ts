/**
 * Memory of the connector engine where data is large: `node bench/src/engine.ts [gigabytes] [partitions]` reads a body of NDJSON
 * (default 5 GB) and a stream of partitions (default 10,000) from a server in another process, and prints the largest resident set.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
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

const measure = Effect.fnUntraced(function* (port: number, gigabytes: number, partitions: number) {
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
  for (const stream of ["children", "lines"]) {
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
    const seconds = (performance.now() - start) / 1000
    const kept = JSON.stringify(checkpoint).length + snapshots.reduce((sum, text) => sum + text.length, 0)
    yield* Console.log(
      `${stream}: ${records} records, ${megabytes(bytes)} MB in ${seconds.toFixed(1)} s (${Math.round(records / seconds)} records/s); ` +
        `resident at most ${megabytes(most)} MB; position of ${Math.ceil(kept / 1024)} kB`
    )
  }
})

if (process.send !== undefined) serving()
else {
  const [gigabytes = "5", partitions = "10000"] = process.argv.slice(2)
  const child = fork(import.meta.filename)
  const [port] = await once(child, "message")
  await Effect.runPromise(
    measure(Number(port), Number(gigabytes), Number(partitions)).pipe(Effect.scoped, Effect.provide(services))
  ).finally(() => child.kill())
}
