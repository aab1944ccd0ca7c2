import { it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, afterEach, assert, describe } from "vitest"
import { descendants, isAlive, main, until } from "./support.ts"

const folder = mkdtempSync(join(tmpdir(), "tributary-load-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const sabotaged = join(import.meta.dirname, "fixtures", "sabotagedLoad.ts")

const Result = Schema.fromJsonString(
  Schema.Struct({
    outcome: Schema.String,
    records: Schema.Finite,
    api: Schema.Record(Schema.String, Schema.Finite),
    faults: Schema.Array(Schema.Struct({ what: Schema.String })),
    freshness: Schema.Struct({ count: Schema.Finite, p50: Schema.Finite, p99: Schema.Finite }),
    processes: Schema.Array(
      Schema.Struct({ name: Schema.String, cpu: Schema.Finite, rss: Schema.Finite, restarts: Schema.Finite })
    ),
    samples: Schema.Array(
      Schema.Struct({ offered: Schema.Finite, published: Schema.Finite, loaded: Schema.Finite, lag: Schema.Finite })
    ),
    verification: Schema.Array(
      Schema.Struct({
        what: Schema.String,
        expected: Schema.Finite,
        found: Schema.Finite,
        missing: Schema.Finite,
        duplicated: Schema.Finite,
        altered: Schema.Finite,
        foreign: Schema.Finite,
        differences: Schema.Array(Schema.String)
      })
    )
  })
)
const resultOf = Schema.decodeSync(Result)

let runs = 0
const running = new Set<number>()
afterEach(() => {
  for (const pid of running) process.kill(pid, "SIGKILL")
  running.clear()
})

/** Starts `tributary load` with a folder for temporary files of its own, so that what it leaves is seen. */
const load = (
  args: ReadonlyArray<string>,
  options: {
    readonly program?: string
    readonly env?: Readonly<Record<string, string>>
    readonly temporary?: string
  } = {}
) => {
  const temporary = options.temporary ?? join(folder, `run-${++runs}`)
  mkdirSync(temporary, { recursive: true })
  const child = spawn(process.execPath, [options.program ?? main, "load", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: temporary, ...options.env }
  })
  if (child.pid !== undefined) running.add(child.pid)
  let out = ""
  let err = ""
  child.stdout.on("data", (part: Buffer) => (out += part.toString()))
  child.stderr.on("data", (part: Buffer) => (err += part.toString()))
  return {
    child,
    temporary,
    err: () => err,
    ended: new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((done) =>
      child.once("close", (code) => {
        if (child.pid !== undefined) running.delete(child.pid)
        done({ code, out, err })
      })
    )
  }
}

/** What is left in a folder for temporary files; Node's own cache of compiled files is none of the test's. */
const left = (temporary: string) => readdirSync(temporary).filter((name) => !name.includes("compile-cache"))

const sums = (result: ReturnType<typeof resultOf>) => {
  const sum = (of: (one: (typeof result.verification)[number]) => number) =>
    result.verification.reduce((total, one) => total + of(one), 0)
  return {
    missing: sum((one) => one.missing),
    duplicated: sum((one) => one.duplicated),
    altered: sum((one) => one.altered),
    foreign: sum((one) => one.foreign)
  }
}
const nothing = { missing: 0, duplicated: 0, altered: 0, foreign: 0 }

describe("tributary load on the embedded engine", () => {
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
      const run = load(["--records", "20000", "--faults", "--kill-every", "12", "--json"])
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
          const { duplicated, missing } = sums(result)
          assert.isAbove(kind === "skip" ? missing : duplicated, 0)
          assert.strictEqual(kind === "skip" ? duplicated : missing, 0)
          assert.match(result.verification.flatMap(({ differences }) => differences).join("\n"), found)
          assert.include(err, "not every record is there once")
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
        await until("three processes run", () => descendants(pid).length >= 3, 30)
        const own = descendants(pid)
        await delay(500)
        run.child.kill(signal)
        const { code, err } = await run.ended
        assert.strictEqual(code, 130, err)
        await until("all have ended", () => !own.some(isAlive), 10)
        assert.deepStrictEqual(left(run.temporary), [])
      }
    })
  )

  it.live("takes its processes with it when it is killed", () =>
    Effect.promise(async () => {
      if (process.platform !== "linux") return
      const run = load(["--records", "50000", "--rate", "1000"])
      const pid = run.child.pid ?? 0
      await until("three processes run", () => descendants(pid).length >= 3, 30)
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
        [["--find-knee", "--faults"], /--find-knee cannot go with --faults/u],
        [["--records", "1000000000"], /of memory left, and the test needs about/u],
        [
          [],
          /tributary load tests services on servers.*Set TRIBUTARY_CLICKHOUSE_URL and TRIBUTARY_REDIS_URL/u,
          { TRIBUTARY_KAFKA_BROKERS: "127.0.0.1:1" }
        ],
        [["--format", "xml"], /format/u]
      ]
      const judge = async ([args, message, env]: (typeof cases)[number]) => {
        const run = load(args, env === undefined ? {} : { env })
        const { code, err } = await run.ended
        assert.match(err, message, args.join(" "))
        assert.notStrictEqual(code, 0)
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
      assert.isAbove(sums(result).missing, 0)
      assert.match(err, /Not everything had arrived after .* \(--minutes\)/u)
      assert.deepStrictEqual(left(run.temporary), [])
    })
  )
})
