import { Schema } from "effect"

/** Numbers as they are measured, and as they must not be: `Schema.Number` has those that are not finite. */
const Numbers = Schema.Union([
  // @effect-diagnostics-next-line schemaNumber:off
  Schema.Number,
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })),
  Schema.Literals([0, 1, -1, 0.1, 1e-9, 999.95, 59_999, 1e15, 1e18, 1e300, 5e-324])
])

/** Names that try to become markup, among others. */
const Names = Schema.Union([
  Schema.String,
  Schema.Literals([
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></script><svg onload=alert(1)>",
    "&lt;b&gt;",
    "<!-- ",
    "\u0000\u202e\ud800",
    '[1,"</pre>"]'
  ])
])

const few = Schema.isMaxLength(6)
const Quantiles = Schema.Struct({
  count: Numbers,
  p50: Numbers,
  p95: Numbers,
  p99: Numbers,
  longest: Numbers,
  bounds: Schema.Array(Numbers).check(Schema.isMaxLength(12)),
  histogram: Schema.Array(Numbers).check(Schema.isMaxLength(12))
})
const Sample = Schema.Struct({ at: Numbers, offered: Numbers, published: Numbers, loaded: Numbers, lag: Numbers })
const Process = Schema.Struct({
  name: Names,
  cpu: Numbers,
  rss: Numbers,
  restarts: Numbers,
  samples: Schema.Array(Schema.Struct({ at: Numbers, cpu: Numbers, rss: Numbers })).check(few)
})
const Comparison = Schema.Struct({
  what: Names,
  expected: Numbers,
  found: Numbers,
  missing: Numbers,
  duplicated: Numbers,
  altered: Numbers,
  foreign: Numbers,
  differences: Schema.Array(Names).check(few)
})
const Step = Schema.Struct({
  rate: Numbers,
  reached: Numbers,
  p99: Numbers,
  lagGrew: Schema.Boolean,
  kept: Schema.Boolean,
  cpu: Numbers,
  rss: Numbers
})

/** Any `LoadResult`, also those that no test can have measured. */
export const AnyResult = Schema.Struct({
  outcome: Schema.Literals(["ok", "failed", "incomplete"]),
  reason: Schema.NullOr(
    Schema.Struct({
      kind: Schema.Literals(["differences", "uncompared", "late", "stalled", "ended"]),
      sentence: Names,
      problems: Schema.Array(Names).check(few)
    })
  ),
  startedAt: Numbers,
  engine: Schema.Literals(["embedded", "servers"]),
  workers: Schema.Literals(["own", "running"]),
  settings: Schema.Record(Names, Names),
  machine: Schema.Struct({ cores: Numbers, memory: Numbers, node: Names }),
  records: Numbers,
  bytes: Numbers,
  duration: Numbers,
  throughput: Schema.Struct({ mean: Numbers, best: Numbers }),
  freshness: Quantiles,
  samples: Schema.Array(Sample).check(Schema.isMaxLength(20)),
  processes: Schema.Array(Process).check(few),
  api: Schema.Struct({
    requests: Numbers,
    tokenRequests: Numbers,
    throttled: Numbers,
    errors: Numbers,
    dropped: Numbers,
    unauthorized: Numbers
  }),
  faults: Schema.Array(Schema.Struct({ at: Numbers, what: Names })).check(few),
  verification: Schema.Array(Comparison).check(few),
  knee: Schema.UndefinedOr(Schema.Struct({ rate: Numbers, objective: Numbers, steps: Schema.Array(Step).check(few) }))
})
