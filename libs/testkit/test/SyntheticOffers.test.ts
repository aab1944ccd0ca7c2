import { assert, describe, it } from "@effect/vitest"
import { Offers, offeredAt, smallestSize, startSyntheticApi, syntheticRecord } from "@tributary/testkit"

// oxlint-disable-next-line eslint/no-restricted-globals -- the API is tested from outside, without the engine
const get = globalThis.fetch

describe("what is offered when", () => {
  it("follows rates that change", () => {
    const offers = new Offers(1, 0, 0, 0)
    assert.strictEqual(offers.available(1_000), 0)
    offers.change(1_000, 1_000_000, 100)
    assert.deepStrictEqual(
      [1_000, 1_010, 2_000].map((at) => offers.available(at)),
      [0, 1, 100]
    )
    offers.change(2_000, 1_000_000, 1_000)
    assert.strictEqual(offers.available(3_000), 1_100)
    const at = offeredAt({ segments: offers.segments, sent: offers.sent, records: 1_100 }, 0)
    for (const index of [0, 1, 50, 99, 100, 101, 1_099]) {
      const moment = at(index) ?? 0
      // It is there from that moment on, and not before.
      assert.strictEqual(index < 100 ? offers.segments[0]?.rate : offers.segments[1]?.rate, index < 100 ? 100 : 1_000)
      assert.strictEqual(moment, index < 100 ? 1_000 + (index + 1) * 10 : 2_000 + (index - 99))
    }
  })
  it("ends with the number that it has", () => {
    const offers = new Offers(1, 0, 0, 0)
    offers.change(0, 50, 100)
    assert.strictEqual(offers.available(10_000), 50)
  })
  it("is the moment at which a page went out first, when all is there at once", () => {
    const offers = new Offers(2, 0, 1_000, 0)
    offers.note(1, 10, 100)
    offers.note(1, 20, 50)
    offers.note(1, 30, 200)
    const at = offeredAt({ segments: offers.segments, sent: offers.sent, records: 1_000 }, 1)
    assert.deepStrictEqual([0, 99, 100, 199, 200].map(at), [10, 10, 30, 30, undefined])
  })
})

describe("an API with several streams", () => {
  it("has other records in each, of the size that is asked for", async () => {
    const api = await startSyntheticApi({
      auth: false,
      records: 130,
      streams: 3,
      span: 1_000,
      recordSize: smallestSize
    })
    try {
      for (const [path, first] of [
        ["/records", 0],
        ["/records/0", 0],
        ["/records/2", 2_000]
      ] as const) {
        const wanted = Array.from({ length: 130 }, (_, k) => syntheticRecord(first + k, smallestSize))
        const text = await (await get(`${api.url}${path}?limit=1000`)).text()
        assert.isTrue(text.startsWith(`{"data":[${wanted.join(",")}],"next":null`), path)
        for (const record of wanted) assert.strictEqual(Buffer.byteLength(record), smallestSize)
      }
      assert.strictEqual((await get(`${api.url}/records/3`)).status, 404)
      assert.deepStrictEqual(api.stats.pagesOf, [2, 0, 1])
    } finally {
      await api.stop()
    }
  })
  it("answers 429 with seconds and with dates in turn", async () => {
    const api = await startSyntheticApi({ auth: false, throttleRate: 1, retryAfter: 1, retryAfterForm: "both" })
    try {
      const forms = []
      for (let k = 0; k < 4; k++) {
        forms.push((await get(`${api.url}/records`)).headers.get("retry-after")?.endsWith("GMT"))
      }
      assert.deepStrictEqual(forms, [false, true, false, true])
    } finally {
      await api.stop()
    }
  })
})
