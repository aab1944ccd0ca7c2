import type { Warehouse } from "@tributary/clickhouse"
import { capturing, detect, Wire } from "@tributary/connector"
import { streamOf } from "@tributary/domain"
import { Effect, Option, Result, Schema, Stream } from "effect"
import { choose, type Choice, noteSent } from "./Chosen.ts"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { describeDetected } from "./DetectedText.ts"
import { makeImpatient, outcomeOf } from "./FirstPage.ts"
import { bytes, count, printable, statement } from "./Format.ts"
import { pagingWarnings } from "./PagingWarnings.ts"
import { Screen } from "./Screen.ts"

export interface PreviewOptions extends Choice {
  /** Records to show per stream. */
  readonly limit: number
  /** Also looks for the paging of streams that state one, and tries what only habit speaks for. */
  readonly detect: boolean
  /** The tables that are there; without them records are compared with tables that would be made. */
  readonly tables: Warehouse["Service"] | undefined
  readonly json: boolean
}

/** Some streams could not be previewed, or a run would not succeed; why has been printed. */
export class PreviewFailed extends Schema.TaggedError<PreviewFailed>()("PreviewFailed", {
  streams: Schema.Natural,
  rejected: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    const parts = [
      ...(this.streams === 0 ? [] : [`${count(this.streams)} stream(s) could not be previewed`]),
      ...(this.rejected === 0 ? [] : [`${count(this.rejected)} record(s) would be rejected`])
    ]
    return `${parts.join(", and ")}.`
  }
}

const decoder = new TextDecoder()

/** The first page of a stream as it would be published and loaded, and what its answer says about paging. */
const look = Effect.fnUntraced(function* (loaded: LoadedConnector, stream: string, isAsked: boolean) {
  const { base, connector } = loaded
  const { last, wire } = capturing(yield* Wire)
  const read = Effect.gen(function* () {
    const source = yield* makeImpatient(loaded)
    return yield* source.pages(stream, undefined, { prefetch: false, stopsJobs: true }).pipe(
      // Pages without records come while a job is made and waited for.
      Stream.filter(
        ({ checkpoint, last, records, rejected }) =>
          last || checkpoint.walk?.job === undefined || records.length + rejected.length > 0
      ),
      Stream.runHead
    )
  }).pipe(Effect.scoped, Effect.provideService(Wire, wire))
  const page = yield* Effect.result(read)
  const settings = streamOf(connector, stream)
  const first = last()
  const isUnknown = connector.module === undefined && settings.format === "json" && settings.pagination === undefined
  const isReadable = first !== undefined && first.status >= 200 && first.status < 300
  const detected =
    isReadable && (isAsked || isUnknown)
      ? yield* detect({ base, connector, stream, first, habits: isAsked })
      : undefined
  return { page, first, detected, settings }
})

/** The page as it would be loaded. */
const outcome = Effect.fnUntraced(function* (
  loaded: LoadedConnector,
  stream: string,
  { first, page, settings }: Effect.Success<ReturnType<typeof look>>,
  tables: Warehouse["Service"] | undefined
) {
  const read = Option.getOrUndefined(yield* Effect.fromResult(page))
  const { hasSink, rejectedBySource, rejectedByTable, rejectedByTransform, table, warnings, ...rest } =
    yield* outcomeOf(loaded, stream, read, tables)
  const rejected = [...rejectedBySource, ...rejectedByTransform, ...(hasSink ? rejectedByTable : [])]
  const paging = first === undefined || rest.read === 0 ? [] : pagingWarnings(settings, first)
  return { ...rest, rejected, warnings: [...warnings, ...paging], table: hasSink ? table : undefined }
})

/** Fetches one page of each stream, transforms it and shows records and tables. Publishes nothing and moves no checkpoint. */
export const preview = Effect.fn("cli.preview")(function* (options: PreviewOptions) {
  const screen = yield* Screen
  const { chosen, sent, streams } = yield* choose(options)
  yield* noteSent(sent, options.json)
  let failed = 0
  let refused = 0
  for (const stream of streams) {
    yield* screen.progress(`reading one page of ${stream} ...`)
    const looked = yield* look(chosen, stream, options.detect)
    const seen = yield* Effect.result(outcome(chosen, stream, looked, options.tables))
    yield* screen.progress("")
    const found =
      looked.detected === undefined
        ? undefined
        : describeDetected(looked.detected, looked.settings, chosen.text, stream, options.detect)
    if (seen._tag === "Failure") {
      failed++
      const { message } = seen.failure
      if (options.json) {
        yield* screen.print(JSON.stringify({ stream, error: message, ...(found === undefined ? {} : found.json) }))
        continue
      }
      yield* screen.print(`${stream}: ${message}`)
      for (const line of found?.lines ?? []) yield* screen.print(`  ${line}`)
      yield* screen.print("")
      continue
    }
    const { bytes: size, last, out, read, rejected, table, warnings } = seen.success
    refused += rejected.length
    if (table !== undefined && Result.isFailure(table)) failed++
    const statementOrProblem = table === undefined ? null : Result.merge(table)
    const shown = out.slice(0, options.limit).map(({ value }) => decoder.decode(value))
    if (options.json) {
      // The records are JSON already: they stand in the line as they are, so that no number changes.
      const rest = JSON.stringify({
        stream,
        read,
        bytes: size,
        last,
        out: out.length,
        rejected,
        warnings,
        table: statementOrProblem,
        ...(found === undefined ? {} : found.json)
      })
      yield* screen.print(`${rest.slice(0, -1)},"records":[${shown.join(",")}]}`)
      continue
    }
    yield* screen.print(
      `${stream}: one page of ${count(read)} records (${bytes(size)}), ${count(out.length)} after the transform, ` +
        `${last ? "no further page" : "more pages follow"}`
    )
    for (const record of shown) yield* screen.print(`  ${printable(record)}`)
    if (rejected.length > 0)
      yield* screen.print(`  rejected ${count(rejected.length)}, the first: ${printable(rejected[0] ?? "")}`)
    for (const warning of warnings) yield* screen.print(`  warning: ${printable(warning)}`)
    if (table !== undefined) {
      yield* screen.print(
        Result.isSuccess(table)
          ? table.success === ""
            ? "  the table is there and stays as it is"
            : `  ${table.success.startsWith("CREATE") ? statement(table.success, "  ") : table.success}`
          : `  error: ${printable(table.failure)}`
      )
    }
    for (const line of found?.lines ?? []) yield* screen.print(`  ${line}`)
    yield* screen.print("")
  }
  if (failed + refused > 0) return yield* new PreviewFailed({ streams: failed, rejected: refused })
})
