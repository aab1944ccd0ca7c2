import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { mayRepeat, policyOf, requestTime, unknownProvider } from "../src/journal/RefreshPolicy.ts"
import { explore, type Fault, faults, type Provider } from "./journal/model.ts"

const strict: Provider = {
  name: "rotating, strict",
  rotates: true,
  grace: 0,
  policy: policyOf({ rotation: "always", grace: "none", reuse: "revokes_family" })
}
const graceful: Provider = {
  name: "rotating, with a grace",
  rotates: true,
  grace: 6,
  policy: { rotates: true, grace: 6, reuse: "revokes_family" }
}
const lasting: Provider = { name: "not rotating", rotates: false, grace: 0, policy: policyOf({ rotation: "never" }) }

describe("all executions of two workers with two faults", () => {
  for (const provider of [strict, graceful, lasting]) {
    it(`lose no refresh token where there is a way, and never revoke its family: ${provider.name}`, () => {
      const { findings, needsConsent, recovered, states } = explore(provider, "journal", faults, 2, 3)
      assert.deepStrictEqual(findings, [])
      assert.isAbove(states, 5000)
      assert.isAbove(recovered, 200)
      if (provider === lasting) assert.strictEqual(needsConsent, 0)
    })
  }

  it("lose none when a short grace ends before anybody asks again", () => {
    const short: Provider = { ...graceful, grace: 5, policy: { ...graceful.policy, grace: 5 } }
    const some: ReadonlyArray<ReadonlyArray<Fault>> = [
      ["crash", "refused-for-now"],
      ["lease-lost", "request-lost"]
    ]
    for (const kinds of some) assert.deepStrictEqual(explore(short, "journal", kinds, 2, 6).findings, [])
  })

  it("lose them, and revoke families, when the journal is not written: the check sees it", () => {
    const { lost, revoked } = explore(strict, "memoryless", faults, 1, 2)
    assert.isAbove(revoked, 0)
    assert.isAbove(lost, 0)
  })

  it.prop(
    "of each kind, three times",
    [Schema.Literals(faults), Schema.Literals([0, 1, 2])],
    ([fault, which]: readonly [Fault, 0 | 1 | 2]) => {
      const provider = [strict, graceful, lasting][which] ?? strict
      assert.deepStrictEqual(explore(provider, "journal", [fault], 3, 3).findings, [])
    },
    { arbitrary: { runs: 12 }, timeout: 240_000 }
  )
})

describe("a refresh token whose answer was lost", () => {
  const cases: ReadonlyArray<readonly [string, Parameters<typeof policyOf>[0], number, boolean]> = [
    ["of an unknown provider, is sent again", undefined, 1e12, true],
    ["that is never replaced, is sent again", { rotation: "never" }, 1e12, true],
    ["whose reuse is refused and no more, is sent again", { rotation: "always", reuse: "refused" }, 1e12, true],
    ["whose reuse revokes the family, is not", { reuse: "revokes_family" }, 0, false],
    ["without grace, is not", { rotation: "sometimes", grace: "none" }, 0, false],
    ["is sent again within the grace", { grace: 30 }, 9_999, true],
    ["is not when it might arrive after the grace", { grace: 30 }, 10_000, false],
    ["is, by a clock that is a little behind", { grace: 30 }, -1000, true],
    ["is not once the clock was put back, for nobody knows the time", { grace: 30 }, -3_600_000, false],
    ["that lives until the next use, is sent again", { grace: "until_next_use", reuse: "revokes_family" }, 1e12, true],
    ["that may be used for ever, is sent again", { grace: "unlimited" }, 1e12, true]
  ]
  for (const [name, lifecycle, after, expected] of cases) {
    it(name, () => assert.strictEqual(mayRepeat(policyOf(lifecycle), 5000, 5000 + after, 20_000), expected))
  }

  it("can be taken over by another process within a short grace, for requests are given up early", () => {
    assert.strictEqual(requestTime(unknownProvider, 20_000), 20_000)
    assert.strictEqual(requestTime(policyOf({ grace: "none" }), 20_000), 20_000)
    assert.strictEqual(requestTime(policyOf({ grace: 30 }), 20_000), 6000)
    assert.strictEqual(requestTime(policyOf({ grace: 600 }), 20_000), 20_000)
  })
})
