import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { Embedded, planOf, spec, records } from "./test/support.ts"
import { ClickHouseServer, Warehouse } from "./src/index.ts"
const p = Effect.gen(function* () {
  const w = yield* Warehouse
  const s = yield* ClickHouseServer
  const pid = yield* s.pid
  const rss = (m: string) => console.log(m, readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)|VmHWM:\s+(\d+)/g)!.join(" "))
  rss("idle")
  const c0 = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ").slice(11, 13).join("+")
  yield* Effect.sleep("3 seconds")
  console.log("idle cpu ticks 3 s", c0, readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ").slice(11, 13).join("+"))
  const t = yield* w.ensureTable(spec("x", { schema: { id: "int64", note: "string" } }), [])
  const note = "y".repeat(210)
  for (let k = 0; k < 3; k++) {
    const e = t.encode(records(k * 500_000, 500_000, (o) => `{"id":${o},"note":"${note}"}`))
    const r = yield* Effect.exit(t.insert(planOf(k * 500_000, k * 500_000 + 499_999), e))
    console.log(e.body.length / 1e6 | 0, "MB", r._tag, r._tag === "Failure" ? String(r.cause) .slice(0, 300): "")
    rss("after")
  }
  // two at once
  const es = [3, 4].map((k) => t.encode(records(k * 500_000, 500_000, (o) => `{"id":${o},"note":"${note}"}`)))
  const r = yield* Effect.exit(Effect.forEach(es, (e, k) => t.insert(planOf((k + 3) * 500_000, (k + 3) * 500_000 + 499_999), e), { concurrency: 2 }))
  console.log("two", r._tag, r._tag === "Failure" ? String(r.cause).slice(0, 300) : ""); rss("after two")
})
await Effect.runPromise(Effect.scoped(Effect.provide(p, Embedded)) as Effect.Effect<void>)
