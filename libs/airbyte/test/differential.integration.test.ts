import { assert, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { startApi } from "./differential/api.ts"
import { asMessages, caseOf, dict, filesOf, goldenOf, ours, type Verb } from "./differential/cases.ts"
import { compare } from "./differential/compare.ts"

const verbs: { readonly [label: string]: Verb } = {
  check: "check",
  discover: "discover",
  read: "read",
  again: "read"
}

// What airbyte-cdk made of each case is kept beside it; `npm run test:airbyte` compares with the CDK itself.
for (const file of filesOf(join(import.meta.dirname, "differential", "cases"))) {
  const kept = file.replace(/\.ya?ml$/, ".json")
  it(`${basename(file)} gives what airbyte-cdk gives`, async () => {
    assert.isTrue(existsSync(kept), `${kept} is missing: WRITE=1 npm run test:airbyte makes it`)
    const api = await startApi()
    const given = caseOf(file)
    const golden = goldenOf(readFileSync(kept, "utf8"))
    const differences: Array<string> = []
    for (const [label, theirs] of golden) {
      const first = new Map(golden).get("read")
      const state = label === "again" ? asMessages(first?.outcome["states"]) : given.state
      const verb = verbs[label] ?? "read"
      const here = await ours(api, file, verb, given, state)
      differences.push(...compare(verb, theirs, here).map((text) => `${label}: ${text}`))
    }
    api.close()
    assert.deepStrictEqual(differences, [])
  })
}

it("a comparison sees a record, a request or a state that differs", () => {
  const run = { outcome: { records: { a: [{ id: 1 }] }, states: { a: { at: 1 } } }, requests: ["GET a"] }
  assert.deepStrictEqual(compare("read", run, run), [])
  const others = [
    { ...run, outcome: { ...run.outcome, records: { a: [{ id: 1 }, { id: 1 }] } } },
    { ...run, outcome: { ...run.outcome, states: { a: { at: 2 } } } },
    { ...run, requests: [] }
  ]
  for (const other of others) assert.isNotEmpty(compare("read", run, other))
  assert.deepStrictEqual(dict(null), {})
})
