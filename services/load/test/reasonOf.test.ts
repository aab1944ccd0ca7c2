import { Duration } from "effect"
import { assert, describe, it } from "vitest"
import type { Verification } from "../src/LoadResult.ts"
import { reasonOf } from "../src/reasonOf.ts"

const right: Verification = {
  what: "table",
  expected: 10,
  found: 10,
  missing: 0,
  duplicated: 0,
  altered: 0,
  foreign: 0,
  differences: []
}
const options = { longest: Duration.minutes(30) }
const base = { arrival: "all", verification: [right], deaths: [], problems: [], options } as const

describe("reasonOf", () => {
  it("has none for a test that succeeded", () => assert.isNull(reasonOf(base)))

  it("tells differences from nothing that was compared", () => {
    const wrong = { ...right, found: 9, missing: 1 }
    assert.strictEqual(reasonOf({ ...base, verification: [right, wrong] })?.kind, "differences")
    assert.strictEqual(reasonOf({ ...base, verification: [] })?.kind, "uncompared")
  })

  it("says that the time was over, or that nothing came, also where all is there in the end, with what was complained of", () => {
    assert.deepStrictEqual(reasonOf({ ...base, arrival: "late", problems: ["sink-1: no"] }), {
      kind: "late",
      sentence: "Not everything had arrived after 30m (--minutes).",
      problems: ["sink-1: no"]
    })
    assert.strictEqual(reasonOf({ ...base, arrival: "stalled" })?.sentence, "Nothing more arrived for 1m 30s.")
  })

  it("names the workers that ended by themselves", () => {
    const deaths = [
      { worker: "source-1", at: 1, how: "code 1" },
      { worker: "sink-2", at: 2, how: "SIGSEGV" },
      { worker: "source-1", at: 3, how: "code 7" }
    ]
    assert.deepStrictEqual(reasonOf({ ...base, arrival: "stalled", deaths }), {
      kind: "ended",
      sentence:
        "Nothing more arrived for 1m 30s. Workers had ended by themselves: source-1 (2 times, last with code 7) and sink-2 (once, with SIGSEGV).",
      problems: []
    })
    // One that was started again and went on is no reason.
    assert.isNull(reasonOf({ ...base, deaths }))
  })
})
