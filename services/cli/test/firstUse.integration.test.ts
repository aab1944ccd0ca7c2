// What a person meets who tries things out, with mistakes that are easily made.
import { createServer } from "node:http"
import { afterAll, assert, describe, it } from "vitest"
import {
  connector,
  endAll,
  folder,
  json,
  lines,
  planted,
  removeFolders,
  startApi,
  stopApis,
  tributary
} from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

/** An address of this machine at which nothing listens. */
const nobody = async (): Promise<string> => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  await new Promise((done) => server.close(done))
  return `http://127.0.0.1:${port}`
}

const plain = (id: string, url: string, rest = ""): string => `connector: ${id}
http: { base_url: "${url}" }
streams:
  items:
    path: /items
    records: $.data[*]
    primary_key: id
${rest}`

const sink = (order = "[id]"): string => `sink:
  clickhouse: { table: "shop.{stream}", order_by: ${order}, flush_every: 50 millis }
`

const refused = /nothing listens there \(connection refused\)|cannot be reached \(ECONNREFUSED\)/u

describe.concurrent("run --once", () => {
  for (const what of ["API", "token endpoint"]) {
    it(`says at once that nothing listens at the ${what}, and goes on trying`, async () => {
      const url = await nobody()
      const text = what === "API" ? plain("shop", url) : connector("shop", { url }).replace("  retries: 1\n", "")
      const at = folder({ "shop.yaml": text })
      const run = at.run(["run", "--once"])
      await run.until("the refusal is logged", () => refused.test(run.err()))
      const logged = lines(run.err()).filter((line) => refused.test(line))
      assert.strictEqual(logged.length, 1, run.err())
      assert.match(logged[0] ?? "", /"level":"WARN".*It is tried again\./u)
      // The request for records would be tried for a minute.
      assert.isNull(run.child.exitCode)
      run.child.kill("SIGTERM")
      assert.strictEqual((await run.ended).code, 130)
    })
  }

  it("names the first rejection's reason and the command that shows them", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }, { name: "no key" }, { name: "none either" }] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const { code, out } = await at.run(["run", "--once"]).ended
    assert.strictEqual(code, 1)
    assert.include(
      out,
      "\nshop/items: 2 records rejected, the first because: Expected a text or a number in id (the stream's primary_key), found nothing.\n" +
        `  All of them: tributary tap dead.shop.items --last 2\n`
    )
    // Those of this run, not of one before.
    api.on("/items", json({ data: [{ id: 2 }, "text"] }))
    at.write("shop.yaml", connector("shop", api).replace("every 1 minute", "every 1 second"))
    const again = await at.run(["run", "--once", "--json"]).ended
    assert.strictEqual(again.code, 1)
    assert.deepInclude(JSON.parse(again.out).rejections, {
      stream: "shop/items",
      topic: "dead.shop.items",
      rejected: 1,
      reason: "Expected an object at $.data[*], found a text."
    })
  })
})

describe.concurrent("preview", () => {
  it("says what the run would reject, and ends with 1", async () => {
    const api = await startApi({
      "/items": json({
        data: [
          { id: 1, name: "one" },
          { id: 2, name: "7" }
        ]
      })
    })
    const at = folder({ "shop.yaml": plain("shop", api.url, `    schema: { name: int32 }\n${sink()}`) })
    const { code, err, out } = await at.run(["preview"]).ended
    assert.strictEqual(code, 1)
    assert.match(out, /rejected 1, the first: .*name.*"one".*\n/u)
    assert.strictEqual(err, "error: 1 record(s) would be rejected.\n")
    const machine = await at.run(["preview", "--json"]).ended
    assert.strictEqual(machine.code, 1)
    assert.strictEqual(JSON.parse(machine.out).rejected.length, 1)
    // And the run does.
    const run = await at.run(["run", "--once"]).ended
    assert.strictEqual(run.code, 1)
    assert.match(run.out, /1 record rejected, the first because: .*name.*"one"/u)
  })

  it("ends with 1 when it cannot show a table", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }] }) })
    const at = folder({ "shop.yaml": plain("shop", api.url, sink("[idd]")) })
    const { code, err, out } = await at.run(["preview"]).ended
    assert.strictEqual(code, 1)
    assert.include(out, 'order_by names "idd"')
    assert.strictEqual(err, "error: 1 stream(s) could not be previewed.\n")
  })

  it("notices a secret that is wrong by now, although an earlier run's token is good, and so does the run", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1 }] }) })
    const at = folder({ "shop.yaml": connector("shop", api, { poll: "every 1 second" }) })
    assert.strictEqual((await at.run(["run", "--once"]).ended).code, 0)
    const tokens = () => api.requests.filter((request) => request.includes("/token")).length
    assert.strictEqual((await at.run(["preview"]).ended).code, 0)
    assert.strictEqual(tokens(), 1, "the token is used again")
    for (const command of [["preview"], ["run", "--once"]]) {
      const { code, err, out } = await at.run(command, { SECRET: "another" }).ended
      assert.strictEqual(code, 1, command.join(" "))
      assert.include(out + err, "401 invalid_client")
      assert.notInclude(out + err, planted.secret)
    }
    assert.strictEqual((await at.run(["preview"]).ended).code, 0)
  })

  it("warns of an incremental field that no record has", async () => {
    const api = await startApi({ "/items": json({ data: [{ id: 1, changed: "2026-01-01T00:00:00Z" }] }) })
    const incremental = (field: string) => `    incremental: { field: ${field}, param: since }\n`
    const at = folder({ "shop.yaml": plain("shop", api.url, incremental("updated_at")) })
    const { code, out } = await at.run(["preview"]).ended
    assert.strictEqual(code, 0)
    assert.include(out, "warning: no record has a timestamp in updated_at (incremental.field)")
    const run = await at.run(["run", "--once"]).ended
    assert.strictEqual(run.code, 0)
    assert.include(run.out, "\nshop/items: no record has a timestamp in updated_at (incremental.field)")
    const status = await at.run(["status"]).ended
    assert.include(status.out, "\nshop/items: no record has a timestamp in updated_at (incremental.field)")
    at.write("shop.yaml", plain("shop", api.url, incremental("changed")))
    assert.notInclude((await at.run(["preview"]).ended).out, "warning")
  })
})

describe.concurrent("arguments", () => {
  it("that count something are not negative", async () => {
    for (const args of [
      ["tap", "a", "--last", "-3"],
      ["tap", "a", "--limit", "-3"],
      ["preview", "--limit", "-3"]
    ]) {
      const { code, err, out } = await folder().run(args).ended
      assert.deepStrictEqual([code, out], [2, ""], args.join(" "))
      assert.match(err, /Invalid value for flag --\w+: "-3"/u)
    }
  })

  it("name a data folder where none can be made, without hanging", async () => {
    const at = folder({ "shop.yaml": plain("shop", "http://127.0.0.1:1") })
    for (const data of ["/proc/none", "/proc/none/below"]) {
      const { code, err } = await tributary(["run", "--once", "-c", at.connectors, "--data", data]).ended
      assert.strictEqual(code, 1)
      assert.match(err, /^error: The data folder \/proc\/none\S* cannot be made \(ENOENT/u)
    }
  })
})
