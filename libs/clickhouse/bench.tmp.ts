import { RowEncoder } from "./src/RowEncoder.ts"
import { inferColumns } from "./src/InferColumns.ts"
const hex = (n: number, w: number) => n.toString(16).padStart(w, "0")
export const rec = (i: number) =>
  Buffer.from(
    `{"id":"evt_${String(i).padStart(10, "0")}","seq":${9007199254740993n + BigInt(i)},"type":"order.created","account_id":"acc_${hex((i * 7919) % 4294967296, 8)}","status":"active","created_at":"2026-01-${String(1 + (i % 28)).padStart(2, "0")}T10:20:30.123Z","updated_at":"2026-02-01T10:20:${String(i % 60).padStart(2, "0")}.456Z","amount":"${i % 100000}.${String(i % 100).padStart(2, "0")}","currency":"EUR","description":"Größe \\"XL\\" ${"lorem ipsum ".repeat(3)}${i}","customer":{"id":"cus_${hex(i, 6)}","name":"Zoë Ångström","country":"SE"},"tags":["a${i % 9}","blue"],"deleted":${i % 2 === 0}}`
  )
if (import.meta.main) {
  const N = 50000
  const records = Array.from({ length: N }, (_, i) => ({ offset: i, value: rec(i) as Uint8Array }))
  const bytes = records.reduce((a, r) => a + r.value.length, 0)
  console.log("avg", bytes / N)
  const declared: Record<string, string> = {
    seq: "Int64",
    created_at: "DateTime64(3, 'UTC')",
    updated_at: "DateTime64(3, 'UTC')",
    amount: "Decimal(18, 2)"
  }
  const cols = [...inferColumns(records.map((r) => r.value))].map(([name, type]) => ({
    name,
    type: declared[name] ?? `Nullable(${type})`,
    declared: name in declared,
    json: false,
    required: name in declared
  }))
  console.log(cols.map((c) => c.name + " " + c.type).join(", "))
  const enc = new RowEncoder(cols)
  for (let k = 0; k < 40; k++) {
    const t = performance.now()
    const e = enc.encode(records)
    const ms = performance.now() - t
    if (k % 3 === 2)
      console.log(
        e.rows,
        e.rejected.length,
        (((N / ms) * 1000) | 0) + " rec/s",
        (bytes / ms / 1000).toFixed(0) + " MB/s",
        e.body.length
      )
  }
  const drift = records.map((r) => ({
    offset: r.offset,
    value: Buffer.from(r.value.toString().replace("{", '{"new_field":5,'))
  }))
  for (let k = 0; k < 2; k++) {
    const t = performance.now()
    const e = enc.encode(drift)
    const ms = performance.now() - t
    if (k % 3 === 2)
      console.log(
        "drift",
        e.rows,
        e.rejected.length,
        (((N / ms) * 1000) | 0) + " rec/s",
        (bytes / ms / 1000).toFixed(0) + " MB/s",
        e.body.length
      )
  }
  const t = performance.now()
  for (const r of records) JSON.parse(r.value.toString())
  console.log("JSON.parse alone", ((N / (performance.now() - t)) * 1000) | 0)
  console.log(enc.encode([records[3]!]).body.toString(), enc.encode([drift[3]!]).body.toString())
}
