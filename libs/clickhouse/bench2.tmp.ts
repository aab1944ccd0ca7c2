import { Effect, Layer } from "effect"
import { Embedded, planOf, wallClock } from "./test/support.ts"
import { ClickHouseServer, Warehouse } from "./src/index.ts"
import { makeClient } from "./src/Client.ts"
import { rec } from "./bench.tmp.ts"
import { readFileSync } from "node:fs"
const N = 300_000
const all = Array.from({ length: N }, (_, i) => ({ offset: i, value: rec(i) as Uint8Array }))
const cpu = (pid: number) => {
  const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(f[11]) + Number(f[12])) / 100
}
const p = Effect.gen(function* () {
  const w = yield* Warehouse
  const s = yield* ClickHouseServer
  const pid = yield* s.pid
  const direct = yield* makeClient(yield* s.endpoint)
  const schema = { seq: "int64", created_at: "timestamp", updated_at: "timestamp", amount: "decimal(18, 2)" }
  for (const size of [20_000, 50_000])
    for (let round = 0; round < 3; round++) {
      const t = yield* w.ensureTable(
        { database: "b", table: `t${size}_${round}`, mode: "append", orderBy: ["id"], schema, views: {} },
        all.slice(0, 1000).map((r) => r.value)
      )
      let enc = 0,
        ins = 0
      let c0 = cpu(pid),
        me0 = process.cpuUsage()
      for (let i = 0; i < N; i += size) {
        const t0 = performance.now()
        const e = t.encode(all.slice(i, i + size))
        const t1 = performance.now()
        yield* t.insert(planOf(i, i + size - 1, { plannedAt: wallClock() }), e)
        enc += t1 - t0
        ins += performance.now() - t1
      }
      const me = process.cpuUsage(me0)
      console.log(
        size,
        "loader: encode",
        ((N / enc) * 1000) | 0,
        "insert",
        ((N / ins) * 1000) | 0,
        "both",
        ((N / (enc + ins)) * 1000) | 0,
        "rows/s; server CPU s/M",
        (((cpu(pid) - c0) / N) * 1e6).toFixed(2),
        "own CPU s/M",
        ((me.user + me.system) / N).toFixed(2)
      )
      const cols = t.columns.map((c) => "`" + c.name + "`").join(", ")
      yield* w.command(`CREATE TABLE b.d${size}_${round} AS b.t${size}_${round}`)
      let dir = 0
      c0 = cpu(pid)
      for (let i = 0; i < N; i += size) {
        const body = Buffer.concat(all.slice(i, i + size).flatMap((r) => [r.value, Buffer.from("\n")]))
        const t1 = performance.now()
        yield* direct.insert("x", `INSERT INTO b.d${size}_${round} (${cols}) FORMAT JSONEachRow`, body, {
          async_insert: 0,
          date_time_input_format: "best_effort"
        })
        dir += performance.now() - t1
      }
      console.log(
        size,
        "direct insert of the same records, default settings:",
        ((N / dir) * 1000) | 0,
        "rows/s; server CPU s/M",
        (((cpu(pid) - c0) / N) * 1e6).toFixed(2)
      )
    }
  const rss = readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)![1]!
  console.log("server RSS MiB", (Number(rss) / 1024) | 0)
})
await Effect.runPromise(Effect.scoped(Effect.provide(p, Embedded)) as Effect.Effect<void>)
