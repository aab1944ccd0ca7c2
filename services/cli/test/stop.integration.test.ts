import { unhurried } from "@tributary/testkit"
import { join } from "node:path"
import { kill } from "node:process"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, assert, describe, it } from "vitest"
import {
  connector,
  descendants,
  endAll,
  follower,
  folder,
  growing,
  isAlive,
  json,
  removeFolders,
  script,
  startApi,
  stopApis,
  until
} from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

/** A command at work, and the process of its ClickHouse. */
const working = async (args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) => {
  const api = await startApi()
  growing(api, "one")
  const at = folder({ "one.yaml": follower("one", api) })
  const run = at.run(args, env)
  await run.until("it polls", () => api.requests.length > 5)
  const [server] = descendants(run.child.pid ?? 0)
  if (server === undefined) throw new Error("There is no child process.")
  return { api, at, run, server }
}

/** A run of one page that takes its time. */
const slowRun = async () => {
  const api = await startApi({ "/items": () => undefined })
  const at = folder({ "shop.yaml": connector("shop", api) })
  const run = at.run(["run", "--once"])
  await run.until("it waits for the page", () => api.requests.some((request) => request.includes("/items")))
  return { api, at, run, children: descendants(run.child.pid ?? 0) }
}

describe("a signal", () => {
  it.concurrent.each([
    ["dev", "SIGINT"],
    ["dev", "SIGTERM"],
    ["run", "SIGTERM"]
  ] as const)("ends %s by %s with code 0, within seconds and with its ClickHouse", async (command, signal) => {
    const { at, run, server } = await working([command])
    const asked = performance.now()
    run.child.kill(signal)
    // As a terminal and npm do: the same signal again, at once.
    await delay(30)
    run.child.kill(signal)
    const { code, err } = await run.ended
    assert.strictEqual(code, 0, err)
    assert.isBelow(performance.now() - asked, unhurried(10_000))
    assert.isFalse(isAlive(server))
    // Nothing stays locked.
    const status = await at.run(["status"]).ended
    assert.match(status.out, /^one\/items +stopped /mu)
    assert.include(status.out, "No process runs on ")
  })

  it.concurrent("ends run --once with code 130, and says so", async () => {
    const { children, run } = await slowRun()
    run.child.kill("SIGINT")
    const { code, err, out } = await run.ended
    assert.strictEqual(code, 130)
    assert.strictEqual(out, "")
    assert.strictEqual(err, "Stopped before the end. What was committed is kept; the next run goes on from there.\n")
    assert.deepStrictEqual(children.filter(isAlive), [])
  })

  it.concurrent("a second time ends a stop that hangs", async () => {
    const { run, server } = await working(["dev"])
    // A server that does not answer any more holds up the stop for three seconds.
    kill(server, "SIGSTOP")
    try {
      run.child.kill("SIGTERM")
      await delay(1_300)
      assert.isNull(run.child.exitCode)
      const asked = performance.now()
      run.child.kill("SIGTERM")
      const { code, err } = await run.ended
      assert.strictEqual(code, 130)
      assert.isBelow(performance.now() - asked, unhurried(1_500))
      assert.match(err, /Second signal: ended at once\. What was committed is kept/u)
    } finally {
      kill(server, "SIGCONT")
    }
    await until("the server is gone", () => !isAlive(server))
  })

  it.concurrent("has a deadline", async () => {
    const { run, server } = await working(["dev"], { TRIBUTARY_DRAIN_DEADLINE: "500 millis" })
    kill(server, "SIGSTOP")
    try {
      const asked = performance.now()
      run.child.kill("SIGTERM")
      const { code, err } = await run.ended
      assert.strictEqual(code, 130)
      assert.isBelow(performance.now() - asked, unhurried(2_500))
      assert.match(err, /The stop took longer than 500ms: ended at once\./u)
    } finally {
      kill(server, "SIGCONT")
    }
    await until("the server is gone", () => !isAlive(server))
  })
})

describe("something fatal", () => {
  const stalled = (how: "hangs" | "ends", deadline: string) =>
    script(join(import.meta.dirname, "fixtures", "stalled.ts"), [how], { env: { TRIBUTARY_DRAIN_DEADLINE: deadline } })

  it.concurrent("ends the process with code 1, and says what", async () => {
    const { code, err, took } = await stalled("ends", "1 minute").ended
    assert.strictEqual(code, 1, err)
    assert.include(err, "This process cannot go on and ends, to be started again: partition 3 stands still")
    assert.notInclude(err, "ended at once")
    assert.isBelow(took, unhurried(10_000))
  })

  it.concurrent("ends the process with code 1 at the deadline when its end hangs, and says what", async () => {
    const run = stalled("hangs", "500 millis")
    await run.until("it has ended", () => run.child.exitCode !== null)
    const { code, err } = await run.ended
    assert.strictEqual(code, 1, err)
    assert.include(err, "This process cannot go on and ends, to be started again: partition 3 stands still")
    assert.include(err, "The stop took longer than 500ms: ended at once.")
  })
})

describe("kill -9", () => {
  it.concurrent("leaves no ClickHouse behind and no lock, and the next start goes on", async () => {
    const { at, run, server } = await working(["dev"])
    run.child.kill("SIGKILL")
    await run.ended
    await until("the server is gone", () => !isAlive(server))
    const status = await at.run(["status"]).ended
    assert.match(status.out, /^one\/items +stopped /mu)
    const next = await at.run(["run", "--once"]).ended
    assert.strictEqual(next.code, 0, next.err)
    const { out } = await at.run([
      "query",
      "--json",
      "SELECT count() = uniqExact(id) AND count() = max(id) + 1 AS exact FROM live.one"
    ]).ended
    assert.strictEqual(out, '{"exact":1}\n')
  })
})

describe("a data folder in use", () => {
  it.concurrent("is refused to a second process at once, by name, and open to those that read", async () => {
    const { at, run } = await working(["dev"])
    for (const command of [["run", "--once"], ["run"], ["dev"]]) {
      const second = await at.run(command).ended
      assert.strictEqual(second.code, 1)
      assert.isBelow(second.took, unhurried(8_000))
      assert.match(
        second.err,
        new RegExp(`^error: The data directory \\S+ is in use by process ${run.child.pid}\\. Stop`, "u")
      )
    }
    const status = await at.run(["status"]).ended
    assert.strictEqual(status.code, 0, status.err)
    assert.include(status.out, `Process ${run.child.pid} runs on ${at.data}.`)
    assert.match(status.out, /^one\/items +(running|waiting) /mu)
    assert.isNull(run.child.exitCode)
  })

  it.concurrent("a run waits for a query that has the tables open", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    assert.strictEqual((await at.run(["run", "--once"]).ended).code, 0)
    const query = at.run(["query", "SELECT sleepEachRow(1) FROM numbers(2) SETTINGS max_block_size = 1"])
    await query.until("its server runs", () => descendants(query.child.pid ?? 0).length > 0)
    const again = await at.run(["run", "--once"]).ended
    assert.strictEqual(again.code, 0, again.err)
    assert.strictEqual((await query.ended).code, 0, query.err())
  })
})
