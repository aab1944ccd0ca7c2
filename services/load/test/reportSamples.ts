import type { LoadResult, LoadSample, ProcessUse, Quantiles, Verification } from "../src/LoadResult.ts"

/** Numbers that look like measurements and are the same in each run. */
const noise = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Counts of a distribution around `middle` milliseconds with a long tail, in buckets a fifth apart. */
export const freshnessLike = (count: number, middle: number): Quantiles => {
  const bounds = Array.from({ length: 80 }, (_, k) => Math.round(1.2 ** k * 100) / 100)
  const weights = [...bounds, 1.2 ** 80].map((bound) => {
    const distance = Math.log(bound / middle)
    return Math.exp(-(distance ** 2) / 0.5) + (distance > 0 ? 0.012 * Math.exp(-distance * 1.4) : 0)
  })
  const whole = weights.reduce((a, b) => a + b, 0)
  return {
    count,
    p50: middle,
    p95: middle * 2.4,
    p99: middle * 5.1,
    longest: middle * 38,
    bounds,
    histogram: weights.map((weight) => Math.floor((weight / whole) * count))
  }
}

interface Shape {
  readonly seconds: number
  readonly rate: number
  readonly pauses: ReadonlyArray<number>
}

const samplesLike = ({ pauses, rate, seconds }: Shape): ReadonlyArray<LoadSample> => {
  const random = noise(7)
  const samples: Array<LoadSample> = []
  let offered = 0
  let published = 0
  let loaded = 0
  for (let k = 0; k <= seconds * 2; k++) {
    const at = k * 500
    const isOver = at > seconds * 920
    const isPaused = pauses.some((pause) => at >= pause && at < pause + 6000)
    offered += isOver ? 0 : Math.round((rate / 2) * (0.9 + random() * 0.2))
    published += isOver ? offered - published : Math.round((offered - published) * 0.8)
    loaded += isOver ? published - loaded : Math.round(isPaused ? 0 : Math.min((published - loaded) * 0.6, rate * 0.9))
    samples.push({ at, offered, published, loaded, lag: isOver ? 0 : ((offered - loaded) / rate) * 1000 })
  }
  return samples
}

const processLike = (
  name: string,
  seconds: number,
  cpu: number,
  rss: number,
  restarts: number,
  seed: number
): ProcessUse => {
  const random = noise(seed)
  const samples = Array.from({ length: seconds }, (_, k) => ({
    at: k * 1000,
    cpu: Math.min(2, cpu * (0.6 + random() * 0.8)),
    rss: rss * (0.7 + 0.3 * (1 - Math.exp(-k / 25))) * (0.97 + random() * 0.03)
  })).filter(({ at }) => restarts === 0 || at < 61_000 || at > 68_000)
  return { name, cpu: cpu * seconds, rss, restarts, samples }
}

const mebi = 1024 ** 2

const comparison = (what: string, expected: number, missing: number): Verification => ({
  what,
  expected,
  found: expected - missing,
  missing,
  duplicated: 0,
  altered: 0,
  foreign: 0,
  differences: []
})
const tables = ["load_1.flights", "load_1.airports", "load_2.flights", "load_2.airports"]

/** A million records through the servers with faults, all well. */
export const good = (): LoadResult => {
  const seconds = 240
  const kills = [60_000, 75_000, 90_000, 105_000, 150_000, 152_000]
  const names = [
    "source-1",
    "transform-1",
    "sink-1",
    "source-2",
    "API answers 500 to 5 % of requests",
    "tokens revoked"
  ]
  return {
    outcome: "ok",
    reason: null,
    startedAt: 1_795_271_239_000,
    engine: "servers",
    workers: "own",
    settings: {
      records: "1,000,000",
      rate: "as fast as it goes",
      "record size": "1 KiB",
      connectors: "2",
      streams: "4",
      faults: "500s 5 %, drops 2 %, 429s, kill -9 each minute",
      "token life": "5 s",
      objective: "p99 within 10 s"
    },
    machine: { cores: 2, memory: 8 * 1024 * mebi, node: "v24.11.0" },
    records: 1_000_000,
    bytes: 1_034_567_890,
    duration: 221_400,
    throughput: { mean: 4516.7, best: 7923.4 },
    freshness: freshnessLike(1_000_000, 640),
    samples: samplesLike({ seconds, rate: 4530, pauses: [60_000, 90_000, 150_000] }),
    processes: [
      processLike("source-1", seconds, 0.28, 142 * mebi, 1, 1),
      processLike("source-2", seconds, 0.26, 139 * mebi, 1, 2),
      processLike("transform-1", seconds, 0.31, 171 * mebi, 1, 3),
      processLike("sink-1", seconds, 0.34, 236 * mebi, 1, 4),
      processLike("kafka", seconds, 0.22, 702 * mebi, 0, 5),
      processLike("clickhouse", seconds, 0.41, 1290 * mebi, 0, 6)
    ],
    api: { requests: 10_482, tokenRequests: 97, throttled: 212, errors: 531, dropped: 204, unauthorized: 41 },
    faults: kills.map((at, k) => ({ at, what: k < 4 ? `kill -9 ${names[k] ?? ""}` : (names[k] ?? "") })),
    verification: tables.map((what) => comparison(what, 250_000, 0)),
    knee: undefined
  }
}

/** Records lost and doubled. */
export const failed = (): LoadResult => {
  const result = good()
  return {
    ...result,
    outcome: "failed",
    reason: { kind: "differences", sentence: "Not every record is there once and as it was.", problems: [] },
    verification: result.verification.map((row, k) =>
      k === 1
        ? {
            what: row.what,
            expected: row.expected,
            found: 249_600,
            missing: 500,
            duplicated: 100,
            altered: 1,
            foreign: 0,
            differences: Array.from({ length: 40 }, (_, n) =>
              n < 30 ? `partition 1, offset ${17_500 + n}: missing` : `partition 3, offset ${900 + n}: duplicated`
            )
          }
        : row
    )
  }
}

/** The embedded engine, stopped before all was there. */
export const incomplete = (): LoadResult => {
  const result = good()
  return {
    ...result,
    outcome: "incomplete",
    reason: {
      kind: "late",
      sentence: "Not everything had arrived after 2m 30s (--minutes).",
      problems: ["sink of load_1/flights: ClickHouse is busy <try again>"]
    },
    engine: "embedded",
    faults: [],
    samples: result.samples.slice(0, 300),
    processes: [processLike("tributary", 150, 1.1, 388 * mebi, 0, 9)],
    verification: tables.map((what) => comparison(what, 250_000, 79_000))
  }
}

/** Found the rate at which it no longer keeps up. */
export const withKnee = (): LoadResult => ({
  ...good(),
  engine: "embedded",
  faults: [],
  processes: [processLike("tributary", 240, 1.2, 388 * mebi, 0, 11)],
  knee: {
    rate: 11_314,
    objective: 2000,
    steps: [
      { rate: 2000, reached: 2001, p99: 310, lagGrew: false, kept: true, cpu: 0.41, rss: 210 * mebi },
      { rate: 4000, reached: 3998, p99: 345, lagGrew: false, kept: true, cpu: 0.73, rss: 240 * mebi },
      { rate: 8000, reached: 7992, p99: 520, lagGrew: false, kept: true, cpu: 1.3, rss: 301 * mebi },
      { rate: 16_000, reached: 12_120, p99: 14_800, lagGrew: true, kept: false, cpu: 1.94, rss: 530 * mebi },
      { rate: 11_314, reached: 11_290, p99: 1430, lagGrew: false, kept: true, cpu: 1.72, rss: 372 * mebi },
      { rate: 13_454, reached: 12_010, p99: 6900, lagGrew: true, kept: false, cpu: 1.9, rss: 470 * mebi }
    ]
  }
})

/** A test that ended before anything was measured. */
export const empty = (): LoadResult => ({
  outcome: "failed",
  reason: { kind: "uncompared", sentence: "Nothing was compared.", problems: [] },
  startedAt: 0,
  engine: "embedded",
  workers: "running",
  settings: {},
  machine: { cores: 2, memory: 0, node: "" },
  records: 0,
  bytes: 0,
  duration: 0,
  throughput: { mean: 0, best: 0 },
  freshness: { count: 0, p50: 0, p95: 0, p99: 0, longest: 0, bounds: [], histogram: [] },
  samples: [],
  processes: [],
  api: { requests: 0, tokenRequests: 0, throttled: 0, errors: 0, dropped: 0, unauthorized: 0 },
  faults: [],
  verification: [],
  knee: undefined
})
