import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { document, type Live, liveFolder, parsed, type Stopped, stoppedFolder } from "./prepared.ts"
import {
  connector,
  endAll,
  folder,
  json,
  lines,
  main,
  planted,
  removeFolders,
  startApi,
  stopApis,
  tributary
} from "./support.ts"

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

describe("run --once", () => {
  it("prints one line when there is nothing new, and asks for nothing that is not due", async () => {
    const { api, at } = stopped
    const before = api.requests.length
    const { code, err, out } = await at.run(["run", "--once"]).ended
    assert.strictEqual(code, 0)
    assert.strictEqual(err, "")
    assert.match(out, /^Nothing new: 1 stream\(s\) [^\n]+\n$/u)
    assert.strictEqual(api.requests.length, before)
  })

  it("prints one JSON document with --json", async () => {
    const { code, out } = await stopped.at.run(["run", "--once", "--json"]).ended
    assert.strictEqual(code, 0)
    assert.deepInclude(document(out), { streams: 1, read: 0, loaded: 0, rejected: 0, fileProblems: 0, problems: [] })
  })

  it("says how many records were rejected, by code 1 too", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }, { name: "no key" }] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const { code, err, out } = await at.run(["run", "--once"]).ended
    assert.strictEqual(code, 1)
    assert.match(out, /^shop\/items +1 .* 1 +done$/mu)
    assert.include(
      err,
      "error: The run did not succeed: 1 record(s) rejected; see the dead.* topics (tributary tap).\n"
    )
    const dead = await at.run(["tap", "dead.shop.items"]).ended
    assert.match(
      dead.out,
      /^0\/0 {2}– {2}\{"name":"no key"\}\n {4}tributary-reason: Expected a text or a number in id/u
    )
  })
})

describe("preview", () => {
  it("shows one page and the table, and leaves no trace", async () => {
    const { api, at } = stopped
    const log = readFileSync(join(at.data, "log", "log.db"))
    const before = api.requests.filter((request) => request.includes("/items")).length
    const { code, err, out } = await at.run(["preview", "--limit", "2"]).ended
    assert.strictEqual(code, 0, err)
    assert.match(out, /^items: one page of 10 records \(\d+ B\), 10 after the transform, no further page\n/u)
    assert.strictEqual(out.split("9007199254740993.10").length - 1, 2)
    assert.match(out, /CREATE TABLE IF NOT EXISTS `shop`\.`items` \(\n {4}`id` \w+,\n/u)
    assert.strictEqual(api.requests.filter((request) => request.includes("/items")).length, before + 1)
    assert.isTrue(log.equals(readFileSync(join(at.data, "log", "log.db"))), "the log is as it was")
  })

  it("needs no earlier run, starts no engine, and prints a JSON document for each stream", async () => {
    const at = folder({ "shop.yaml": connector("shop", stopped.api) })
    const { code, out } = await at.run(["preview", "shop", "--json"]).ended
    assert.strictEqual(code, 0)
    const [first, ...others] = parsed(out)
    assert.deepStrictEqual(others, [])
    assert.deepInclude(first, { stream: "items", read: 10, last: true, out: 10, rejected: [] })
    assert.isFalse(existsSync(join(at.data, "log")))
    assert.isFalse(existsSync(join(at.data, "clickhouse")))
  })

  it("works beside a running process, and compares with its table", async () => {
    const { code, err, out } = await live.at.run(["preview"]).ended
    assert.strictEqual(code, 0, err)
    assert.match(out, /^items: one page of \d+ records/u)
    assert.include(out, "the table is there and stays as it is")
    assert.notInclude(out, "CREATE TABLE")
  })

  it("compares with the table that is there, if its server may be started", async () => {
    const { api, at } = stopped
    const file = connector("shop", api, { poll: "every 1 hour" })
    const declared = (schema: string) => {
      writeFileSync(
        join(at.path, "other.yaml"),
        file.replace("    primary_key: id\n", `    primary_key: id\n    schema: ${schema}\n`)
      )
      return tributary(["preview", "--table", "-c", join(at.path, "other.yaml"), "--data", at.data]).ended
    }
    const added = await declared("{ colour: string? }")
    assert.strictEqual(added.code, 0, added.out + added.err)
    assert.include(added.out, "ALTER TABLE `shop`.`items` ADD COLUMN `colour` Nullable(String)")
    const changed = await declared("{ name: int64 }")
    assert.strictEqual(changed.code, 1)
    assert.match(changed.out, /error: Column "name" of shop\.items is Nullable\(String\), but schema declares int64/u)
  })

  it("names what there is when something else is asked for, and what went wrong", async () => {
    const unknown = await stopped.at.run(["preview", "shopp"]).ended
    assert.strictEqual(unknown.code, 1)
    assert.match(unknown.err, /^error: There is no connector shopp\. \S+ has shop\. Did you mean shop\?\n$/u)
    const stream = await stopped.at.run(["preview", "shop", "--stream", "orders"]).ended
    assert.strictEqual(stream.code, 1)
    assert.include(stream.err, "error: Connector shop has no stream orders; it has items.")
    const at = folder({ "shop.yaml": connector("shop", stopped.api, { path: "/nowhere" }) })
    const failed = await at.run(["preview"]).ended
    assert.strictEqual(failed.code, 1)
    assert.match(failed.out, /^items: shop\/items: \S+\/nowhere answered 404/u)
    assert.strictEqual(failed.err, "error: 1 stream(s) could not be previewed.\n")
  })
})

describe.concurrent("query", () => {
  it("prints tables and JSON, beside a running process and without one", async () => {
    for (const [at, table] of [
      [stopped.at, "shop.items"],
      [live.at, "live.one"]
    ] as const) {
      const person = await at.run(["query", `SELECT min(id) AS least FROM ${table}`]).ended
      assert.strictEqual(person.code, 0, person.err)
      assert.match(person.out, /least/u)
      const machine = await at.run(["query", "--json", `SELECT min(id) AS least FROM ${table};`]).ended
      assert.deepStrictEqual(document(machine.out), { least: 0 })
    }
    const csv = await live.at.run(["query", "SELECT DISTINCT id FROM live.one ORDER BY id LIMIT 2 FORMAT CSVWithNames"])
      .ended
    assert.strictEqual(csv.out, '"id"\n0\n1\n')
  })

  it("streams a large result", async () => {
    const child = spawn(process.execPath, [
      main,
      "query",
      "--json",
      "SELECT number, repeat('x', 100) AS text FROM numbers(2000000)",
      "--data",
      live.at.data
    ])
    let bytes = 0
    child.stdout.on("data", (part: Buffer) => (bytes += part.length))
    let most = 0
    const timer = setInterval(() => {
      const resident = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))
      most = Math.max(most, Number(resident?.[1] ?? 0))
    }, 50)
    // From then on there is nothing to look at, though its output may still be on the way.
    child.once("exit", () => clearInterval(timer))
    const [code] = await once(child, "close")
    assert.strictEqual(code, 0)
    assert.isAbove(bytes, 240_000_000)
    assert.isBelow(most, 400_000)
  })

  it("says what is wrong with a statement, and that a result is not complete", async () => {
    const run = async (sql: string) => {
      const { code, err } = await live.at.run(["query", "--json", sql]).ended
      assert.strictEqual(code, 1)
      return err
    }
    assert.match(
      await run("SELEC 1"),
      /^error: ClickHouse refused the statement \(code 62 SYNTAX_ERROR\): Syntax error: failed at position 7 [^\n]{0,60}\n$/u
    )
    assert.match(await run("SELECT * FROM live.ones"), /code 60 UNKNOWN_TABLE\): .*Maybe you meant live\.one\?/u)
    assert.strictEqual(await run(" "), "error: The statement is empty. Write SQL, in quotes.\n")
    const { code, err, out } = await live.at.run([
      "query",
      "--json",
      "SELECT throwIf(number = 400000, 'too far') AS x FROM numbers(500000) SETTINGS max_threads = 1"
    ]).ended
    assert.strictEqual(code, 1)
    assert.match(
      err,
      /^error: The result is not complete: (Code: 395\. DB::Exception: too far|ClickHouse broke off after )/u
    )
    // The last line may be cut.
    const rows = lines(out).slice(0, -1)
    assert.isTrue(rows.every((line) => line === '{"x":0}'))
    assert.isAbove(rows.length, 100_000)
    const nothing = await folder().run(["query", "SELECT 1"]).ended
    assert.strictEqual(nothing.code, 1)
    assert.match(nothing.err, /^error: \S+clickhouse does not exist: nothing was loaded there\. Name the folder/u)
  })
})

describe.concurrent("status", () => {
  it("tells running from stopped from never", async () => {
    const one = await live.at.run(["status"]).ended
    assert.strictEqual(one.code, 0, one.err)
    assert.match(one.out, /^one\/items +(running|waiting) +[\d,]+ .* live\.one$/mu)
    const two = await stopped.at.run(["status"]).ended
    assert.match(two.out, /^shop\/items +stopped +10 +0 +0 +– .* shop\.items$/mu, two.out)
    assert.include(two.out, `No process runs on ${stopped.at.data}.`)
    const at = folder({ "shop.yaml": connector("shop", stopped.api) })
    const three = await at.run(["status", "--json"]).ended
    assert.strictEqual(three.code, 0)
    const rows = document(three.out)
    assert.isTrue(Array.isArray(rows))
    assert.deepInclude(Array.isArray(rows) ? rows[0] : {}, { state: "never ran", records: 0, status: null, pid: null })
    assert.isFalse(existsSync(at.data), "looking makes nothing")
  })

  it("shows the last problem", async () => {
    const at = folder({ "shop.yaml": connector("shop", stopped.api, { path: "/nowhere" }) })
    assert.strictEqual((await at.run(["run", "--once"]).ended).code, 1)
    const { code, out } = await at.run(["status"]).ended
    assert.strictEqual(code, 0)
    assert.match(out, /^shop\/items +stopped, had a problem /mu)
    assert.match(out, /\nshop\/items, [^:]+ ago: shop\/items: \S+\/nowhere answered 404/u)
  })
})

describe.concurrent("validate", () => {
  it("makes no request and nothing on disk, and warns of what is missing here", async () => {
    const api = await startApi()
    const at = folder({ "shop.yaml": connector("shop", api, { secret: "NOT_SET" }) })
    const { code, err, out } = await at.run(["validate"]).ended
    assert.strictEqual(code, 0, err)
    assert.match(out, /^warning: auth\.client_secret: found \$\{env:NOT_SET\}, .*\n.*shop\.yaml:6:18\n/u)
    assert.match(out, /shop\.yaml: connector shop, 1 stream\(s\)\n$/u)
    assert.isFalse(existsSync(at.data))
    at.write("shop.yaml", `${connector("shop", api)}transform:\n  - filter: "record.id >"\n`)
    const wrong = await at.run(["validate", "--json"]).ended
    assert.strictEqual(wrong.code, 1)
    assert.deepInclude(document(wrong.out), { problems: [], warnings: [] })
    assert.match(wrong.out, /"line":\d+,"column":5,"path":"transform\[0\]\.filter"/u)
    assert.deepStrictEqual(api.requests, [])
  })

  it("shows where a wrong expression stands, once, and references by the paths that other problems have", async () => {
    const text = connector("shop", await startApi())
    const two = text.replace("streams:\n", "streams:\n  others: { path: /items, records: '$.data[*]' }\n")
    const steps =
      'transform:\n  - drop: [a]\n  - filter: "record.id >"\n  - mask: { a: sha256 }\n    salt: ${env:NO_SALT}\n'
    const at = folder({ "shop.yaml": `${two}${steps}` })
    const { err, out } = await at.run(["validate"]).ended
    const [filter] = out.split("\n\n")
    assert.match(
      filter ?? "",
      /^error: transform\[1\]\.filter: The expression is wrong.*\n +--> \S+shop\.yaml:\d+:5\n +\|\n\d+ \|   - filter: "record.id >"\n +\|     \^{6}$/u
    )
    assert.strictEqual(out.split("The expression is wrong").length, 2, out)
    assert.match(out, /^warning: transform\[2\]\.salt: found \$\{env:NO_SALT\}/mu)
    assert.match(err, /1 problem\(s\) found/u)
  })
})

describe.concurrent("arguments", () => {
  it("that are wrong are explained on standard error, with code 2", async () => {
    const cases = [
      [["frobnicate"], /Unknown subcommand "frobnicate"/u],
      [["status", "--bogus"], /Unrecognized flag: --bogus/u],
      [["tap"], /Missing required argument: topic/u],
      [["tap", "a", "--limit", "many"], /--limit/u]
    ] as const
    const ended = await Promise.all(cases.map(([args]) => folder().run(args).ended))
    ended.forEach(({ code, err, out }, index) => {
      assert.deepStrictEqual([code, out], [2, ""])
      assert.match(err, cases[index]![1])
      assert.match(err, /See tributary .*--help\./u)
    })
  })

  it("and variables that are wrong are named", async () => {
    const { code, err } = await folder().run(["status"], { TRIBUTARY_DRAIN_DEADLINE: "soon" }).ended
    assert.strictEqual(code, 1)
    assert.strictEqual(
      err,
      "error: the environment variable TRIBUTARY_DRAIN_DEADLINE is wrong: expected a valid Duration string.\n"
    )
  })

  it("ask for help", async () => {
    const commands = ["dev", "run", "validate", "preview", "tap", "query", "status"]
    const ended = await Promise.all(commands.map((command) => folder().run([command, "--help"]).ended))
    ended.forEach(({ code, err, out }, index) => {
      assert.deepStrictEqual([code, err], [0, ""])
      for (const part of [`tributary ${commands[index]}`, "--connectors, -c", "--data", "--json"])
        assert.include(out, part)
    })
  })

  it("name a data folder that cannot be made", async () => {
    const at = folder({ "shop.yaml": connector("shop", stopped.api) })
    writeFileSync(at.data, "a file")
    const { code, err } = await at.run(["run", "--once"]).ended
    assert.strictEqual(code, 1)
    assert.match(err, /^error: The data folder \S+\/data cannot be made \(.+\)\. Name another with --data\.\n$/u)
  })

  it("are paths from where the person is, also when npm starts the command elsewhere", async () => {
    const { at } = stopped
    mkdirSync(join(at.path, "below"), { recursive: true })
    const { code, out } = await at.run(["validate"], { INVOKED_FROM: at.path }).ended
    assert.deepStrictEqual([code, /connector shop/u.test(out)], [0, true])
  })
})

describe("a terminal", () => {
  const inTerminal = (args: string): string =>
    execFileSync("script", ["-qec", `"${process.execPath}" "${main}" ${args}`, "/dev/null"], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], SECRET: planted.secret, TERM: "xterm", COLUMNS: "120" }
    })
  const hasTerminal = existsSync("/usr/bin/script")

  it.skipIf(!hasTerminal)("(needs script) shows progress and colours, and clears the line at the end", async () => {
    const api = await startApi({
      "/items": (request, response, url) => {
        void delay(1_000).then(() => json({ data: [{ id: 1 }] })(request, response, url))
      }
    })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const child = spawn(
      "script",
      ["-qec", `"${process.execPath}" "${main}" run --once -c "${at.connectors}" --data "${at.data}"`, "/dev/null"],
      {
        env: { PATH: process.env["PATH"], SECRET: planted.secret, TERM: "xterm" }
      }
    )
    let out = ""
    child.stdout.on("data", (part: Buffer) => (out += part.toString()))
    const [code] = await once(child, "close")
    assert.strictEqual(code, 0, out)
    assert.match(out, /\[2K1 stream {2}· {2}read 0 /u)
    // The last thing on the line of progress is its removal.
    const last = out.lastIndexOf("\u001b[2K")
    assert.match(out.slice(last), /^.\[2K(\r)?stream +read/u)
  })

  it.skipIf(!hasTerminal)("(needs script) gets a table with lines, a pipe gets none", () => {
    const args = `query "SELECT 1 AS one" --data "${live.at.data}"`
    assert.include(inTerminal(args), "┌─one─┐")
  })
})
