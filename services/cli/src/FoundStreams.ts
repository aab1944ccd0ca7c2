import { LosslessJson } from "@tributary/codec"
import {
  type Connector,
  goneName,
  type ObjectValues,
  objectProblem,
  type StreamsFrom,
  streamNameOf
} from "@tributary/domain"
import { DateTime, Effect, Schema, Stream } from "effect"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { makeImpatient } from "./FirstPage.ts"

/** Objects that an API lists at most; more are hardly meant to be streams. */
const mostObjects = 1_000

/** The objects of a template cannot be told; nothing was changed. */
export class NotListed extends Schema.TaggedError<NotListed>()("NotListed", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
}

/** What a template's list has now, beside what the file says of it. */
export interface Listing {
  /** What the file should say. */
  readonly found: ReadonlyArray<ObjectValues>
  /** Names of streams. */
  readonly appeared: ReadonlyArray<string>
  readonly vanished: ReadonlyArray<string>
  readonly returned: ReadonlyArray<string>
  /** Objects that no stream can be made of, and why. */
  readonly skipped: ReadonlyArray<string>
}

const textAt = (record: LosslessJson.Json, path: string): string | undefined => {
  let value: LosslessJson.Json | undefined = record
  for (const key of path.split(".")) {
    value =
      typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, key)
        ? new Map(Object.entries(value)).get(key)
        : undefined
  }
  return value === undefined ||
    value === null ||
    (typeof value === "object" && !(value instanceof LosslessJson.JsonNumber))
    ? undefined
    : String(value)
}

const keyOf = (from: StreamsFrom, values: ObjectValues): string =>
  JSON.stringify(Object.keys(from.values).map((name) => values[name] ?? ""))

/** Asks an API which objects a template makes streams of. */
export const listObjects = Effect.fn("cli.listObjects")(function* (
  { base, connector }: Pick<LoadedConnector, "base" | "connector">,
  from: StreamsFrom
) {
  const name = "objects"
  const asked: Connector = { ...connector, streams: Object.fromEntries([[name, from.list]]), streams_from: [] }
  const source = yield* makeImpatient({ base, connector: asked })
  const pages = yield* Stream.runCollect(
    source.pages(name, undefined, { prefetch: false }).pipe(
      Stream.takeUntil(
        (
          (count) =>
          ({ records }) =>
            (count += records.length) > mostObjects
        )(0)
      )
    )
  )
  const records = pages.flatMap((page) => page.records)
  if (records.length > mostObjects) {
    const problem = `the list has more than ${mostObjects} objects. Leave out those that are not meant, with list.filter.`
    return yield* new NotListed({ problem })
  }
  const known = new Map(from.found.map((values) => [keyOf(from, values), values]))
  if (records.length === 0 && from.found.some((values) => !Object.hasOwn(values, goneName))) {
    return yield* new NotListed({
      problem:
        "the list is empty, though streams were made of it before. Nothing was changed; remove them from `found` if that is meant."
    })
  }
  const names = new Set<string>(Object.keys(connector.streams))
  for (const values of from.found) names.delete(streamNameOf(from, values) ?? "")
  const found: Array<ObjectValues> = []
  const listed = new Set<string>()
  const [appeared, returned, skipped]: [Array<string>, Array<string>, Array<string>] = [[], [], []]
  for (const { value } of records) {
    const record = LosslessJson.parse(value)
    const entries = Object.entries(from.values).map(([one, path]) => [one, textAt(record, path) ?? ""] as const)
    const values: ObjectValues = Object.fromEntries(entries)
    const key = keyOf(from, values)
    if (listed.has(key)) continue
    listed.add(key)
    const stream = streamNameOf(from, values)
    const problem =
      objectProblem(values) ??
      (stream === undefined
        ? "no name for a stream can be made of it"
        : names.has(stream)
          ? `its stream would be a second ${stream}`
          : undefined)
    if (problem !== undefined || stream === undefined) {
      skipped.push(`${JSON.stringify(values)}: ${problem ?? ""}`)
      continue
    }
    names.add(stream)
    const before = known.get(key)
    if (before === undefined) appeared.push(stream)
    else if (Object.hasOwn(before, goneName)) returned.push(stream)
    found.push(values)
  }
  const today = DateTime.formatIsoDateUtc(yield* DateTime.now)
  const vanished: Array<string> = []
  // In the file's order, so that a difference shows what has changed.
  const kept = from.found.map((values): ObjectValues => {
    if (listed.has(keyOf(from, values))) {
      const { [goneName]: _, ...rest } = values
      return rest
    }
    if (!Object.hasOwn(values, goneName)) vanished.push(streamNameOf(from, values) ?? JSON.stringify(values))
    return { [goneName]: today, ...values }
  })
  const fresh = found.filter((values) => !known.has(keyOf(from, values)))
  const listing: Listing = { found: [...kept, ...fresh], appeared, vanished, returned, skipped }
  return listing
}, Effect.scoped)
