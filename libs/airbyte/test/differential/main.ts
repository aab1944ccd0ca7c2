/**
 * The same manifests run by airbyte-cdk and by this project, and every difference between them.
 *
 *     npm run test:airbyte -- [folder | file …]
 *
 * A file is a case (`manifest`, `config`, `state` and `api` together), or a manifest alone: then its config and its API are made
 * up of what it says of them. Without an argument the cases of this folder are run. Ends with 1 when anything differs.
 * With WRITE=1 what the CDK made of each case is kept beside it, for the tests that have no Python.
 */
import { statSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import process from "node:process"
import { parseJson, type PlainDict, type Value, writeJson } from "../../src/index.ts"
import { startApi } from "./api.ts"
import { asMessages, caseOf, dict, filesOf, ours, type Verb } from "./cases.ts"
import { compare, type Run } from "./compare.ts"
import { cdkPython, startCdk } from "./python.ts"

const say = (text: string) => process.stdout.write(`${text}\n`)

const main = async (): Promise<number> => {
  const found = cdkPython()
  if ("missing" in found) {
    say(`skipped: ${found.missing}`)
    return 0
  }
  const paths = process.argv.slice(2)
  const root = resolve(paths[0] ?? join(import.meta.dirname, "cases"))
  const files = (paths.length === 0 ? [root] : paths).flatMap((path) => filesOf(resolve(path)))
  const api = await startApi()
  const cdk = startCdk(found.python)
  let different = 0
  for (const file of files) {
    const name = relative(statSync(root).isDirectory() ? root : dirname(root), file)
    const differences: Array<string> = []
    const golden: PlainDict = {}
    let records = 0
    let requests = 0
    const both = async (label: string, verb: Verb, given: ReturnType<typeof caseOf>, state: ReadonlyArray<Value>) => {
      api.use(given.routes)
      const job: PlainDict = {
        verb,
        file,
        nested: given.nested,
        base: api.base,
        config: given.config,
        state: [...state]
      }
      const theirs: Run = { outcome: dict(parseJson(await cdk.run(writeJson(job)))), requests: api.take() }
      const here = await ours(api, file, verb, given, state)
      differences.push(...compare(verb, theirs, here).map((text) => `${label}: ${text}`))
      golden[label] = { outcome: theirs.outcome, requests: [...theirs.requests] }
      if (verb === "read") {
        for (const list of Object.values(dict(theirs.outcome["records"])))
          records += Array.isArray(list) ? list.length : 0
        requests += theirs.requests.length
      }
      return theirs
    }
    try {
      const given = caseOf(file)
      await both("check", "check", given, given.state)
      await both("discover", "discover", given, given.state)
      const first = await both("read", "read", given, given.state)
      if (first.outcome["failed"] !== true) {
        await both("again", "read", given, asMessages(first.outcome["states"]))
      }
    } catch (error) {
      differences.push(`not run: ${error instanceof Error ? error.message : String(error)}`)
    }
    if (differences.length > 0) different++
    else if (process.env["WRITE"] !== undefined)
      writeFileSync(file.replace(/\.ya?ml$/, ".json"), `${writeJson(golden)}\n`)
    say(`${differences.length === 0 ? "equal    " : "DIFFERENT"} ${name} (${records} records, ${requests} requests)`)
    for (const text of differences) say(`    ${text}`)
  }
  cdk.stop()
  api.close()
  say(`${files.length - different} of ${files.length} manifests equal`)
  return different === 0 ? 0 : 1
}

process.exitCode = await main()
