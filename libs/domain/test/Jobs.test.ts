import { assert, describe, it } from "vitest"
import { parseConnector } from "../src/index.ts"

const file = (job: string, stream = "path: /r/{job}") => `connector: shop
http: { base_url: https://api.shop.example }
streams:
  orders:
    ${stream}
    job: ${job}
`

/** What is said of a file: place and finding. */
const said = (text: string): ReadonlyArray<string> => {
  const parsed = parseConnector(text, "shop.yaml")
  return parsed._tag === "Success" ? [] : parsed.failure.map(({ found, path }) => `${path}: ${found}`)
}

describe("job", () => {
  it.each([
    ['{ create: { path: /r }, poll: { path: "/r/{job}" } }', []],
    ["{ create: {} }", ["streams.orders.job.create.path: no `path`"]],
    ["{ create: { path: /r }, status: $.s }", ["streams.orders.job.done: `status` without `done`"]],
    ["{ create: { path: /r }, done: [ok] }", ["streams.orders.job.status: statuses without `status`"]],
    [
      "{ create: { path: /r }, status: $.s, done: [ok], failed: [bad, ok] }",
      ["streams.orders.job.failed: the status ok, which is also under `done`"]
    ],
    [
      "{ create: { path: /r }, link: { url: $.url } }",
      ["streams.orders.job.link: `link` without `results`", "streams.orders.job.link.path: no `path`"]
    ]
  ])("%s", (job, expected) => assert.deepStrictEqual(said(file(job)), expected))

  it("needs to know where the result is", () =>
    assert.deepStrictEqual(said(file("{ create: { path: /r } }", "primary_key: id")), [
      "streams.orders.path: neither `path` nor `job.results`"
    ]))

  it("takes what is read from in the request that makes it", () => {
    const incremental = "incremental: { field: at, param: since }"
    const job = "{ create: { path: /r, query: { since: x } } }"
    assert.deepStrictEqual(said(file(job, `path: /r\n    query: { since: x }\n    ${incremental}`)), [
      "streams.orders.incremental.param: the query parameter `since`, which `job.create.query` also sets"
    ])
    const body = '{ create: { path: /r, body: { json: { from: "{since}" } } } }'
    assert.deepStrictEqual(said(file(body, "path: /r\n    incremental: { field: at }")), [])
  })
})
