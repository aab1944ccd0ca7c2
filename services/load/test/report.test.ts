import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { LoadResult } from "../src/LoadResult.ts"
import { renderReport } from "../src/report/index.ts"
import { bytes, decimal, duration, moment, shortDuration, si, stopwatch } from "../src/report/Format.ts"
import {
  binaryStep,
  coveringTicks,
  decimalStep,
  innerTicks,
  linear,
  logarithmic,
  powerTicks,
  span,
  timeStep
} from "../src/report/Scale.ts"
import { points, rates, thin } from "../src/report/Series.ts"
import { AnyResult } from "./reportArbitrary.ts"
import { empty, failed, good, incomplete, withKnee } from "./reportSamples.ts"

/** The page as markup alone, without its style sheet and its script. */
const markupOf = (page: string): string =>
  page.replace(/<style>[^]*?<\/style>/, "<style></style>").replace(/<script>[^]*<\/script>\n<\/body>/, "</body>")

const tag = /<\/?([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"<>]*")?)*)\s*\/?>/g

/** What a reader sees. */
const textOf = (page: string): string =>
  markupOf(page).replace(tag, " ").replaceAll("\u00a0", " ").replaceAll("&#39;", "'").replaceAll(/\s+/g, " ")

const headlineOf = (page: string): string => textOf(page.slice(page.indexOf("<header>"), page.indexOf("</header>")))

const knownTags = new Set(
  "html head meta title link style body main header section footer figure figcaption div span p i b small br pre ul ol li dl dt dd h1 h2 h3 h4 h5 a svg path rect time table thead tbody tr th td".split(
    " "
  )
)
const knownAttributes = new Set(
  "lang charset http-equiv content name rel href class role id aria-hidden aria-label viewBox preserveAspectRatio d x y width height style title data-tips data-name scope colspan".split(
    " "
  )
)

/** Fails where the page has a tag or an attribute that the report does not use, or a bracket that is part of no tag. */
const checkMarkup = (page: string): void => {
  const markup = markupOf(page).replace("<!doctype html>", "")
  for (const [whole, name = "", attributes = ""] of markup.matchAll(tag)) {
    assert.isTrue(knownTags.has(name), whole)
    for (const [, attribute = ""] of attributes.matchAll(/\s([a-zA-Z-]+)(?:="[^"]*")?/g)) {
      assert.isTrue(knownAttributes.has(attribute), whole)
    }
  }
  assert.notMatch(markup.replace(tag, ""), /[<>]/)
}

/** Fails where a number is none, or a line leaves its drawing. (Icons have curves and are not looked at.) */
const checkNumbers = (page: string): void => {
  assert.notMatch(page, /NaN|Infinity|undefined|\[object|null/)
  for (const [, path = ""] of page.matchAll(/ d="(M[MLHVZh0-9 .e-]*)"/g)) {
    for (const number of path.match(/-?[0-9.]+/g) ?? [])
      assert.isTrue(Number(number) >= 0 && Number(number) <= span, path)
  }
}

const Domain = Schema.Struct({
  low: Schema.Union([Schema.Finite, Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 }))]),
  high: Schema.Union([Schema.Finite, Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 }))]),
  wanted: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
  step: Schema.Literals(["decimal", "binary", "time"])
})
const steps = { decimal: decimalStep, binary: binaryStep, time: timeStep }
const isRising = (values: ReadonlyArray<number>): boolean =>
  values.every((value, k) => k === 0 || value > (values[k - 1] ?? 0))

describe("scales", () => {
  it.effect.prop(
    "covering ticks rise, cover the domain, and are about as many as wanted",
    [Domain],
    ([domain]) =>
      Effect.sync(() => {
        const limit = (value: number) => Math.max(-1e18, Math.min(1e18, value))
        const low = limit(Math.min(domain.low, domain.high))
        const high = limit(Math.max(domain.low, domain.high))
        const ticks = coveringTicks(domain.low, domain.high, domain.wanted, steps[domain.step])
        assert.isTrue(isRising(ticks), String(ticks))
        assert.isAtMost(ticks[0] ?? Number.NaN, low)
        assert.isAtLeast(ticks.at(-1) ?? Number.NaN, high)
        assert.isAtLeast(ticks.length, 2)
        assert.isAtMost(ticks.length, domain.wanted + 3)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "ticks by powers rise and lie in the domain; a decade has at least one",
    [
      Schema.Finite.check(Schema.isBetween({ minimum: -3, maximum: 12 })),
      Schema.Finite.check(Schema.isBetween({ minimum: 1.1, maximum: 9 }))
    ],
    ([from, decades]) =>
      Effect.sync(() => {
        const low = 10 ** from
        const high = 10 ** (from + decades)
        const ticks = powerTicks(low, high)
        assert.isTrue(isRising(ticks), String(ticks))
        assert.isAtLeast(ticks.length, 1)
        assert.isTrue(ticks.every((tick) => tick >= low && tick <= high))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "scales keep order and stay in the drawing",
    // @effect-diagnostics-next-line schemaNumber:off
    [Schema.Array(Schema.Number), Schema.Finite, Schema.Finite],
    ([values, low, high]) =>
      Effect.sync(() => {
        const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
        for (const scale of [linear(low, high), logarithmic(Math.abs(low) + 1e-9, Math.abs(high) + 1)]) {
          const places = sorted.map(scale)
          assert.isTrue(places.every((place, k) => place >= 0 && place <= span && place >= (places[k - 1] ?? 0)))
        }
      }),
    { arbitrary: { runs: 300 } }
  )

  it("ticks are round to a reader", () => {
    assert.deepStrictEqual(coveringTicks(0, 937, 4), [0, 500, 1000])
    assert.deepStrictEqual(coveringTicks(0, 0, 4), [0, 0.5, 1])
    assert.deepStrictEqual(coveringTicks(0, 700 * 1024 ** 2, 2, binaryStep).map(bytes), [
      "0\u00a0B",
      "512\u00a0MiB",
      "1\u00a0GiB"
    ])
    assert.deepStrictEqual(innerTicks(0, 240_000, 8, timeStep).map(stopwatch).slice(0, 3), ["0:00", "0:30", "1:00"])
    assert.deepStrictEqual(powerTicks(20, 90_000).map(shortDuration), [
      "100\u00a0ms",
      "1\u00a0s",
      "10\u00a0s",
      "1\u00a0min"
    ])
  })
})

describe("series", () => {
  const Values = Schema.Array(Schema.Finite).check(Schema.isMinLength(50), Schema.isMaxLength(400))

  it.effect.prop("a thinned line keeps its ends, its extremes and its order", [Values], ([values]) =>
    Effect.sync(() => {
      const line = values.map((value, at) => ({ at, value }))
      const kept = thin(line, 40)
      assert.isAtMost(kept.length, 44)
      assert.isTrue(isRising(kept.map((point) => point.at)))
      assert.deepStrictEqual([kept[0], kept.at(-1)], [line[0], line.at(-1)])
      const extremes = (some: typeof line | typeof kept) => [
        Math.min(...some.map((point) => point.value)),
        Math.max(...some.map((point) => point.value))
      ]
      assert.deepStrictEqual(extremes(kept), extremes(line))
    })
  )

  it("what was not measured is left out, and time runs forward", () => {
    const samples = [
      { at: 3, value: 1 },
      { at: Number.NaN, value: 1 },
      { at: 1, value: Number.POSITIVE_INFINITY },
      { at: 2, value: -4 }
    ]
    assert.deepStrictEqual(
      points(samples, (sample) => sample.value),
      [
        { at: 2, value: 0 },
        { at: 3, value: 1 }
      ]
    )
  })

  it("rates are those of the totals", () => {
    const totals = Array.from({ length: 1000 }, (_, k) => ({ at: k * 250, total: k * 100 }))
    const found = rates(points(totals, (sample) => sample.total))
    assert.isAtMost(found.length, 110)
    assert.isTrue(found.every((point) => Math.abs(point.value - 400) < 1e-6))
  })
})

describe("formats", () => {
  it("numbers, sizes, times", () => {
    const plain = (text: string) => text.replaceAll("\u00a0", " ")
    assert.deepStrictEqual([0, 0.004, 0.42, 12.34, 48_210.4, -0, 1e16, Number.NaN].map(decimal), [
      "0",
      "0.004",
      "0.42",
      "12.3",
      "48,210",
      "0",
      "1.0 × 10^16",
      "–"
    ])
    assert.deepStrictEqual([0, 950, 1_250_000, 3e9].map(si), ["0", "950", "1.25M", "3G"])
    assert.deepStrictEqual([0, 1023, 1024 ** 2 * 412, 1024 ** 3 * 1.14].map(bytes).map(plain), [
      "0 B",
      "1,023 B",
      "412 MiB",
      "1.14 GiB"
    ])
    assert.deepStrictEqual([0.4, 340, 12_340, 59_700, 192_000, 7_500_000, 90_000_000].map(duration).map(plain), [
      "0.4 ms",
      "340 ms",
      "12.3 s",
      "1 min",
      "3 min 12 s",
      "2 h 5 min",
      "1 d 1 h"
    ])
    assert.deepStrictEqual([1_795_271_239_000, 1e300].map(moment), ["2026-11-21 14:27:19 UTC", "–"])
  })
})

describe("report", () => {
  it.effect.prop(
    "any result gives a page of the report's own markup, with numbers that are numbers",
    [AnyResult],
    ([result]) =>
      Effect.sync(() => {
        const page = renderReport(result)
        checkMarkup(page)
        checkNumbers(page)
      }),
    { arbitrary: { runs: 100 } }
  )

  it("the samples give such a page too, and without anything from elsewhere", () => {
    for (const result of [good(), failed(), incomplete(), withKnee(), empty()]) {
      const page = renderReport(result)
      checkMarkup(page)
      checkNumbers(page)
      assert.notMatch(page, /https?:|url\(|@import|src=/)
    }
  })

  it("a name is text wherever it stands", () => {
    const name = `<script>alert("1")</script>`
    const base = failed()
    const page = renderReport({
      ...base,
      settings: { [name]: name },
      machine: { ...base.machine, node: name },
      processes: base.processes.map(({ cpu, restarts, rss, samples }) => ({ cpu, restarts, rss, samples, name })),
      faults: [{ at: 1000, what: name }],
      verification: [
        { what: name, expected: 1, found: 0, missing: 1, duplicated: 0, altered: 0, foreign: 0, differences: [name] }
      ]
    })
    checkMarkup(page)
    assert.notInclude(page, "<script>alert")
    assert.include(page, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;")
  })

  it("the policy allows the script of the page, and no other", () => {
    const page = renderReport(good())
    const script = /<script>([^]*)<\/script>/.exec(page)?.[1] ?? ""
    assert.isAbove(script.length, 100)
    const digest = createHash("sha256").update(script).digest("base64")
    assert.include(page, `script-src 'sha256-${digest}'`.replaceAll("'", "&#39;"))
  })

  it("the headline has every number", () => {
    const headline = headlineOf(renderReport(failed()))
    for (const text of [
      "Failed",
      "1,000,000",
      "987 MiB",
      "3 min 41 s",
      "4,517 records/s",
      "7,923 records/s",
      "640 ms p50",
      "1.54 s p95",
      "3.26 s",
      "24.3 s longest",
      "500 missing",
      "100 duplicated",
      "1 altered",
      "0 foreign",
      "load_1.airports: partition 1, offset 17500: missing",
      "2026-11-21 14:27:19 UTC"
    ]) {
      assert.include(headline, text)
    }
  })

  it("each outcome has its words, and the failure comes first", () => {
    const first = (result: LoadResult) => headlineOf(renderReport(result)).slice(0, 200)
    assert.include(first(good()), "UTC Passed Every record arrived exactly once, as it was")
    assert.include(first(failed()), "UTC Failed Records are wrong: 500 missing, 100 duplicated, 1 altered")
    assert.include(first(incomplete()), "UTC Incomplete The time was over before everything had arrived")
    assert.include(first(empty()), "UTC Failed The test failed Nothing was compared")
    assert.include(headlineOf(renderReport(incomplete())), "ClickHouse is busy")
    const reason = { kind: "ended", sentence: "Nothing more arrived. sink-1 had ended.", problems: [] } as const
    assert.include(first({ ...incomplete(), reason }), "UTC Incomplete Workers ended before everything had arrived")
    assert.include(headlineOf(renderReport({ ...incomplete(), reason })), "sink-1 had ended.")
    const page = renderReport(failed())
    assert.isBelow(page.indexOf(`id="verification"`), page.indexOf(`id="flow"`))
  })

  it("a success that its comparisons deny, or that nothing proves, is not shown as one", () => {
    const denied = headlineOf(renderReport({ ...failed(), outcome: "ok" }))
    assert.include(denied, "Failed Records are wrong")
    assert.notInclude(denied, "Passed")
    const unproved = headlineOf(renderReport({ ...good(), verification: [] }))
    assert.include(unproved, "Not verified")
    assert.notInclude(unproved, "Passed")
  })

  it("the knee is told with its reasons, and absent where it was not looked for", () => {
    const page = textOf(renderReport(withKnee()))
    assert.include(page, "The chain kept the objective (p99 within 2 s) up to 11,314 records/s.")
    assert.include(page, "At 13,454 records/s p99 was 6.9 s, the lag grew, and only 12,010 records/s came through.")
    assert.notInclude(textOf(renderReport(good())), "knee")
    const knee = withKnee().knee
    const steps = (knee?.steps ?? []).filter((step) => step.kept)
    assert.include(
      textOf(renderReport({ ...good(), knee: { rate: 11_314, objective: 2000, steps } })),
      "the highest rate that was tried: the knee lies above"
    )
    assert.include(
      textOf(renderReport({ ...good(), knee: { rate: 0, objective: 2000, steps: [] } })),
      "was kept at none of the rates that were tried"
    )
  })

  it("one sample is a dot, and many are thinned", () => {
    const one = { at: 0, offered: 10, published: 10, loaded: 10, lag: 5 }
    assert.match(renderReport({ ...good(), samples: [one] }), /class="line lag"\s+d="M0 [0-9.]+h0"/)
    const [process] = good().processes
    assert.isDefined(process)
    const page = renderReport({
      ...good(),
      samples: Array.from({ length: 50_000 }, (_, k) => ({ ...one, at: k * 100, offered: k, lag: k % 977 })),
      processes: Array.from({ length: 60 }, () => process),
      faults: Array.from({ length: 5000 }, (_, k) => ({ at: k * 4000, what: "kill -9" }))
    })
    checkNumbers(page)
    assert.isBelow(page.length, 1_000_000)
  })
})
