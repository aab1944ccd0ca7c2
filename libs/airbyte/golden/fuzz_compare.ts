// oxlint-disable no-console, no-restricted-globals -- a script
/** Compares outcomes made by the CDK (a file of JSON lines `[context, mode, expression, outcome]`) with ours. */
import { readFileSync } from "node:fs"
import { evaluateCase, loadContexts } from "./harness.ts"

const [, , contextsFile = "", casesFile = "", limit = "20"] = process.argv
const contexts = loadContexts(JSON.parse(readFileSync(contextsFile, "utf8")))
let count = 0
let different = 0
let skipped = 0
for (const line of readFileSync(casesFile, "utf8").split("\n")) {
  if (line === "") continue
  const [contextName, mode, expression, expected] = JSON.parse(line)
  if (expected[0] === "slow") {
    skipped++
    continue
  }
  // What prints an address is different every time.
  if (/ [ab]t 0x[0-9a-f]+(>|&gt;)|<bound method/.test(String(expected[1]))) {
    skipped++
    continue
  }
  count++
  // Our bound on size is below the host's memory.
  const found = evaluateCase(mode, expression, contexts(contextName))
  if (found[1] === "LimitError") {
    skipped++
    continue
  }
  if (JSON.stringify(found.slice(0, 2)) !== JSON.stringify(expected)) {
    different++
    if (different <= Number(limit)) {
      console.log(
        `${mode} ${contextName}: ${JSON.stringify(expression)}\n  cdk ${JSON.stringify(expected).slice(0, 300)}\n  our ${JSON.stringify(found).slice(0, 300)}`
      )
    }
  }
}
console.log(JSON.stringify({ count, different, skipped }))
