import { existsSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { document } from "./prepared.ts"
import { connector, endAll, folder, json, planted, removeFolders, startApi, stopApis } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

interface Step {
  readonly stream: string | null
  readonly step: string
  readonly verdict: string
  readonly said: string
}

/** The steps that a check went through, and how it ended. */
const checked = async (at: ReturnType<typeof folder>, args: ReadonlyArray<string> = []) => {
  const { code, err, out } = await at.run(["check", ...args, "--json"]).ended
  for (const secret of Object.values(planted)) assert.notInclude(out + err, secret)
  const found = document(out)
  const steps: Array<Step> =
    typeof found === "object" && found !== null && "steps" in found && Array.isArray(found.steps) ? found.steps : []
  const verdicts = steps.map(({ step, stream, verdict }) => `${stream ?? "-"} ${step}: ${verdict}`)
  return {
    code,
    err,
    verdicts,
    said: (step: string, stream?: string) =>
      steps.find((one) => one.step === step && (stream === undefined || one.stream === stream))?.said ?? ""
  }
}

/** A connector for an API at this address. */
const shop = (url: string) => `connector: shop
http: { base_url: "${url}", retries: 0 }
streams: { items: { path: /items } }
`

const items = Array.from({ length: 3 }, (_, id) => ({ id, at: `2026-01-0${id + 1}T00:00:00Z`, total: "1.50" }))

describe("check", () => {
  it("goes through every step, says each, and leaves nothing but the token", async () => {
    const api = await startApi({ "/items": json({ data: items }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const { code, err, out } = await at.run(["check"]).ended
    assert.strictEqual(code, 0, out + err)
    assert.match(out, /^shop \(\S+shop\.yaml\)\n {2}ok {7}address {6}127\.0\.0\.1 resolves to 127\.0\.0\.1\n/u)
    assert.match(out, /ok {7}token {8}there is one, good until 20\d\d-/u)
    assert.match(out, /ok {7}first page {3}GET http:\S+\/items answered 200 \(\d+ B\)\n/u)
    assert.match(out, /\nshop can be run\.\n$/u)
    assert.notInclude(out + err, planted.secret)
    assert.isFalse(existsSync(join(at.data, "log")), "nothing was published")
    assert.isFalse(existsSync(join(at.data, "clickhouse")), "no table was made")
    const again = await checked(at, [join(at.connectors, "shop.yaml"), "items"])
    assert.deepStrictEqual(again.verdicts, [
      "- address: ok",
      "- connection: ok",
      "- tls: warning",
      "- token: ok",
      "- scopes: ok",
      "items first page: ok",
      "items records: ok",
      "items primary key: ok",
      "items schema: ok"
    ])
  })

  it("says plainly that a stream has no records, which is no failure", async () => {
    const api = await startApi({ "/items": json({ data: [] }) })
    const at = folder({ "shop.yaml": connector("shop", api) })
    const { code, said, verdicts } = await checked(at)
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(verdicts.slice(-2), ["items first page: ok", "items records: empty"])
    assert.match(said("records"), /^the stream has none at the moment; the list at \$\.data\[\*\] is there and empty/u)
  })

  it("finds the step that fails", async () => {
    const api = await startApi({
      "/items": json({ data: items }),
      "/secret": json({ error: "no" }, 403),
      "/gone": json({ error: "no" }, 404)
    })
    const at = folder({ "shop.yaml": connector("shop", api, { secret: "SALT" }) })
    const token = await checked(at)
    assert.strictEqual(token.code, 1)
    assert.deepStrictEqual(token.verdicts.slice(-2), ["- token: failed", "items first page: skipped"])
    assert.include(token.err, "error: shop did not pass: 1 step(s) failed.")

    const data = "path: /items, records: '$.data[*]'"
    const cases = {
      gone: ["path: /gone", "first page", /answered 404/u],
      forbidden: ["path: /secret", "scopes", /answered 403/u],
      elsewhere: ["path: /items, records: '$.items[*]'", "records", /no list of records at \$\.items\[\*\]/u],
      keyless: [`${data}, primary_key: number`, "primary key", /3 refused/u],
      timeless: [
        `${data}, incremental: { field: changed, param: since }`,
        "cursor",
        /no record has a timestamp in changed/u
      ],
      typed: [`${data}, schema: { at: int64 }`, "schema", /3 refused.*at/u],
      lost: [`${data}, pagination: { next_url: $.data }`, "next page", /expected a text or a number/u]
    } as const
    const streams = Object.entries(cases).map(([name, [settings]]) => `  ${name}: { ${settings} }\n`)
    at.write(
      "shop.yaml",
      `connector: shop\nhttp: { base_url: "${api.url}", retries: 0 }\nstreams:\n${streams.join("")}sink: { clickhouse: { table: "shop.{stream}" } }\n`
    )
    const wrong = await checked(at)
    assert.strictEqual(wrong.code, 1)
    for (const [name, [, step, said]] of Object.entries(cases)) {
      assert.include(wrong.verdicts, `${name} ${step}: failed`)
      assert.match(wrong.said(step, name), said)
    }
    assert.include(wrong.err, "error: shop did not pass: 7 step(s) failed.")
  })

  it("tells a name that nobody knows from a port where nothing listens, and from a server without TLS", async () => {
    const silent = createServer((socket) => socket.on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")))
    await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done))
    const address = silent.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const at = folder()
    for (const [url, failing] of [
      ["https://api.shop.invalid", "- address: failed"],
      ["http://127.0.0.1:9", "- connection: failed"],
      [`https://127.0.0.1:${port}`, "- tls: failed"]
    ] as const) {
      at.write("shop.yaml", shop(url))
      const wrong = await checked(at)
      assert.strictEqual(wrong.code, 1, url)
      assert.include(wrong.verdicts, failing, wrong.said("connection"))
      assert.include(wrong.verdicts, "items first page: skipped")
    }
    await new Promise<void>((done) => {
      silent.close(() => done())
    })
  })

  it("looks for the first record below several parents", async () => {
    const api = await startApi({
      "/projects": json([{ id: 1 }, { id: 2 }]),
      "/projects/1/issues": json([]),
      "/projects/2/issues": json([{ id: 9 }])
    })
    const at = folder({
      "shop.yaml": `connector: shop
http: { base_url: "${api.url}" }
streams:
  projects: { path: /projects, primary_key: id }
  issues: { path: "/projects/{project}/issues", primary_key: id, partitions: { parent: projects, values: { project: id } } }
`
    })
    const { code, verdicts } = await checked(at, ["shop", "issues"])
    assert.strictEqual(code, 0)
    assert.include(verdicts, "issues primary key: ok")
  })
})
