import { compilePlan, compileSelector, LosslessJson, scan } from "@tributary/codec"
import { Effect } from "effect"
import type { ReadPlan } from "./ReadPlan.ts"
import type { Extracted, Extractor, PageView, Transformation } from "./slots/index.ts"
import { BadRecords, type SourceReason } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"

const each = compileSelector("$[*]")

/** Records that were made of something else than the body's JSON, given as texts of JSON: finds what the plan asks for in them. */
export const extractedFrom = ({ fields }: ReadPlan): ((texts: ReadonlyArray<string>) => Extracted) => {
  const plan = compilePlan({ records: each, fields, values: [] })
  return (texts) => {
    const body = Buffer.from(`[${texts.join(",")}]`)
    return { body, scan: scan(body, plan) }
  }
}

/** What a slot in code threw is said with the page that it was given. */
const attempt = <A>(answer: Answer, make: () => A): Effect.Effect<A, SourceReason> =>
  Effect.try({
    try: make,
    catch: (cause) =>
      new BadRecords({ url: answer.url, problem: cause instanceof Error ? cause.message : String(cause) })
  })

/**
 * An extractor in code: `records` makes the records of an answer, and throws when it cannot. Values keep their numbers if they
 * were parsed with `LosslessJson`.
 */
export const recordsExtractor = (
  records: (answer: Answer) => ReadonlyArray<LosslessJson.Json>,
  accept = "application/json"
): Extractor => ({
  accept,
  place: "the extractor's records",
  open: (plan) => {
    const extracted = extractedFrom(plan)
    return (answer) => attempt(answer, () => extracted(records(answer).map(LosslessJson.stringify)))
  }
})

/** A transformation in code: `rewrite` makes none, one or many records of each. It may throw; the walk then fails with what it threw. */
export const rewriting = (
  rewrite: (record: LosslessJson.Json, page: PageView) => ReadonlyArray<LosslessJson.Json>
): Transformation => ({
  open: (plan) => {
    const extracted = extractedFrom(plan)
    return (page) =>
      attempt(page.answer, () => {
        const texts: Array<string> = []
        for (let index = 0, bytes = page.record(0); bytes !== undefined; bytes = page.record(++index)) {
          const record = LosslessJson.parse(bytes)
          for (const made of rewrite(record, page)) texts.push(LosslessJson.stringify(made))
        }
        return extracted(texts)
      })
  }
})
