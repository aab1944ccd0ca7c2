import { assert, describe, it } from "@effect/vitest"
import { Seeded } from "../src/Seeded.ts"
import { describePlan, faultPlan, type PlanOptions } from "../src/FaultPlan.ts"

const options: PlanOptions = {
  seed: 1,
  lasts: 600_000,
  pause: 5_000,
  sessionTimeout: 6_000,
  services: { source: ["source-1", "source-2"], transform: ["transform-1"], sink: ["sink-1", "sink-2"] },
  brokers: ["kafka-1", "kafka-2", "kafka-3"],
  servers: ["clickhouse", "redis", "registry"]
}

describe("the plan of faults", () => {
  it("follows from the seed", () => {
    assert.deepStrictEqual(faultPlan(options), faultPlan(options))
    assert.notDeepEqual(faultPlan(options), faultPlan({ ...options, seed: 2 }))
    assert.include(describePlan(faultPlan(options)), "kill -9 kafka-")
  })
  it("has each kind and each target within two minutes, whatever the seed", () => {
    for (let seed = 0; seed < 200; seed++) {
      const plan = faultPlan({ ...options, seed, lasts: 120_000, pause: 4_000 })
      assert.isAbove(plan.length, 20, `seed ${seed}`)
      assert.deepStrictEqual([...new Set(plan.map(({ kind }) => kind))].sort(), ["freeze", "kill", "outage"])
      const targets = new Set(plan.flatMap((fault) => fault.targets))
      for (const name of [...Object.values(options.services).flat(), ...options.servers])
        assert.isTrue(targets.has(name), `seed ${seed} leaves ${name} alone`)
      assert.isTrue(
        options.brokers.some((name) => targets.has(name)),
        `seed ${seed} leaves the brokers alone`
      )
    }
  })
  it("freezes for longer than the session, and takes away one broker at a time", () => {
    for (let seed = 0; seed < 50; seed++) {
      let brokerUntil = 0
      for (const fault of faultPlan({ ...options, seed })) {
        if (fault.kind === "freeze") assert.isAbove(fault.lasts, options.sessionTimeout)
        if (!fault.targets.some((name) => name.startsWith("kafka"))) continue
        assert.isAtLeast(fault.at, brokerUntil)
        brokerUntil = fault.at + (fault.kind === "kill" ? 0 : fault.lasts)
      }
    }
  })
  it("has numbers that are spread evenly", () => {
    const seeded = new Seeded(7)
    const counts = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 100_000; i++) counts[seeded.between(0, 10)]!++
    for (const count of counts) assert.approximately(count, 10_000, 500)
  })
})
