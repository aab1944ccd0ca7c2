import { unhurried } from "@tributary/testkit"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import process from "node:process"
import { SqliteLog, Log } from "@tributary/log"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Live, liveFolder, parsed, type Stopped, stoppedFolder } from "./prepared.ts"
import { endAll, folder, lines, main, removeFolders, stopApis } from "./support.ts"

const utf8 = new TextEncoder()

/** A folder in which everything was read and loaded once, and nothing runs. */
let stopped: Stopped
/** A folder on which `dev` runs, over a list that grows. */
let live: Live

beforeAll(async () => {
  stopped = await stoppedFolder()
  live = await liveFolder()
})

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

describe("tap --follow", () => {
  it("follows a running process, record by record, and ends at its limit", async () => {
    const run = live.at.run(["tap", "raw.one.items", "--follow", "--from", "latest", "--limit", "5", "--json"])
    const { code, err, out, took } = await run.ended
    assert.strictEqual(code, 0, err)
    assert.strictEqual(parsed(out).length, 5)
    // Ten records come each second.
    assert.isBelow(took, unhurried(8_000))
    const endless = live.at.run(["tap", "raw.one.items", "-f", "--last", "1", "--json"])
    await endless.until("records come", () => lines(endless.out()).length > 3)
    // From its publication to here, on clocks that are the same.
    const late = await new Promise<number>((done) =>
      endless.child.stdout?.once("data", (part: Buffer | string) => {
        const [first] = parsed(part.toString())
        done(performance.timeOrigin + performance.now() - Number(first?.["timestamp"]))
      })
    )
    assert.isBelow(late, unhurried(500))
    endless.child.kill("SIGINT")
    assert.strictEqual((await endless.ended).code, 0)
  })
})

describe.concurrent("tap", () => {
  it("prints all records, the first or the last of them", async () => {
    const { at } = stopped
    const all = await at.run(["tap", "raw.shop.items"]).ended
    assert.strictEqual(all.code, 0, all.err)
    assert.strictEqual(lines(all.out).length, 10)
    assert.match(all.out, /^0\/0 {2}0 {2}\{"id":0,"name":"item 0","price":"9007199254740993\.10"\}\n/u)
    const first = await at.run(["tap", "raw.shop.items", "--limit", "3", "--json"]).ended
    assert.deepStrictEqual(
      parsed(first.out).map(({ key, offset, partition }) => ({ key, offset, partition })),
      [0, 1, 2].map((n) => ({ key: String(n), offset: n, partition: 0 }))
    )
    const last = await at.run(["tap", "raw.shop.items", "--last", "2", "--json"]).ended
    assert.deepStrictEqual(
      parsed(last.out).map(({ offset }) => offset),
      [8, 9]
    )
    const none = await at.run(["tap", "raw.shop.items", "--from", "latest"]).ended
    assert.deepStrictEqual([none.code, none.out], [0, ""])
    // More than there are, over several partitions, in the order of their writing.
    const both = await live.at.run(["tap", "raw.one.items", "--last", "4", "--json"]).ended
    const times = parsed(both.out).map(({ timestamp }) => Number(timestamp))
    assert.strictEqual(times.length, 4)
    assert.deepStrictEqual(times, times.toSorted())
  })

  it("lists the topics when there is none of this name", async () => {
    const { code, err, out } = await stopped.at.run(["tap", "raw.shop.item"]).ended
    assert.strictEqual(code, 1)
    assert.strictEqual(out, "")
    assert.match(err, /^error: There is no topic raw\.shop\.item\. Did you mean raw\.shop\.items\? The topics are:\n/u)
    assert.include(err, "\n  raw.shop.items\n")
    const nowhere = await folder().run(["tap", "a"]).ended
    assert.strictEqual(nowhere.code, 1)
    assert.match(nowhere.err, /^error: The log at \S+ cannot be used: it does not exist\. Start Tributary/u)
  })

  it("shows values that are no JSON, no text, or nothing, and nothing that moves the cursor", async () => {
    const at = folder()
    const directory = join(at.data, "log")
    const records = [
      { key: utf8.encode("text"), value: utf8.encode("plain \u001b[31mred\r\n") },
      { key: new Uint8Array([0xff, 0]), value: new Uint8Array([0xc3, 0x28, 0]) },
      { key: null, value: null },
      { key: utf8.encode("42"), value: utf8.encode('{\n "a": 12345678901234567890.10, "a":1, "b": "\\u001b" }') }
    ]
    await Effect.runPromise(
      Effect.gen(function* () {
        const log = yield* Log
        yield* log.ensureTopic({ name: "any", partitions: 1 })
        yield* log.publish(
          records.map(({ key, value }) => ({ topic: "any", key, value, headers: { "x-a": "b\u0007" } }))
        )
      }).pipe(Effect.provide(SqliteLog.layer({ directory })))
    )
    const { out } = await at.run(["tap", "any"]).ended
    const header = "    x-a: b\\u0007"
    assert.deepStrictEqual(lines(out), [
      "0/0  text  plain \\u001b[31mred\\u000d\\u000a",
      header,
      "0/1  /wA=  (3 bytes, base64) wygA",
      header,
      "0/2  –  (deleted)",
      header,
      '0/3  42  {"a":12345678901234567890.10,"a":1,"b":"\\u001b"}',
      header
    ])
    const exact = await at.run(["tap", "any", "--json"]).ended
    assert.deepStrictEqual(
      parsed(exact.out).map(({ encoding, key, value }) => ({ encoding, key, value })),
      [
        { encoding: "text", key: "text", value: "plain \u001b[31mred\r\n" },
        { encoding: "base64", key: "/wA=", value: "wygA" },
        { encoding: undefined, key: null, value: null },
        { encoding: undefined, key: "42", value: { a: 1, b: "\u001b" } }
      ]
    )
    assert.include(exact.out, '"value":{"a":12345678901234567890.10,"a":1,"b":"\\u001b"},"headers"')
  })

  it("ends in peace when its reader has had enough", () => {
    const command = `"${process.execPath}" "${main}" tap raw.shop.items --data "${stopped.at.data}"`
    const out = execFileSync("bash", ["-c", `${command} | head -1; echo "\${PIPESTATUS[0]}"`], { encoding: "utf8" })
    assert.match(out, /^0\/0 .*\n0\n$/u)
    const query = `"${process.execPath}" "${main}" query --json "SELECT number FROM numbers(50000000)" --data "${live.at.data}"`
    const rows = execFileSync("bash", ["-c", `${query} 2>&1 | head -1; echo "\${PIPESTATUS[0]}"`], { encoding: "utf8" })
    assert.strictEqual(rows, '{"number":0}\n0\n')
  })
})
