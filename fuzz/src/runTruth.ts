import { LosslessJson } from "@tributary/codec"
import { type Checkpoint, make, type Page } from "@tributary/connector"
import { request } from "undici"
import { Clock, Effect, Result, Schema, Stream } from "effect"
import type { Outcome, TruthCase, TruthRecord, Wrong } from "./Case.ts"
import { hurriedClock } from "./HurriedClock.ts"
import { isObject, type Json } from "./Json.ts"
import { parsed } from "./runConnector.ts"
import { laterPath } from "./TruthApi.ts"
import { sentText, toTheFirst, truthStart } from "./TruthCases.ts"
import { roundTrip, services } from "./Walks.ts"

/** Most starts of the process in one walk. */
const mostStarts = 1000

/** The text with its members in order, and without space: numbers and texts are kept as they are. */
const canonical = (text: string): string => {
  const sorted = (value: LosslessJson.Json): LosslessJson.Json => {
    if (Array.isArray(value)) return value.map(sorted)
    if (!isObject(value) || value instanceof LosslessJson.JsonNumber) return value
    return Object.fromEntries(
      Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, item]) => [name, sorted(item)])
    )
  }
  return LosslessJson.stringify(sorted(LosslessJson.parse(Buffer.from(text))))
}

/** What is to be published of a record, as canonical texts; as it came, where nothing is done to it. */
const expectedOf = (given: TruthCase, record: TruthRecord): ReadonlyArray<string> => {
  if (given.filters && record.kind !== "b") return []
  const value = LosslessJson.parse(Buffer.from(sentText(given, record)))
  if (!isMembers(value)) return []
  const { lines, ...rest } = value
  const made =
    given.expands === "no"
      ? [value]
      : (Array.isArray(lines) ? lines : []).map((line: LosslessJson.Json) =>
          given.expands === "alone" || !isMembers(line) ? line : Object.assign({}, line, { order: rest })
        )
  const added = given.adds ? { added: { part: given.parts.length === 1 ? "here" : `in ${record.part}` } } : {}
  return made.map((one) => canonical(LosslessJson.stringify(isMembers(one) ? { ...one, ...added } : one)))
}

const isMembers = (value: LosslessJson.Json | undefined): value is { readonly [name: string]: LosslessJson.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

const counted = (texts: Iterable<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

/** What a walk published, against what it had to. */
const differences = (published: ReadonlyArray<string>, expected: ReadonlyArray<string>): ReadonlyArray<Wrong> => {
  const wrong: Array<Wrong> = []
  const [got, wanted] = [counted(published), counted(expected)]
  for (const [text, count] of wanted) {
    const other = got.get(text) ?? 0
    if (other < count) wrong.push({ name: "a record is lost", detail: text.slice(0, 300) })
    if (other > count) wrong.push({ name: "a record is published twice", detail: text.slice(0, 300) })
  }
  for (const text of got.keys())
    if (!wanted.has(text)) wrong.push({ name: "a record is invented", detail: text.slice(0, 300) })
  return wrong.filter(({ name }, index) => wrong.findIndex((other) => other.name === name) === index)
}

/** Runs a case whose API is known: two walks, with restarts in the midst of them, publish what the API has, each record once. */
export const runTruth = async (
  given: TruthCase,
  base: string,
  folder: string,
  sabotage: string | undefined
): Promise<Pick<Outcome, "word" | "wrong">> => {
  const { clock, close } = hurriedClock()
  const days = Math.ceil((clock.currentTimeMillisUnsafe() - truthStart) / 86_400_000) + 1
  const config: Json = JSON.parse(JSON.stringify(given.config).replaceAll(toTheFirst, `${days} days`))
  const connector = parsed(config, base, false)
  if (!("connector" in connector)) {
    close()
    return {
      word: "not a valid file",
      wrong: [{ name: "a truthful case has no valid file", detail: "" }, ...connector.wrong]
    }
  }
  const wrong: Array<Wrong> = []
  const isAsItCame = !given.filters && !given.adds && given.expands === "no" && given.format.endsWith("json")
  const sent = new Set(given.records.map((record) => sentText(given, record)))
  const keys = new Set(given.records.map(({ id }) => id))
  let starts = 0
  let from: Checkpoint | undefined

  const take = (page: Page, published: Array<string>) => {
    const records = sabotage === "lose" ? page.records.slice(1) : page.records
    for (const { key, value } of sabotage === "double" ? [...records, ...records] : records) {
      const text = Buffer.from(value).toString()
      if (isAsItCame && !sent.has(text))
        wrong.push({ name: "a record is not as it was sent", detail: text.slice(0, 300) })
      if (given.key && given.expands === "no" && (key === null || !keys.has(Buffer.from(key).toString())))
        wrong.push({ name: "a record has another key", detail: text.slice(0, 300) })
      published.push(canonical(text))
    }
    for (const { reason } of page.rejected) wrong.push({ name: "a good record is rejected", detail: reason })
  }
  const walk = Effect.fnUntraced(function* () {
    const published: Array<string> = []
    for (;;) {
      let isOver = false
      if (++starts > mostStarts) {
        wrong.push({ name: "a walk does not end", detail: `${mostStarts} starts` })
        return published
      }
      const most = given.restarts.length === 0 ? Infinity : (given.restarts[starts % given.restarts.length] ?? 1)
      let count = 0
      const reading = Effect.gen(function* () {
        const source = yield* make(connector, { base: folder })
        yield* source.pages("items", from, { prefetch: given.prefetch }).pipe(
          Stream.takeUntil(() => ++count >= most),
          Stream.runForEach((page) =>
            Effect.gen(function* () {
              take(page, published)
              isOver = page.last
              const kept = JSON.stringify(yield* Schema.encodeEffect(roundTrip)(page.checkpoint))
              from = yield* Schema.decodeUnknownEffect(roundTrip)(JSON.parse(kept))
            })
          )
        )
      })
      const result = yield* Effect.result(Effect.scoped(reading))
      if (Result.isFailure(result)) {
        const { failure } = result
        const name = failure._tag === "SourceError" ? failure.reason._tag : failure._tag
        wrong.push({
          name: `a walk fails though the API does all right: ${name}`,
          detail: failure.message.slice(0, 600)
        })
        return published
      }
      if (isOver) return published
    }
  })

  const program = Effect.gen(function* () {
    const first = given.records.filter(({ later }) => !later)
    wrong.push(
      ...differences(
        yield* walk(),
        first.flatMap((record) => expectedOf(given, record))
      )
    )
    if (wrong.length > 0) return "read wrong"
    yield* Effect.promise(() => request(`${base}${laterPath}`).then(({ body }) => body.dump()))
    const second = given.mark === "none" ? given.records : given.records.filter(({ later }) => later)
    wrong.push(
      ...differences(
        yield* walk(),
        second.flatMap((record) => expectedOf(given, record))
      )
    )
    return wrong.length > 0 ? "read wrong" : "as the API has it"
  }).pipe(Effect.provide(services), Effect.provideService(Clock.Clock, clock))
  try {
    return { word: await Effect.runPromise(program), wrong }
  } finally {
    close()
  }
}
