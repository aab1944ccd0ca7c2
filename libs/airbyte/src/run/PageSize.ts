import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import type { RunError } from "../component/RunError.ts"
import { stopSafety } from "../component/StopCondition.ts"
import { intOf, isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { log, type Message } from "./Message.ts"
import { pure } from "./pure.ts"
import { makeRemedy, type RemedyOptions } from "./Remedy.ts"

/** What a walk keeps of the size of its pages. */
export interface SizeKept {
  /** Records that are asked for in place of the paginator's size. */
  readonly size: number | undefined
  /** Reductions in a row without a page. */
  readonly attempts: number
  /** How often the smallest page was asked for again. */
  readonly atLeast: number
}

export const fullSize: SizeKept = { size: undefined, attempts: 0, atLeast: 0 }

/** Asks for smaller pages when the API says that a page is too large: the CDK's `PageSizeReducer`. */
export interface PageSize {
  /** The next smaller size, after the wait that goes with it; fails where there is none. `message` is why the API refused. */
  readonly reduced: (kept: SizeKept, message: string | undefined) => Effect.Effect<SizeKept, RunError>
  /** The size after a page that was read. */
  readonly succeeded: (kept: SizeKept) => SizeKept
}

/** Why smaller pages would not give the same records. */
const obstacle = (retriever: Component, least: number): readonly [setting: string, problem: string] | undefined => {
  const paginator = retriever.child("paginator")
  if (paginator?.type !== "DefaultPaginator") return ["page_size_reduction", "it needs a DefaultPaginator."]
  if (!paginator.has("page_size_option")) {
    return ["paginator.page_size_option", "it is missing, so that no smaller page can be asked for."]
  }
  if (paginator.child("page_token_option")?.type === "RequestPath") {
    return [
      "paginator.page_token_option",
      "the next page's address has a page size of its own; expected a RequestOption with page_size_reduction."
    ]
  }
  const strategy = paginator.needed("pagination_strategy")
  if (strategy.type === "CustomPaginationStrategy") return undefined
  if (strategy.type !== "CursorPagination" && strategy.type !== "OffsetIncrement") {
    return [
      "paginator.pagination_strategy",
      `smaller pages of ${strategy.type} would leave out records; expected OffsetIncrement or CursorPagination.`
    ]
  }
  const given = strategy.get("page_size")
  if (given === undefined)
    return ["paginator.pagination_strategy.page_size", "it is missing; page_size_reduction needs it."]
  const size = Number(given)
  if (Number.isInteger(size) && size <= least) {
    return [
      "page_size_reduction.minimum_page_size",
      `it is ${least} and page_size is ${size}, so that no page can be smaller.`
    ]
  }
  const stop = strategy.optionalText("stop_condition") ?? ""
  if (strategy.type === "CursorPagination" && stop !== "" && stopSafety(stop, least) === "truncates") {
    return [
      "paginator.pagination_strategy.stop_condition",
      "it takes a full page of a reduced size for the last one; compare last_page_size with page_size, or with 0."
    ]
  }
  return undefined
}

/** What should be looked at, and does not stand in the way: a condition that may take a smaller page for the last. */
const doubtful = (retriever: Component, name: string, least: number): Message | undefined => {
  const strategy = retriever.child("paginator")?.child("pagination_strategy")
  const stop = strategy?.optionalText("stop_condition") ?? ""
  if (strategy?.type !== "CursorPagination" || stop === "" || stopSafety(stop, least) !== "unknown") return undefined
  return log(
    "WARN",
    `Stream ${name} has a page_size_reduction and the stop_condition ${JSON.stringify(stop)}, of which it cannot be said whether a full page of a reduced size would end it. Comparing last_page_size with page_size is always safe.`
  )
}

/** The `page_size_reduction` of a `SimpleRetriever`; undefined without one. Fails where it cannot work. */
export const makePageSize = Effect.fnUntraced(function* (
  retriever: Component,
  options: RemedyOptions & {
    /** Size of the paginator's pages. */
    readonly configured: () => Value | undefined
  }
): Effect.fn.Return<PageSize | undefined, RunError> {
  const { configured, emit, name } = options
  const kind = { setting: "page_size_reduction", action: "REDUCE_PAGE_SIZE" } as const
  const remedy = yield* makeRemedy(retriever, kind, options)
  if (remedy === undefined) return undefined
  const { component, refused, unused } = remedy
  const least = component.number("minimum_page_size", 1)
  const factor = component.number("reduction_factor", 2)
  const most = component.number("max_attempts", 5)
  const backoff = component.number("backoff_seconds", 0.5)
  const again = component.number("retries_at_minimum_page_size", 0)
  const isReset = component.optionalText("reset_policy") === "AFTER_SUCCESSFUL_PAGE"
  yield* pure(() => {
    const met = obstacle(retriever, least)
    if (met !== undefined) retriever.fail(...met)
  })
  for (const message of [unused, doubtful(retriever, name, least)]) {
    if (message !== undefined) yield* emit(message)
  }
  const wait = (seconds: number, what: string) =>
    Effect.andThen(emit(log("INFO", `Stream ${name}: ${what} in ${seconds}s.`)), Effect.sleep(seconds * 1000))

  return {
    reduced: Effect.fnUntraced(function* (kept, message) {
      const full = yield* pure(() => {
        const size = configured()
        const whole = size === undefined || typeof size === "boolean" ? undefined : intOf(size)
        return whole === undefined
          ? component.fail("", "the page size of the pagination strategy is no whole number, and cannot be reduced.")
          : Number(whole)
      })
      const size = kept.size ?? full
      const next = Math.max(least, Math.floor(size / factor))
      if (next >= size) {
        if (kept.atLeast < again) {
          const atLeast = kept.atLeast + 1
          yield* wait(backoff * atLeast, `the page of ${size} records, the smallest, is asked for again`)
          return { ...kept, atLeast }
        }
        if (kept.size === undefined && least > 1) {
          return yield* pure(() =>
            component.fail(
              "minimum_page_size",
              `it is ${least} and page_size is ${size}, so that no page can be smaller.`
            )
          )
        }
        return yield* refused(
          `The API refuses pages of stream ${name} at the smallest size that may be asked for (${size} records).`,
          message
        )
      }
      const attempts = kept.attempts + 1
      if (attempts > most) {
        return yield* refused(
          `The API refuses pages of stream ${name} at every size that was asked for, down to ${size} records.`,
          message
        )
      }
      yield* wait(backoff * attempts, `the page is asked for again with ${next} instead of ${size} records`)
      return { ...kept, size: next, attempts }
    }),
    succeeded: (kept) => ({ size: isReset ? undefined : kept.size, attempts: 0, atLeast: 0 })
  }
})

const count = (dict: PlainDict, name: string): number => {
  const value = Object.hasOwn(dict, name) ? dict[name] : undefined
  return typeof value === "number" ? value : 0
}

/** The size as a position keeps it. */
export const sizeIn = (value: Value | undefined): SizeKept =>
  value !== undefined && value !== null && isPlainDict(value)
    ? { size: count(value, "size") || undefined, attempts: count(value, "attempts"), atLeast: count(value, "atLeast") }
    : fullSize

/** The same for a position; undefined for the paginator's own. */
export const sizeData = ({ atLeast, attempts, size }: SizeKept): PlainDict | undefined =>
  size === undefined && attempts + atLeast === 0 ? undefined : { size: size ?? 0, attempts, atLeast }
