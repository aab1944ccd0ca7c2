import { it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { createServer } from "node:http"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, assert, describe } from "vitest"
import { endLoads, left, load, nothing, resultOf, sums } from "./loads.ts"
import { descendants, isAlive, until } from "./support.ts"

const folder = mkdtempSync(join(tmpdir(), "tributary-load-test-"))
const disk = join(folder, "disk")
mkdirSync(disk)
/** A disk of its own, which is soon full. Only root may mount one. */
const isMounted = (() => {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=200m", "tmpfs", disk], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()
afterAll(() => {
  endLoads()
  if (isMounted) execFileSync("umount", ["-l", disk])
  rmSync(folder, { recursive: true, force: true })
})
const sabotaged = join(import.meta.dirname, "fixtures", "sabotagedLoad.ts")

// Each takes seconds; a machine that has other work takes longer.
describe("tributary load on the embedded engine", { timeout: 240_000 }, () => {
  it.live("compares every record, measures and writes the report, and leaves nothing", () =>
    Effect.promise(async () => {
      const report = join(folder, "report")
      const run = load(["--records", "20000", "--json", "--report", report])
      const { code, err, out } = await run.ended
      assert.strictEqual(code, 0, err)
      const result = resultOf(out)
      assert.strictEqual(result.outcome, "ok")
      assert.strictEqual(result.records, 20_000)
      assert.strictEqual(result.verification.length, 6)
      assert.deepStrictEqual(sums(result), nothing)
      assert.strictEqual(
        result.verification.reduce((sum, { expected, found }) => sum + expected + found, 0),
        // Two topics and two tables.
        4 * 20_000
      )
      assert.strictEqual(result.freshness.count, 20_000)
      assert.isAbove(result.freshness.p50, 0)
      const names = result.processes.map(({ name }) => name)
      assert.includeMembers(names, ["tributary", "clickhouse (embedded)", "synthetic API", "load test"])
      for (const { cpu, name, rss } of result.processes) {
        assert.isAbove(cpu, 0, name)
        assert.isAbove(rss, 10_000_000, name)
      }
      assert.isAbove(result.api["tokenRequests"] ?? 0, 0)
      assert.deepStrictEqual(resultOf(readFileSync(join(report, "load.json"), "utf8")), result)
      assert.include(readFileSync(join(report, "load.html"), "utf8"), "<html")
      assert.deepStrictEqual(left(run.temporary), [])
    })
  )

  it.live("loses nothing with faults and kills, and counts them", () =>
    Effect.promise(async () => {
      const run = load(["--records", "12000", "--rate", "1000", "--faults", "--kill-every", "12", "--json"])
      const { code, err, out } = await run.ended
      assert.strictEqual(code, 0, err)
      const result = resultOf(out)
      assert.deepStrictEqual(sums(result), nothing)
      assert.isAbove(result.faults.length, 0)
      assert.match(result.faults[0]?.what ?? "", /^kill -9 tributary$/u)
      assert.isAbove(result.processes.find(({ name }) => name === "tributary")?.restarts ?? 0, 0)
      assert.deepStrictEqual(left(run.temporary), [])
    })
  )

  it.live("offers records at a rate, through a script, as JSON with a schema, of a size", () =>
    Effect.promise(async () => {
      const flags = [
        "--transform",
        "script",
        "--format",
        "json_schema",
        "--record-size",
        "1000",
        "--connector-count",
        "2"
      ]
      const run = load(["--records", "6000", "--rate", "1500", ...flags, "--streams", "1", "--json"])
      const { code, err, out } = await run.ended
      assert.strictEqual(code, 0, err)
      const result = resultOf(out)
      assert.deepStrictEqual(sums(result), nothing)
      // Each record has been offered at a moment of its own, and none waited for all.
      assert.isBelow(result.freshness.p50, 30_000)
      for (const [at, { loaded, offered, published }] of result.samples.entries()) {
        assert.isAtMost(published, offered, `sample ${at}`)
        if (at > 0) assert.isAtLeast(offered, result.samples[at - 1]!.offered)
        assert.isAtLeast(loaded, 0)
      }
    })
  )

  for (const [kind, found] of [
    ["skip", /lost: partition \d, offsets? \d+/u],
    ["double", /duplicated: partition \d, offsets? \d+/u]
  ] as const) {
    it.live(
      `fails and names the offsets when a sink ${kind === "skip" ? "skips a batch" : "inserts a batch twice"}`,
      () =>
        Effect.promise(async () => {
          const run = load(["--records", "8000", "--rate", "1600", "--json"], {
            program: sabotaged,
            env: { TRIBUTARY_SABOTAGE: kind }
          })
          const { code, err, out } = await run.ended
          assert.strictEqual(code, 1, err)
          const result = resultOf(out)
          assert.strictEqual(result.outcome, "failed", err)
          assert.strictEqual(result.reason?.kind, "differences")
          const { duplicated, missing } = sums(result)
          assert.isAbove(kind === "skip" ? missing : duplicated, 0)
          assert.strictEqual(kind === "skip" ? duplicated : missing, 0)
          assert.match(result.verification.flatMap(({ differences }) => differences).join("\n"), found)
          assert.include(err, "Not every record is there once")
          assert.deepStrictEqual(left(run.temporary), [])
        })
    )
  }

  it.live("ends everything that it has started, and removes its files, on SIGINT and SIGTERM", () =>
    Effect.promise(async () => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        const run = load(["--records", "50000", "--rate", "1000"])
        const pid = run.child.pid ?? 0
        // The API, the worker and its ClickHouse.
        await until("three processes run", () => descendants(pid).length >= 3)
        const own = descendants(pid)
        await delay(500)
        run.child.kill(signal)
        const { code, err } = await run.ended
        assert.strictEqual(code, 130, err)
        await until("all have ended", () => !own.some(isAlive))
        assert.deepStrictEqual(left(run.temporary), [])
      }
    })
  )

  it.live("takes its processes with it when it is killed", () =>
    Effect.promise(async () => {
      if (process.platform !== "linux") return
      const run = load(["--records", "50000", "--rate", "1000"])
      const pid = run.child.pid ?? 0
      await until("three processes run", () => descendants(pid).length >= 3)
      const own = descendants(pid)
      run.child.kill("SIGKILL")
      await run.ended
      await until("all have ended", () => !own.some(isAlive), 15)
    })
  )

  it.live("says what is wrong with what it is asked for, and leaves nothing", () =>
    Effect.promise(async () => {
      const taken = createServer()
      await new Promise<void>((done) => taken.listen(0, "127.0.0.1", done))
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const file = join(folder, "file")
      writeFileSync(file, "")
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp, Readonly<Record<string, string>>?]> = [
        [["--records", "0"], /--records is 0; expected a whole number from 1 to/u],
        [["--record-size", "100"], /--record-size is 100; expected a whole number from 512/u],
        [["--partitions", "1000"], /--partitions is 1000; expected a whole number from 1 to 256/u],
        [["--workers", "source"], /--workers is "source"; expected counts by service/u],
        [["--workers", "running"], /--workers is running, but no server is named/u],
        [["--workers", "source=1,sink=0"], /--workers is 0; expected a whole number from 1/u],
        [["--listen", "nowhere"], /--listen is "nowhere"; expected host:port/u],
        [["--listen", `127.0.0.1:${port}`], /cannot listen on 127\.0\.0\.1:\d+: another process does/u],
        [["--listen", "192.0.2.1:0"], /this machine has no such address/u],
        [["--url", "load"], /--url is "load"; expected an address/u],
        [["--report", join(file, "report")], /report cannot be written to .*ENOTDIR/u],
        [["--report", "/proc/x"], /report cannot be written to \/proc\/x: ENOENT.*Name another folder/u],
        [["--report", "/proc"], /report cannot be written to \/proc: ENOENT.*Name another folder/u],
        [["--find-knee", "--faults"], /--find-knee cannot go with --faults/u],
        [
          [],
          /tributary load tests services on servers.*Set TRIBUTARY_CLICKHOUSE_URL and TRIBUTARY_REDIS_URL/u,
          { TRIBUTARY_KAFKA_BROKERS: "127.0.0.1:1" }
        ],
        [["--format", "xml"], /format/u]
      ]
      /** Not of the arguments: of what is there. */
      const isUsage = (args: ReadonlyArray<string>) =>
        args.length > 0 && args[0] !== "--report" && !/192|:\d{2,}/u.test(args[1] ?? "")
      const judge = async ([args, message, env]: (typeof cases)[number]) => {
        const run = load(args, env === undefined ? {} : { env })
        const { code, err } = await run.ended
        assert.match(err, message, args.join(" "))
        assert.strictEqual(code, isUsage(args) ? 2 : 1, args.join(" "))
        assert.deepStrictEqual(left(run.temporary), [], args.join(" "))
      }
      for (let at = 0; at < cases.length; at += 4) await Promise.all(cases.slice(at, at + 4).map(judge))
      await new Promise((done) => taken.close(done))
    })
  )

  it.live("says what is missing when the time is over", () =>
    Effect.promise(async () => {
      const run = load(["--records", "20000", "--rate", "500", "--minutes", "0.25", "--json"])
      const { code, err, out } = await run.ended
      assert.strictEqual(code, 1, err)
      const result = resultOf(out)
      assert.strictEqual(result.outcome, "incomplete")
      assert.strictEqual(result.reason?.kind, "late")
      assert.match(result.reason?.sentence ?? "", /Not everything had arrived after 15s \(--minutes\)/u)
      assert.isAbove(sums(result).missing, 0)
      assert.match(err, /The load test is incomplete\. Not everything had arrived after 15s \(--minutes\)/u)
      assert.deepStrictEqual(left(run.temporary), [])
    })
  )

  it.live.skipIf(!isMounted)("says that the disk is full, while it runs, and leaves nothing", () =>
    Effect.promise(async () => {
      const run = load(["--records", "600000"], { temporary: disk })
      const { code, err } = await run.ended
      assert.strictEqual(code, 1, err)
      assert.match(err, /The disk of .* is full: \d+ MiB are left/u)
      assert.deepStrictEqual(left(disk), [])
    })
  )
})
