import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { startSyntheticApi, type SyntheticApi, type SyntheticSettings } from "@tributary/testkit"
import { syntheticRecord } from "../src/SyntheticRecords.ts"

interface Body {
  readonly data: ReadonlyArray<{ readonly id: string; readonly updated_at: string }>
  readonly next: string | null
  readonly links: { readonly next: string | null }
}

const within = async (settings: Partial<SyntheticSettings>, use: (api: SyntheticApi) => Promise<void>) => {
  const api = await startSyntheticApi(settings)
  try {
    await use(api)
  } finally {
    await api.stop()
  }
}
// oxlint-disable-next-line eslint/no-restricted-globals -- the API is tested from outside, without the engine
const get = globalThis.fetch
const open = { auth: false }
const page = async (api: SyntheticApi, query: string): Promise<Body> =>
  (await (await get(`${api.url}/records?${query}`)).json()) as Body
const token = (api: SyntheticApi, form: Record<string, string>) =>
  get(api.tokenUrl, { method: "POST", body: new URLSearchParams(form) })
const client = { grant_type: "client_credentials", client_id: "client", client_secret: "client-secret" }

describe("SyntheticApi", () => {
  it("sends the records that syntheticRecord names, wherever a page begins", () =>
    within({ ...open, records: 100_000 }, async (api) => {
      for (const [offset, limit] of [
        [0, 10],
        [63, 3],
        [599, 1000],
        [99_990, 1000]
      ] as const) {
        const text = await (await get(`${api.url}/records?offset=${offset}&limit=${limit}`)).text()
        const count = Math.min(limit, 100_000 - offset)
        const wanted = Array.from({ length: count }, (_, i) => syntheticRecord(offset + i)).join(",")
        assert.isTrue(text.startsWith(`{"data":[${wanted}],"next":`), `${offset}`)
      }
    }))
  it("makes records of about 390 bytes with 13 fields", () => {
    const record: unknown = JSON.parse(syntheticRecord(12_345))
    assert.strictEqual(Object.keys(record as object).length, 13)
    assert.include(syntheticRecord(12_345), '"seq":9007199254753338,')
    const sizes = Array.from({ length: 64 }, (_, i) => Buffer.byteLength(syntheticRecord(i)))
    assert.closeTo(sizes.reduce((sum, size) => sum + size, 0) / 64, 390, 10)
  })
  it("pages by cursor, page, offset, address and header", () =>
    within({ ...open, records: 25 }, async (api) => {
      const first = await page(api, "limit=10")
      const second = await page(api, `limit=10&cursor=${first.next}`)
      const third = await page(api, `limit=10&cursor=${second.next}`)
      assert.deepStrictEqual(
        [first, second, third].map((body) => body.data.length),
        [10, 10, 5]
      )
      assert.isNull(third.next)
      assert.deepStrictEqual((await page(api, "limit=10&page=2")).data, second.data)
      assert.deepStrictEqual((await page(api, "limit=10&offset=10")).data, second.data)
      assert.deepStrictEqual(await page(api, (first.links.next ?? "").split("?")[1] ?? ""), second)
      const link = (await get(`${api.url}/records?limit=10`)).headers.get("link")
      assert.strictEqual(link, `<${api.url}${first.links.next}>; rel="next"`)
      assert.strictEqual((await get(`${api.url}/records?cursor=x`)).status, 400)
    }))
  it("leaves out what is older than since", () =>
    within({ ...open, records: 30 }, async (api) => {
      const { data } = await page(api, "since=2025-01-01T00:00:00.101Z")
      assert.strictEqual(data[0]?.id, "evt_0000000014")
      assert.strictEqual((await page(api, "since=2025-01-01T00:00:00.100Z")).data[0]?.id, "evt_0000000007")
    }))
  it("begins with the record it is told to", () =>
    within({ ...open, first: 1000, records: 30 }, async (api) => {
      const { data } = await page(api, "limit=20")
      assert.deepStrictEqual(data[0], JSON.parse(syntheticRecord(1000)))
      assert.strictEqual(data.length, 20)
      const since = String(JSON.parse(syntheticRecord(1015)).updated_at)
      assert.strictEqual((await page(api, `since=${since}`)).data[0]?.id, "evt_0000001015")
      assert.strictEqual((await page(api, "since=2025-01-01T00:00:00.000Z")).data.length, 30)
    }))
  it("gives tokens to the client only, and wants them", () =>
    within({ tokenLife: 60, scopes: ["records.read", "other"] }, async (api) => {
      assert.strictEqual((await get(`${api.url}/records`)).status, 401)
      assert.strictEqual((await token(api, { ...client, client_secret: "wrong" })).status, 401)
      assert.deepInclude(await (await token(api, { ...client, scope: "admin" })).json(), { error: "invalid_scope" })
      const use = async (scope: string) => {
        const body = (await (await token(api, { ...client, scope })).json()) as { readonly access_token: string }
        return get(`${api.url}/records`, { headers: { authorization: `Bearer ${body.access_token}` } })
      }
      assert.strictEqual((await use("records.read")).status, 200)
      assert.strictEqual((await use("other")).status, 403)
      assert.deepInclude(api.stats, { tokenRequests: 4, tokensRefused: 2, unauthorized: 1, forbidden: 1, pages: 1 })
    }))
  it("plays its faults", () =>
    within(open, async (api) => {
      const status = async (settings: Partial<SyntheticSettings>) => {
        api.set({ errorRate: 0, dropRate: 0, cutRate: 0, throttleRate: 0, ...settings })
        try {
          const answer = await get(`${api.url}/records`)
          await answer.text()
          return answer.status
        } catch {
          return "broken"
        }
      }
      assert.strictEqual(await status({ errorRate: 1 }), 500)
      assert.strictEqual(await status({ dropRate: 1 }), "broken")
      assert.strictEqual(await status({ cutRate: 1 }), "broken")
      assert.strictEqual(await status({ throttleRate: 1, retryAfter: 100 }), 429)
      assert.strictEqual(await status({}), 429)
      assert.deepInclude(api.stats, { errors: 1, dropped: 1, cut: 1, throttled: 2, early: 1 })
      const date = await get(`${api.url}/records`)
      api.set({ retryAfterForm: "date" })
      assert.match(date.headers.get("retry-after") ?? "", /^(99|100)$/u)
      assert.match((await get(`${api.url}/records`)).headers.get("retry-after") ?? "", / GMT$/u)
    }))
  it("runs as a process that ends with its input", async () => {
    const main = fileURLToPath(new URL("../src/synthetic-api-main.ts", import.meta.url))
    const child = spawn("node", [main, "--records", "7", "--auth", "false", "--error-rate", "0"])
    const [line] = (await once(child.stdout, "data")) as [Buffer]
    const { url } = JSON.parse(line.toString()) as { readonly url: string }
    const body = (await (await get(`${url}/records`)).json()) as Body
    assert.strictEqual(body.data.length, 7)
    const stats = (await (await get(`${url}/stats`)).json()) as { readonly records: number }
    assert.strictEqual(stats.records, 7)
    const exit = once(child, "exit")
    child.stdin.end()
    assert.deepStrictEqual((await exit)[0], 0)
  })
})
