import { readCompacted } from "@tributary/catalog"
import { statusTopic } from "@tributary/domain"
import { readStatusEntries } from "@tributary/telemetry"
import { Clock, Effect } from "effect"
import { readFileSync } from "node:fs"
import { spawnSync } from "node:child_process"
import { platform } from "node:process"
import type { ProcessUse } from "./LoadResult.ts"
import type { ServerUse } from "./ServerUse.ts"

/** CPU seconds since its start, and resident bytes. */
export interface Use {
  readonly cpu: number
  readonly rss: number
}

/** Clock ticks of /proc in a second: the kernel's USER_HZ, the same on every Linux. */
const ticks = 100

const seconds = (text: string): number => text.split(/[:-]/u).reduce((sum, part) => sum * 60 + Number(part), 0)

/** What a process of this machine uses; `undefined` when there is none of that number. */
export const useOf = (pid: number): Use | undefined => {
  if (platform !== "linux") {
    const [rss = "", cpu = ""] = spawnSync("ps", ["-o", "rss=,time=", "-p", String(pid)], { encoding: "utf8" })
      .stdout.trim()
      .split(/\s+/u)
    return cpu === "" ? undefined : { cpu: seconds(cpu), rss: Number(rss) * 1_024 }
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // Behind the name, which may have spaces; user and system time are the fields 14 and 15 (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const resident = /^VmRSS:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return { cpu: (Number(fields[11]) + Number(fields[12])) / ticks, rss: Number(resident ?? 0) * 1_024 }
  } catch {
    // It has ended.
    return undefined
  }
}

/** Processes that a process has started; empty where that cannot be told. */
export const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .filter((text) => text.trim() !== "")
      .map(Number)
  } catch {
    return []
  }
}

interface Entry {
  pid: number | undefined
  lives: number
  /** CPU seconds of lives that are over, and of this one as of the last look. */
  before: number
  now: number
  rss: number
  lastAt: number
  lastCpu: number
  readonly samples: Array<{ readonly at: number; readonly cpu: number; readonly rss: number }>
}

/** Adds up what named processes use, over all their lives. */
export class UseRecorder {
  readonly #entries = new Map<string, Entry>()
  readonly #begun: number

  constructor(begun: number) {
    this.#begun = begun
  }

  /** A look at a process. `life` differs when it was started anew; what it used before the first look does not count if it ran already. */
  add(name: string, life: number, use: Use, at: number, ranBefore = false): void {
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      const before = ranBefore ? -use.cpu : 0
      entry = { pid: life, lives: 1, before, now: use.cpu, rss: 0, lastAt: at, lastCpu: before + use.cpu, samples: [] }
      this.#entries.set(name, entry)
    }
    if (entry.pid !== life) {
      entry.before += entry.now
      entry.pid = life
      entry.lives++
    }
    entry.now = use.cpu
    entry.rss = Math.max(entry.rss, use.rss)
    const total = entry.before + entry.now
    const passed = at - entry.lastAt
    if (passed >= 1_000) {
      const cpu = Math.max(0, ((total - entry.lastCpu) * 1_000) / passed)
      entry.samples.push({ at: entry.lastAt - this.#begun, cpu, rss: use.rss })
      entry.lastAt = at
      entry.lastCpu = total
    }
  }

  /** CPU seconds of all so far, and their resident memory as of the last look. */
  total(): Use {
    let cpu = 0
    let rss = 0
    for (const { before, now, samples } of this.#entries.values()) {
      cpu += before + now
      rss += samples.at(-1)?.rss ?? 0
    }
    return { cpu, rss }
  }

  result(): ReadonlyArray<ProcessUse> {
    return [...this.#entries].map(([name, { before, lives, now, rss, samples }]) => ({
      name,
      cpu: before + now,
      rss,
      restarts: lives - 1,
      samples: thinned(samples, mostSamples)
    }))
  }
}

const mostSamples = 600

/** Every so manyth, so that there are not more than that. */
export const thinned = <A>(all: ReadonlyArray<A>, most: number): ReadonlyArray<A> => {
  const step = Math.ceil(all.length / most)
  return step <= 1 ? all : all.filter((_, at) => at % step === 0 || at === all.length - 1)
}

/** What workers that run already have written of themselves. */
export const runningUse = Effect.map(readCompacted(statusTopic), (stored) =>
  readStatusEntries(stored).processes.map(({ cpuSeconds, residentBytes, startedAt, worker, at }) => ({
    name: worker,
    life: startedAt,
    at,
    cpu: cpuSeconds,
    rss: residentBytes
  }))
)

/** A process of this machine that is looked at by its number. */
export interface OwnProcess {
  readonly name: string
  readonly pid: () => number | undefined
  /** Name of the process that it starts. */
  readonly child: string | undefined
}

/** Looks at processes once. */
export const lookAtOwn = Effect.fnUntraced(function* (recorder: UseRecorder, processes: ReadonlyArray<OwnProcess>) {
  const at = yield* Clock.currentTimeMillis
  for (const { child, name, pid } of processes) {
    const id = pid()
    if (id === undefined) continue
    const use = useOf(id)
    if (use !== undefined) recorder.add(name, id, use, at)
    if (child === undefined) continue
    for (const one of childrenOf(id)) {
      const its = useOf(one)
      if (its !== undefined) recorder.add(child, one, its, at)
    }
  }
})

/** Notes what servers say that they use. */
export const noteServers = Effect.fnUntraced(function* (recorder: UseRecorder, uses: ReadonlyArray<ServerUse>) {
  const at = yield* Clock.currentTimeMillis
  for (const { cpu, name, rss } of uses) recorder.add(name, 0, { cpu, rss }, at, true)
})
