import { compilePlan, compileSelector, scalarText, scan } from "@tributary/codec"
import type { Partitions } from "@tributary/domain"
import { Effect, Schema, Stream } from "effect"
import { Checkpoint } from "./Checkpoint.ts"
import type { Page } from "./Page.ts"
import { type Partition, partitionKey, type Router } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"

/** Reads another stream of the same connector. */
export type ReadStream = (stream: string, from: Checkpoint | undefined) => Stream.Stream<Page, SourceReason>

/** Partitions of lists that are known: each combination of their values. */
export const listRouter = (lists: Readonly<Record<string, ReadonlyArray<string>>>): Router => {
  let all: ReadonlyArray<Readonly<Record<string, string>>> = [{}]
  for (const [name, values] of Object.entries(lists)) {
    all = all.flatMap((known) => values.map((value) => Object.assign({}, known, { [name]: value })))
  }
  const partitions = all.map((values): Partition => ({ key: partitionKey(values), values }))
  return {
    partitions: (_state, goesOn) => (goesOn ? Stream.empty : Stream.succeed({ partitions, state: null })),
    apply: () => {},
    isIncremental: false
  }
}

const decodeState = Schema.decodeUnknownEffect(Checkpoint)
const encodeState = Schema.encodeSync(Schema.toCodecJson(Checkpoint))

/** Takes the values of a partition out of a parent's record; the name of a field that is missing. */
const valuesReader = (fields: ReadonlyArray<readonly [name: string, field: string]>) => {
  // A plan has each field once.
  const wanted = [...new Set(fields.map(([, field]) => field))]
  const plan = compilePlan({
    records: compileSelector("$"),
    fields: wanted.map((field) => field.split(".")),
    values: []
  })
  return (record: Uint8Array): Readonly<Record<string, string>> | string => {
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    const { rows } = scan(bytes, plan)
    const values: Record<string, string> = {}
    for (const [name, field] of fields) {
      const index = wanted.indexOf(field)
      const start = rows[2 + 2 * index] ?? -1
      const text = start < 0 ? undefined : scalarText(bytes, { start, end: rows[3 + 2 * index]! })
      if (text === undefined || text === null || text === "") return field
      values[name] = text
    }
    return values
  }
}

/**
 * Partitions of a parent stream: one per record. The router's state is the parent's checkpoint, so that a walk goes on with the
 * parent's page whose partitions are not all done.
 */
export const parentRouter = (
  settings: Extract<Partitions, { parent: string }>,
  setting: string,
  read: ReadStream
): Router => {
  const { incremental, parent } = settings
  const fields = Object.entries(settings.values)
  const valuesOf = valuesReader(fields)
  return {
    isIncremental: incremental,
    apply: () => {},
    partitions: (state, goesOn) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const from =
            state === undefined || state === null
              ? undefined
              : yield* decodeState(state).pipe(
                  Effect.mapError(
                    (error) =>
                      new BadSetting({
                        setting,
                        problem: `the position of the parent ${parent} cannot be read (${error.message}). Reset the stream.`
                      })
                  )
                )
          // The parent's walk was read to its end: it is begun anew by the next walk of this stream, not by the rest of this one.
          if (goesOn && from !== undefined && from.walk === undefined) return Stream.empty
          return read(parent, from).pipe(
            Stream.mapEffect(({ checkpoint, records }) => {
              const partitions: Array<Partition> = []
              for (const { value } of records) {
                const values = valuesOf(value)
                if (typeof values === "string") {
                  const problem = `a record of the parent ${parent} has no text or number in ${values}. Correct the field, or leave such records out with the parent's \`filter\`.`
                  return Effect.fail(new BadSetting({ setting, problem }))
                }
                partitions.push({ key: partitionKey(values), values, parent: value })
              }
              return Effect.succeed({ partitions, state: encodeState(checkpoint) })
            })
          )
        })
      )
  }
}
