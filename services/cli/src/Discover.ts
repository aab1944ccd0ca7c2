import { previewTable } from "@tributary/clickhouse"
import { parseConnector, streamOf, streamYaml, transformSteps, webhookPath, withFoundObjects } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Effect, FileSystem, Result, Schema, Stream } from "effect"
import { choose, type Choice, knownStream, noteSent } from "./Chosen.ts"
import { type LoadedConnector, why } from "./ConnectorFiles.ts"
import { makeImpatient, specOf } from "./FirstPage.ts"
import { count, printable, statement } from "./Format.ts"
import { listObjects } from "./FoundStreams.ts"
import { sampleSchema } from "./SampleSchema.ts"
import { Screen } from "./Screen.ts"

export interface DiscoverOptions extends Choice {
  /** Pages of each stream that are looked at; 0: none, only streams are discovered. */
  readonly pages: number
  readonly as: "yaml" | "json-schema" | "clickhouse"
  /** Writes the streams that were found into the connector's file. */
  readonly write: boolean
  readonly json: boolean
}

/** Not everything could be discovered; what, has been printed. */
export class DiscoverFailed extends Schema.TaggedError<DiscoverFailed>()("DiscoverFailed", {
  problems: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${count(this.problems)} part(s) could not be discovered.`
  }
}

/** Asks for the streams of each template, and writes them into the file if that is wanted. */
const streamsOf = Effect.fnUntraced(function* (loaded: LoadedConnector, write: boolean, json: boolean) {
  const screen = yield* Screen
  const fs = yield* FileSystem.FileSystem
  let { text } = loaded
  let failed = 0
  for (const [index, from] of loaded.connector.streams_from.entries()) {
    yield* screen.progress(`asking for the streams of ${loaded.connector.connector} ...`)
    const listed = yield* Effect.result(listObjects(loaded, from))
    yield* screen.progress("")
    if (Result.isFailure(listed)) {
      failed++
      const { message } = listed.failure
      yield* screen.print(
        json ? JSON.stringify({ streamsFrom: index, error: message }) : `streams_from.${index}: ${printable(message)}`
      )
      continue
    }
    const { appeared, found, returned, skipped, vanished } = listed.success
    if (json) yield* screen.print(JSON.stringify({ streamsFrom: index, appeared, returned, vanished, skipped }))
    else {
      const changes = [
        ...appeared.map((name) => `+ ${name}`),
        ...returned.map((name) => `+ ${name} (is there again, and goes on where it was)`),
        ...vanished.map((name) => `- ${name} (is not read any more; its topic and table stay)`),
        ...skipped.map((one) => `left out ${one}`)
      ]
      const unchanged = changes.length === 0 ? ", as the file has them" : ""
      yield* screen.print(`streams_from.${index}: ${count(found.length - vanished.length)} stream(s)${unchanged}`)
      for (const change of changes) yield* screen.print(`  ${printable(change)}`)
    }
    if (JSON.stringify(found) !== JSON.stringify(from.found)) text = withFoundObjects(text, index, found) ?? text
  }
  if (text === loaded.text) return { loaded, failed }
  const parsed = parseConnector(text, loaded.file)
  if (Result.isFailure(parsed)) return { loaded, failed: failed + 1 }
  if (write) {
    const written = yield* Effect.result(fs.writeFileString(loaded.file, text))
    if (Result.isFailure(written)) {
      failed++
      yield* screen.note(`${loaded.file} cannot be written (${why(written.failure)}).`)
    } else if (!json) yield* screen.print(`${loaded.file} was written.`)
  } else if (!json) yield* screen.print("The file was not changed; --write does it.")
  return { loaded: { ...loaded, text, connector: parsed.success.connector }, failed }
})

/** The schema of a stream, of its first pages as they would be loaded. */
const schemaOf = Effect.fnUntraced(function* ({ base, connector }: LoadedConnector, stream: string, mostPages: number) {
  const source = yield* makeImpatient({ base, connector })
  const transform = yield* compileTransform(transformSteps(connector, stream), {
    connector: connector.connector,
    stream,
    base
  })
  const samples: Array<Uint8Array> = []
  let pages = 0
  yield* source.pages(stream, undefined, { prefetch: false }).pipe(
    Stream.take(mostPages),
    Stream.runForEach(({ records }) =>
      Effect.sync(() => {
        pages++
        const { out } = transform.apply(records.map(({ key, value }, offset) => ({ offset, key, value })))
        for (const { value } of out) samples.push(value)
      })
    )
  )
  const { schema } = streamOf(connector, stream)
  const table = previewTable(specOf(connector, stream), samples)
  return {
    pages,
    records: samples.length,
    declared: Object.keys(schema).length,
    ...sampleSchema(samples, schema),
    table: Result.map(table, ({ sql }) => sql),
    rejected: Result.isSuccess(table) ? table.success.rejected.map(({ reason }) => reason) : []
  }
}, Effect.scoped)

/** Finds out which streams an API has and what their records look like. Publishes nothing. */
export const discover = Effect.fn("cli.discover")(function* (options: DiscoverOptions) {
  const screen = yield* Screen
  const { json } = options
  const { chosen } = yield* choose({ ...options, stream: undefined })
  const { failed: notFound, loaded } = yield* streamsOf(chosen, options.write, json)
  let failed = notFound
  const all = Object.keys(loaded.connector.streams)
  // It may be one that was just found.
  if (options.stream !== undefined) yield* knownStream(chosen.connector.connector, options.stream, all)
  const streams = options.stream === undefined ? all : [options.stream]
  for (const stream of options.pages === 0 ? [] : streams) {
    const { webhook } = streamOf(loaded.connector, stream)
    if (webhook !== undefined) {
      const path = webhookPath(loaded.connector.connector, stream, webhook)
      yield* noteSent([{ stream, webhook, path }], json)
      continue
    }
    yield* screen.progress(`reading ${stream} ...`)
    const seen = yield* Effect.result(schemaOf(loaded, stream, options.pages))
    yield* screen.progress("")
    if (Result.isFailure(seen)) {
      failed++
      const { message } = seen.failure
      yield* screen.print(json ? JSON.stringify({ stream, error: message }) : `\n${stream}: ${printable(message)}`)
      continue
    }
    const { declared, fields, inferred, jsonSchema, pages, records, rejected, table } = seen.success
    if (json) {
      yield* screen.print(
        JSON.stringify({
          stream,
          pages,
          records,
          declared,
          inferred,
          rejected,
          fields,
          jsonSchema,
          table: Result.merge(table)
        })
      )
      continue
    }
    yield* screen.print(
      `\n${stream}: ${count(records)} record(s) on ${count(pages)} page(s), ${count(declared)} field(s) declared, ${count(inferred)} inferred`
    )
    if (records === 0) yield* screen.print("  There are no records at the moment, so nothing can be inferred.")
    if (rejected.length > 0) {
      yield* screen.print(
        `  ${count(rejected.length)} do not fit what is declared, the first: ${printable(rejected[0] ?? "")}`
      )
    }
    const shown =
      options.as === "json-schema"
        ? JSON.stringify(jsonSchema, undefined, 2)
        : options.as === "clickhouse"
          ? Result.match(table, { onSuccess: (sql) => statement(sql, ""), onFailure: printable })
          : (streamYaml(loaded.text, stream, { schema: fields }) ??
            Object.entries(fields)
              .map(([name, type]) => `${name}: ${JSON.stringify(type)}`)
              .join("\n"))
    for (const line of shown.trimEnd().split("\n")) yield* screen.print(`  ${line}`)
  }
  if (failed > 0) return yield* new DiscoverFailed({ problems: failed })
})
