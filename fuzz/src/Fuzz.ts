import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { seeded } from "@tributary/testkit"
import { type Case, isCase, type Wrong } from "./Case.ts"
import { connectorCase } from "./ConnectorCases.ts"
import { expressionCase } from "./ExpressionCases.ts"
import type { Json } from "./Json.ts"
import { engineCase, manifestCase } from "./ManifestCases.ts"
import { shrunk } from "./Shrink.ts"
import { truthCase } from "./TruthCases.ts"
import { type Bounds, startWorker, type Worker } from "./Worker.ts"

export const kinds = ["connector", "truth", "manifest", "engine", "expression"] as const
export type Kind = (typeof kinds)[number]

/** How often each kind is run. */
const shares: ReadonlyArray<Kind> = [
  "connector",
  "connector",
  "connector",
  "connector",
  "truth",
  "truth",
  "manifest",
  "engine",
  "engine",
  "expression"
]

export const makeCase = (kind: Kind, seed: number): Case => {
  const random = seeded(seed)
  switch (kind) {
    case "connector":
      return connectorCase(random)
    case "truth":
      return truthCase(random)
    case "manifest":
      return manifestCase(random)
    case "engine":
      return engineCase(random)
    case "expression":
      return expressionCase(random)
  }
}

export interface FuzzOptions {
  readonly seed: number
  /** Milliseconds. */
  readonly lasts: number
  /** Most cases. */
  readonly most: number
  readonly kinds: ReadonlyArray<Kind>
  readonly bounds: Bounds
  /** Where cases that went wrong are written. */
  readonly folder: string
  readonly sabotage: string | undefined
  /** Milliseconds in which a case is made smaller. */
  readonly shrinkTime: number
  /** Processes that run cases at a time. */
  readonly workers: number
  readonly say: (line: string) => void
}

/** A fault, and the smallest case that has it. */
export interface Failure {
  readonly name: string
  readonly detail: string
  readonly seed: number
  readonly kind: Kind
  readonly file: string
  count: number
}

export interface Report {
  readonly cases: number
  readonly words: ReadonlyMap<string, number>
  readonly failures: ReadonlyArray<Failure>
  readonly slowest: number
  readonly resident: number
  readonly requests: number
}

/** Every so many cases what is in use is looked at. */
const lookEvery = 250
/** Bytes in use, behind a collection of garbage, that no run of cases may leave behind. */
const mostLeft = 256 * 1_048_576

const megabytes = (bytes: number): number => Math.round(bytes / 1_048_576)

const smallest = (given: Json, name: string, worker: Worker, time: number): Promise<Json> =>
  shrunk(
    given,
    async (candidate) => isCase(candidate) && (await worker.run(candidate)).wrong.some((wrong) => wrong.name === name),
    time
  )

/** Runs cases until the time is over, some at a time: most of them wait more than they work. */
export const fuzz = async ({
  bounds,
  folder,
  kinds: wanted,
  lasts,
  most,
  sabotage,
  say,
  seed,
  shrinkTime,
  workers
}: FuzzOptions): Promise<Report> => {
  const until = performance.now() + lasts
  const words = new Map<string, number>()
  const failures = new Map<string, Failure>()
  const random = seeded(seed)
  const chosen = shares.filter((kind) => wanted.includes(kind))
  let cases = 0
  let slowest = 0
  let resident = 0
  let requests = 0
  let told = performance.now()

  const fail = async (worker: Worker, kind: Kind, caseSeed: number, given: Case, { detail, name }: Wrong) => {
    const key = `${kind}: ${name}`
    const known = failures.get(key)
    if (known !== undefined) {
      known.count++
      return
    }
    const file = join(folder, `${kind}-${caseSeed}.json`)
    const write = (content: Json) =>
      writeFileSync(file, `${JSON.stringify({ name, detail, case: content }, undefined, 2)}\n`)
    const whole: Json = JSON.parse(JSON.stringify(given))
    mkdirSync(folder, { recursive: true })
    write(whole)
    failures.set(key, { name, detail, seed: caseSeed, kind, file, count: 1 })
    say(`WRONG ${kind}, seed ${caseSeed}: ${name}\n    ${detail.split("\n").slice(0, 8).join("\n    ")}`)
    const small = await smallest(whole, name, worker, shrinkTime)
    write(small)
    const [less, more] = [JSON.stringify(small).length, JSON.stringify(whole).length]
    say(`    smallest case: ${file} (${less} characters of ${more})`)
  }

  const work = async (): Promise<void> => {
    const worker = await startWorker(bounds, sabotage)
    while (performance.now() < until && cases < most) {
      const kind = random.pick(chosen)
      const caseSeed = random.below(2_147_483_647)
      const given = makeCase(kind, caseSeed)
      const result = await worker.run(given, ++cases % lookEvery === 0)
      words.set(`${kind}: ${result.word}`, (words.get(`${kind}: ${result.word}`) ?? 0) + 1)
      slowest = Math.max(slowest, result.took)
      resident = Math.max(resident, result.resident)
      requests += result.requests
      const { heap = 0 } = result
      const left = heap > mostLeft ? [{ name: "memory is left behind", detail: `${megabytes(heap)} MB` }] : []
      for (const wrong of [...result.wrong, ...left]) await fail(worker, kind, caseSeed, given, wrong)
      if (performance.now() - told > 60_000) {
        told = performance.now()
        const most = `slowest ${Math.round(slowest)} ms, ${megabytes(resident)} MB resident at most`
        say(`${cases} cases, ${requests} requests, ${most}, ${failures.size} faults`)
      }
    }
    await worker.stop()
  }
  await Promise.all(Array.from({ length: workers }, work))
  return { cases, words, failures: [...failures.values()], slowest, resident, requests }
}
