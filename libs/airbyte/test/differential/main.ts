/**
 * The same manifests run by airbyte-cdk and by this project, and every difference between them.
 *
 *     npm run test:airbyte -- [--folder <dir>] [file …] [--engine] [--faults] [--json] [--timeout <s>] [--jobs <n>] [--only <text>]
 *         [--variant full,branch=<n>,sparse|odd,seed=<n>] [--read-only]
 *
 * A file is a case (`manifest`, `config`, `state` and `api` together), or a manifest alone: then its config and its API are made
 * up of what it says of them. Without an argument the cases of this folder are run. Each manifest is equal, differs, or is not
 * comparable (Python of its own, refused by the CDK too, out of time). Ends with 1 when any differs.
 * With --engine each is a connector file in the engine, in one go and with a restart after every page, against what is kept beside it
 * or else the CDK's read: the records have to be the same.
 * A variant gives all settings (`full`), other choices of the spec (`branch`), records with missing and wrong fields (`sparse`)
 * or bodies that are none (`odd`), which the seed changes. With `--read-only`
 * only a first read is compared, in a quarter of the time.
 * With WRITE=1 what the CDK made of each case is kept beside it, for the tests that have no Python.
 */
import { statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { writeJson } from "../../src/index.ts"
import { startApi } from "./api.ts"
import { filesOf } from "./cases.ts"
import { compareEngine } from "./engineMode.ts"
import { cdkPython, startCdk } from "./python.ts"
import { variantOf } from "./synthetic/variant.ts"
import { compareFile, type Verdict } from "./verdict.ts"
import { startOurs } from "./worker.ts"

const say = (text: string) => process.stdout.write(`${text}\n`)

const usage =
  "npm run test:airbyte -- [--folder <dir>] [file …] [--engine] [--faults] [--json] [--timeout <seconds>] [--jobs <n>] [--only <text in the name>] [--variant full,branch=<n>,sparse|odd,seed=<n>] [--read-only]"

const shown = (verdict: Verdict): string => {
  const counts = `${verdict.streams} streams, ${verdict.records} records, ${verdict.requests} requests, ${verdict.seconds.toFixed(1)} s`
  const first = [`${verdict.verdict.padEnd(14)} ${verdict.file} (${counts})`]
  if (verdict.why !== "") first.push(`    ${verdict.why}`)
  return [...first, ...verdict.differences.slice(0, 20).map((text) => `    ${text}`)].join("\n")
}

const summary = (verdicts: ReadonlyArray<Verdict>): ReadonlyArray<string> => {
  const count = (name: Verdict["verdict"]) => verdicts.filter(({ verdict }) => verdict === name).length
  const reasons = new Map<string, number>()
  for (const { verdict, why } of verdicts) {
    if (verdict !== "not comparable") continue
    const reason = why.replace(/:.*$/s, "")
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const comparable = verdicts.length - count("not comparable")
  const empty = verdicts.filter(({ records, verdict }) => verdict === "equal" && records === 0).length
  return [
    `${count("equal")} of ${comparable} comparable manifests equal, ${count("differs")} differ; ${count("not comparable")} not comparable.`,
    ...(empty === 0 ? [] : [`${empty} of the equal ones gave no record.`]),
    ...Array.from(reasons, ([reason, number]) => `    ${number} not comparable: ${reason}`)
  ]
}

const main = async (): Promise<number> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      folder: { type: "string", multiple: true },
      json: { type: "boolean", default: false },
      faults: { type: "boolean", default: false },
      engine: { type: "boolean", default: false },
      timeout: { type: "string", default: "120" },
      jobs: { type: "string", default: "1" },
      only: { type: "string" },
      variant: { type: "string", default: "" },
      "read-only": { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) {
    say(usage)
    return 0
  }
  const found = cdkPython()
  if ("missing" in found) {
    say(`skipped: ${found.missing}`)
    return 0
  }
  const paths = [...(values.folder ?? []), ...positionals].map((path) => resolve(path))
  const [root] = paths.length === 0 ? [join(import.meta.dirname, "cases")] : paths
  const only = values.only ?? ""
  const folder = root !== undefined && statSync(root).isDirectory() ? root : dirname(root ?? ".")
  const files = (paths.length === 0 ? [folder] : paths)
    .flatMap(filesOf)
    .filter((file) => relative(folder, file).includes(only))
  const millis = Math.max(1, Number(values.timeout)) * 1000
  const verdicts: Array<Verdict> = []
  let next = 0
  const work = async () => {
    const tools = {
      api: await startApi(values.faults),
      cdk: startCdk(found.python),
      ours: startOurs(),
      millis,
      variant: variantOf(values.variant),
      isReadOnly: values["read-only"]
    }
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      const verdict = await (values.engine ? compareEngine : compareFile)(tools, file, relative(folder, file))
      verdicts.push(verdict)
      if (!values.json) say(shown(verdict))
    }
    tools.cdk.stop()
    tools.ours.stop()
    tools.api.close()
  }
  await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, work))
  const isDifferent = verdicts.some(({ verdict }) => verdict === "differs")
  if (values.json) {
    const lines = verdicts.map((verdict) => ({ ...verdict, differences: [...verdict.differences] }))
    say(writeJson(lines.toSorted((a, b) => (a.file < b.file ? -1 : 1))))
  } else for (const line of summary(verdicts)) say(line)
  return isDifferent ? 1 : 0
}

process.exitCode = await main()
