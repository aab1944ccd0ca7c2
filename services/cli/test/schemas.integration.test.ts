import { afterAll, assert, describe, it } from "vitest"
import { endAll, folder, lines, removeFolders, startApi, stopApis, tributary } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const connector = (url: string): string => `connector: shop
http: { base_url: "${url}" }
streams:
  orders:
    path: /orders
    primary_key: id
    poll: every 1 hour
    schema: { id: int64, total: "decimal(18, 2)?" }
    topic: { format: avro }
sink:
  clickhouse: { table: "shop.{stream}", flush_every: 50 millis }
`

describe("a stream whose values have a schema, on the embedded engine", () => {
  it("is loaded as any other, and shown as JSON", { timeout: 240_000 }, async () => {
    const api = await startApi()
    api.on("/orders", (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" })
      response.end('[{"id":9007199254740993,"total":"12.50","name":"Zoë"},{"id":2,"lines":[1.50]},{"id":"x"}]')
    })
    const { data, path, run } = folder({ "shop.yaml": connector(api.url) })
    const ended = await run(["run", "--once"]).ended
    assert.strictEqual(ended.code, 1, ended.err)
    assert.include(ended.err + ended.out, "1 record(s) rejected")
    const of = async (...args: ReadonlyArray<string>) => {
      const { code, err, out } = await tributary([...args, "--data", data], { cwd: path }).ended
      assert.strictEqual(code, 0, err)
      return lines(out)
    }
    assert.deepStrictEqual(
      (await of("tap", "raw.shop.orders", "--json")).map((line) =>
        line.slice(line.indexOf('"value":'), line.indexOf(',"headers"'))
      ),
      ['"value":{"id":9007199254740993,"total":12.50,"name":"Zoë"}', '"value":{"id":2,"lines":[1.50]}']
    )
    assert.deepStrictEqual(
      await of(
        "query",
        "SELECT toString(id) AS id, toString(total) AS total, name, lines FROM shop.orders ORDER BY id",
        "--json"
      ),
      [
        '{"id":"2","total":null,"name":null,"lines":"[1.50]"}',
        '{"id":"9007199254740993","total":"12.5","name":"Zoë","lines":null}'
      ]
    )
  })
})
