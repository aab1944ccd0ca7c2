import type { LoadReason, LoadResult, Verification } from "../LoadResult.ts"
import { absent, bytes, count, decimal, duration, moment, plural } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { kneeSentence } from "./KneeSection.ts"
import { sum } from "./Series.ts"
import { isClean } from "./VerificationSection.ts"

/** Differences named at the top; the rest stand in the table. */
const mostNamed = 5

/** The outcome in words. */
export interface Verdict {
  readonly tone: "ok" | "failed" | "incomplete"
  readonly word: string
  readonly title: string
  readonly sentence: string
}

const differing = (result: LoadResult): ReadonlyArray<Verification> =>
  result.verification.filter((row) => !isClean(row))

/** `3 missing, 2 duplicated`; empty where there are none. */
const differenceWords = (rows: ReadonlyArray<Verification>): string =>
  [
    [sum(rows, (row) => row.missing), "missing"] as const,
    [sum(rows, (row) => row.duplicated), "duplicated"] as const,
    [sum(rows, (row) => row.altered), "altered"] as const,
    [sum(rows, (row) => row.foreign), "foreign"] as const
  ]
    .filter(([value]) => value !== 0)
    .map(([value, word]) => `${count(value)} ${word}`)
    .join(", ")

const work = (result: LoadResult): string =>
  `${plural(result.records, "record")} (${bytes(result.bytes)}) in ${duration(result.duration)}`

const failed = (result: LoadResult): Verdict => {
  const rows = differing(result)
  const words = differenceWords(rows)
  return {
    tone: "failed",
    word: "Failed",
    title: words === "" ? "The test failed" : `Records are wrong: ${words}`,
    sentence:
      rows.length === 0
        ? `${result.reason?.sentence ?? "No comparison found a difference, so the cause lies elsewhere."} ${work(result)}.`
        : `${plural(rows.length, "comparison")} of ${count(result.verification.length)} found a difference among ${work(result)}.`
  }
}

const incompleteTitles: Readonly<Record<LoadReason["kind"], string>> = {
  late: "The time was over before everything had arrived",
  stalled: "The chain stood still before everything had arrived",
  ended: "Workers ended before everything had arrived",
  differences: "Not everything had arrived",
  uncompared: "Not everything had arrived"
}

const incomplete = (result: LoadResult): Verdict => {
  const last = result.samples.at(-1)
  const open = last === undefined ? 0 : last.offered - last.loaded
  const why = result.reason === null ? "" : `${result.reason.sentence} `
  return {
    tone: "incomplete",
    word: "Incomplete",
    title: incompleteTitles[result.reason?.kind ?? "late"],
    sentence:
      last === undefined || !(open > 0)
        ? `${why}${work(result)}.`
        : `${why}Of ${plural(last.offered, "record")} offered, ${count(last.loaded)} were loaded; ${count(open)} had not arrived. What is missing below need not be lost.`
  }
}

/** A test that says `ok` is shown as such only if its comparisons say the same. */
export const verdict = (result: LoadResult): Verdict => {
  if (result.outcome === "incomplete") return incomplete(result)
  if (result.outcome === "failed" || differing(result).length > 0) return failed(result)
  if (result.verification.length === 0) {
    return {
      tone: "incomplete",
      word: "Not verified",
      title: "The test ran to its end, but nothing was compared",
      sentence: `${work(result)}.`
    }
  }
  return {
    tone: "ok",
    word: "Passed",
    title: "Every record arrived exactly once, as it was",
    sentence: `${work(result)}${result.faults.length === 0 ? "" : `, through ${plural(result.faults.length, "fault")}`}.`
  }
}

/** Shapes as well as colours: a tick, a cross, an hourglass. */
const icons: Readonly<Record<Verdict["tone"], Html>> = {
  ok: markup`<path d="M5 13l5 5L20 7" />`,
  failed: markup`<path d="M6 6l12 12M18 6L6 18" />`,
  incomplete: markup`<path d="M6 3h12M6 21h12M7 3c0 5 3 6 5 9c2-3 5-4 5-9M7 21c0-5 3-6 5-9c2 3 5 4 5 9" />`
}

const named = (result: LoadResult): Html => {
  const texts = [
    ...(result.reason?.problems ?? []),
    ...differing(result).flatMap((row) => row.differences.map((text) => `${row.what}: ${text}`))
  ]
  if (texts.length === 0) return nothing
  const rest = texts.length - mostNamed
  return markup`<ul>
    ${texts.slice(0, mostNamed).map((text) => markup`<li>${text}</li>`)}${
      rest > 0 ? markup`<li><a href="#verification">and ${count(rest)} more below</a></li>` : nothing
    }
  </ul>`
}

const tile = (title: string, value: Html, facts: ReadonlyArray<Html>, tone: "plain" | "good" | "bad"): Html =>
  markup`<div class="tile ${tone}">
    <h2>${title}</h2>
    <p class="value">${value}</p>
    <ul>
      ${facts.map((fact) => markup`<li>${fact}</li>`)}
    </ul>
  </div>`

const verificationTile = (result: LoadResult): Html => {
  const rows = result.verification
  if (rows.length === 0) return tile("Verification", markup`<b>${absent}</b>`, [markup`nothing was compared`], "plain")
  const fact = (name: string, value: number): Html =>
    markup`<span class="${value === 0 ? "" : "bad"}"><b>${count(value)}</b> ${name}</span>`
  const clean = rows.filter(isClean).length
  return tile(
    "Verification",
    clean === rows.length
      ? markup`<b>0</b> <small>differences</small>`
      : markup`<b>${count(rows.length - clean)}</b> <small>of ${plural(rows.length, "comparison")} differ</small>`,
    [
      fact(
        "missing",
        sum(rows, (row) => row.missing)
      ),
      fact(
        "duplicated",
        sum(rows, (row) => row.duplicated)
      ),
      fact(
        "altered",
        sum(rows, (row) => row.altered)
      ),
      fact(
        "foreign",
        sum(rows, (row) => row.foreign)
      )
    ],
    clean === rows.length ? "good" : "bad"
  )
}

const tiles = (result: LoadResult): Html => {
  const { freshness, throughput } = result
  const age = (value: number): string => (freshness.count > 0 ? duration(value) : absent)
  return markup`<div class="tiles">
    ${verificationTile(result)}${tile(
      "Records",
      markup`<b>${count(result.records)}</b>`,
      [markup`<b>${bytes(result.bytes)}</b>`, markup`in <b>${duration(result.duration)}</b>`],
      "plain"
    )}${tile(
      "Throughput",
      markup`<b>${decimal(throughput.mean)}</b> <small>records/s</small>`,
      [markup`mean of the whole test`, markup`<b>${decimal(throughput.best)}</b> records/s in the best 10 s`],
      "plain"
    )}${tile(
      "Freshness p99",
      markup`<b>${age(freshness.p99)}</b>`,
      [
        markup`<b>${age(freshness.p50)}</b> p50`,
        markup`<b>${age(freshness.p95)}</b> p95`,
        markup`<b>${age(freshness.longest)}</b> longest`
      ],
      "plain"
    )}
  </div>`
}

/** What is read first: the outcome, why, and the figures. */
export const headline = (result: LoadResult): Html => {
  const { sentence, title, tone, word } = verdict(result)
  return markup`<header>
    <p class="about">Tributary load test · ${moment(result.startedAt)}</p>
    <div class="banner ${tone}" role="status">
      <svg viewBox="0 0 24 24" aria-hidden="true">${icons[tone]}</svg>
      <div>
        <p class="word">${word}</p>
        <h1>${title}</h1>
        <p>${sentence}</p>
        ${named(result)}
      </div>
    </div>
    ${tiles(result)}${
      result.knee === undefined ? nothing : markup`<p class="knee"><b>Knee.</b> ${kneeSentence(result.knee)}</p>`
    }
  </header>`
}
