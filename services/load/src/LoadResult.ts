/** What a load test measured and found. The JSON report is this value; the HTML report draws it. Times are milliseconds. */
export interface LoadResult {
  /** `ok`: every record arrived once as it was; `failed`: not so; `incomplete`: the time was over before everything had arrived. */
  readonly outcome: "ok" | "failed" | "incomplete"
  /** Why the outcome is not `ok`; `null` where it is. */
  readonly reason: LoadReason | null
  /** When the test began, milliseconds since 1970. */
  readonly startedAt: number
  readonly engine: "embedded" | "servers"
  /** Whether the workers were started by the test, or ran already. */
  readonly workers: "own" | "running"
  /** What was asked for, as names and values to show. */
  readonly settings: Readonly<Record<string, string>>
  /** Machine: cores, memory in bytes, Node version. */
  readonly machine: { readonly cores: number; readonly memory: number; readonly node: string }
  readonly records: number
  readonly bytes: number
  /** From the first record that was offered to the last that could be queried. */
  readonly duration: number
  /** Records per second over `duration`, and over the best ten seconds. */
  readonly throughput: { readonly mean: number; readonly best: number }
  /** From the moment a record was offered by the API to the moment it could be queried. */
  readonly freshness: Quantiles
  readonly samples: ReadonlyArray<LoadSample>
  readonly processes: ReadonlyArray<ProcessUse>
  readonly api: {
    readonly requests: number
    readonly tokenRequests: number
    readonly throttled: number
    readonly errors: number
    readonly dropped: number
    readonly unauthorized: number
  }
  readonly faults: ReadonlyArray<{ readonly at: number; readonly what: string }>
  readonly verification: ReadonlyArray<Verification>
  readonly knee: Knee | undefined
}

/**
 * Why a test did not succeed.
 * - `differences`: a comparison found some; `uncompared`: nothing was compared.
 * - `late`: the time (`--minutes`) was over before everything had arrived; `stalled`: nothing more arrived for 90 seconds.
 * - `ended`: not everything arrived, and workers of the test had ended by themselves.
 */
export interface LoadReason {
  readonly kind: "differences" | "uncompared" | "late" | "stalled" | "ended"
  /** One sentence. */
  readonly sentence: string
  /** What stages and workers reported or complained of last. */
  readonly problems: ReadonlyArray<string>
}

/** `histogram[k]` counts values from `bounds[k - 1]` (0 for the first) to below `bounds[k]`; the last has no bound above. */
export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly longest: number
  readonly bounds: ReadonlyArray<number>
  readonly histogram: ReadonlyArray<number>
}

/** One look at the chain; totals since the start, `at` since `startedAt`. */
export interface LoadSample {
  readonly at: number
  readonly offered: number
  readonly published: number
  readonly loaded: number
  /** Age of the oldest record that is offered and not yet loaded. */
  readonly lag: number
}

/** What one process used. */
export interface ProcessUse {
  readonly name: string
  /** CPU seconds over the whole test. */
  readonly cpu: number
  /** Largest resident memory seen, bytes. */
  readonly rss: number
  readonly restarts: number
  /** CPU (share of one core) and resident memory (bytes) over time. */
  readonly samples: ReadonlyArray<{ readonly at: number; readonly cpu: number; readonly rss: number }>
}

/** One comparison of what is there with what must be. */
export interface Verification {
  readonly what: string
  readonly expected: number
  readonly found: number
  readonly missing: number
  readonly duplicated: number
  readonly altered: number
  readonly foreign: number
  /** Places of the first differences, such as `partition 1, offset 17: duplicated`. */
  readonly differences: ReadonlyArray<string>
}

/** Where the chain no longer keeps up. */
export interface Knee {
  /** The highest rate, records per second, at which the objective was kept. */
  readonly rate: number
  /** Bound of the 99th percentile of freshness, milliseconds. */
  readonly objective: number
  readonly steps: ReadonlyArray<{
    readonly rate: number
    readonly reached: number
    readonly p99: number
    readonly lagGrew: boolean
    readonly kept: boolean
    readonly cpu: number
    readonly rss: number
  }>
}
