import { previewTable } from "@tributary/clickhouse"
import { make } from "@tributary/connector"
import { nearest, sinkFor, streamOf, transformSteps } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Effect, Option, Result, Schema, Stream } from "effect"
import { type LoadedConnector, loadConnectors } from "./ConnectorFiles.ts"
import { noteProblems } from "./FileProblems.ts"
import { bytes, count, printable, statement } from "./Format.ts"
import { describeMarks } from "./Marks.ts"
import { Screen } from "./Screen.ts"

export interface PreviewOptions {
  readonly connectors: string
  /** Identifier; may be left out when there is one connector only. */
  readonly connector: string | undefined
  readonly stream: string | undefined
  /** Records to show per stream. */
  readonly limit: number
  readonly json: boolean
}

/** There is no such connector or stream, or it is not clear which one is meant. */
export class NotChosen extends Schema.TaggedError<NotChosen>()("NotChosen", { problem: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return this.problem
  }
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

const choose = Effect.fnUntraced(function* (options: PreviewOptions) {
  const loaded = yield* loadConnectors(options.connectors)
  yield* noteProblems(loaded)
  const ids = loaded.connectors.map(({ connector }) => connector.connector)
  const chosen =
    options.connector === undefined
      ? loaded.connectors.length === 1
        ? loaded.connectors[0]
        : undefined
      : loaded.connectors.find(({ connector }) => connector.connector === options.connector)
  if (chosen === undefined) {
    const wanted = options.connector === undefined ? "Which connector?" : `There is no connector ${options.connector}.`
    const meant = options.connector === undefined ? undefined : nearest(options.connector, ids)
    return yield* new NotChosen({
      problem:
        `${wanted} ${options.connectors} has ${ids.length === 0 ? "none that is valid" : ids.join(", ")}.` +
        (meant === undefined ? "" : ` Did you mean ${meant}?`)
    })
  }
  const streams = Object.keys(chosen.connector.streams)
  if (options.stream !== undefined && !streams.includes(options.stream)) {
    return yield* new NotChosen({
      problem: `Connector ${chosen.connector.connector} has no stream ${options.stream}; it has ${streams.join(", ")}.`
    })
  }
  return { chosen, streams: options.stream === undefined ? streams : [options.stream] }
})

const decoder = new TextDecoder()

/** A person waits: what fails for a passing reason is not repeated for as long as in a run. */
const mostRetries = 2

/** The first page of a stream as it would be published and loaded. */
const look = Effect.fnUntraced(function* (loaded: LoadedConnector, stream: string) {
  const { base } = loaded
  const { http } = loaded.connector
  const connector = { ...loaded.connector, http: { ...http, retries: Math.min(http.retries, mostRetries) } }
  const source = yield* make(connector, { base })
  const transform = yield* compileTransform(transformSteps(connector, stream), {
    connector: connector.connector,
    stream,
    base
  })
  const page = Option.getOrUndefined(yield* Stream.runHead(source.pages(stream, undefined, { prefetch: false })))
  const records = page?.records ?? []
  const { out, rejected } = transform.apply(records.map(({ key, value }, offset) => ({ offset, key, value })))
  const sink = sinkFor(connector, stream)
  const table =
    sink === undefined
      ? undefined
      : previewTable(
          {
            database: sink.database,
            table: sink.table,
            mode: sink.mode,
            orderBy: sink.orderBy,
            ...(sink.partitionBy === undefined ? {} : { partitionBy: sink.partitionBy }),
            schema: streamOf(connector, stream).schema,
            views: {}
          },
          out.map(({ value }) => value)
        )
  return {
    stream,
    read: records.length,
    bytes: page?.bytes ?? 0,
    last: page?.last ?? true,
    out,
    rejected: [
      ...(page?.rejected ?? []),
      ...rejected,
      ...(table === undefined || Result.isFailure(table) ? [] : table.success.rejected)
    ].map(({ reason }) => reason),
    warnings: page === undefined ? [] : describeMarks(streamOf(connector, stream), page, records.length),
    table: table === undefined ? undefined : Result.map(table, ({ sql }) => sql)
  }
}, Effect.scoped)

/** Fetches one page of each stream, transforms it and shows records and tables. Publishes nothing and moves no checkpoint. */
export const preview = Effect.fn("cli.preview")(function* (options: PreviewOptions) {
  const screen = yield* Screen
  const { chosen, streams } = yield* choose(options)
  let failed = 0
  let refused = 0
  for (const stream of streams) {
    yield* screen.progress(`reading one page of ${stream} ...`)
    const seen = yield* Effect.result(look(chosen, stream))
    yield* screen.progress("")
    if (seen._tag === "Failure") {
      failed++
      const { message } = seen.failure
      yield* screen.print(options.json ? JSON.stringify({ stream, error: message }) : `${stream}: ${message}\n`)
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
        table: statementOrProblem
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
        Result.isSuccess(table) ? `  ${statement(table.success, "  ")}` : `  error: ${printable(table.failure)}`
      )
    }
    yield* screen.print("")
  }
  if (failed + refused > 0) return yield* new PreviewFailed({ streams: failed, rejected: refused })
})
