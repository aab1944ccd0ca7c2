// The harness finds what it is there to find, makes the same case of the same seed, and makes cases smaller.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { fuzz, kinds, makeCase } from "../src/Fuzz.ts"
import type { Json } from "../src/Json.ts"
import { shrunk } from "../src/Shrink.ts"
import { startWorker } from "../src/Worker.ts"

const folder = mkdtempSync(join(tmpdir(), "tributary-fuzz-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bounds = { time: 120_000, memory: 1024 * 1_048_576 }

describe("the fuzz run", () => {
  it("makes the same case of the same seed", () => {
    for (const kind of kinds) {
      for (const seed of [1, 77, 2_000_000_000]) assert.deepStrictEqual(makeCase(kind, seed), makeCase(kind, seed))
    }
  })

  it.each([
    ["crash", "crash: TypeError: sabotage"],
    ["exit", "the process ended"],
    ["place", "an error does not name its stream"]
  ])(
    "finds a product with the fault %s, and writes a case that has it",
    { timeout: 240_000 },
    async (sabotage, name) => {
      const lines: Array<string> = []
      const report = await fuzz({
        seed: 5,
        lasts: 200,
        most: Number.POSITIVE_INFINITY,
        kinds: ["expression"],
        bounds,
        folder,
        sabotage,
        shrinkTime: 500,
        workers: 1,
        say: (line) => void lines.push(line)
      })
      const [failure] = report.failures
      assert.isDefined(failure)
      assert.include(failure?.name, name)
      const written: unknown = JSON.parse(readFileSync(failure?.file ?? "", "utf8"))
      assert.propertyVal(written, "name", failure?.name)
      assert.isTrue(lines.some((line) => line.includes(`seed ${failure?.seed}`)))
    }
  )

  it(
    "finds a product that would lose records of an API that is known, or publish them twice",
    { timeout: 240_000 },
    async () => {
      const workers = await Promise.all([
        startWorker(bounds),
        startWorker(bounds, "lose"),
        startWorker(bounds, "double")
      ])
      const found = new Set<string>()
      // Some cases have no records.
      for (const seed of [1, 2, 3, 4]) {
        const results = await Promise.all(workers.map((worker) => worker.run(makeCase("truth", seed))))
        assert.deepStrictEqual(results[0]?.wrong, [])
        for (const [index, { wrong }] of results.entries()) for (const { name } of wrong) found.add(`${index}: ${name}`)
      }
      await Promise.all(workers.map((worker) => worker.stop()))
      assert.include([...found], "1: a record is lost")
      assert.include([...found], "2: a record is published twice")
    }
  )

  it.each([
    ["hang", { time: 300, memory: bounds.memory }, "a case does not end"],
    ["loop", { time: 300, memory: bounds.memory }, "a case does not end"],
    ["memory", { time: 30_000, memory: 400 * 1_048_576 }, "memory has no bound"]
  ] as const)("ends a runner with the fault %s", { timeout: 240_000 }, async (sabotage, limits, name) => {
    const worker = await startWorker(limits, sabotage)
    const result = await worker.run(makeCase("expression", 1))
    await worker.stop()
    assert.deepStrictEqual(
      result.wrong.map((wrong) => wrong.name),
      [name]
    )
  })

  it("makes a case smaller as long as it goes wrong", async () => {
    const given: Json = JSON.parse(JSON.stringify(makeCase("manifest", 12)))
    const needs = (text: string) => text.includes("SimpleRetriever")
    assert.isTrue(needs(JSON.stringify(given)))
    const small = await shrunk(given, async (candidate) => needs(JSON.stringify(candidate)), 10_000)
    assert.isTrue(needs(JSON.stringify(small)))
    assert.isBelow(JSON.stringify(small).length, JSON.stringify(given).length / 4)
  })
})
