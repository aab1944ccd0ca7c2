import { JsonSyntaxError, LosslessJson, skipSpace, skipValue } from "@tributary/codec"
import type { TransformStep } from "@tributary/domain"
import { Secrets } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import { castStep } from "./CastStep.ts"
import { dropStep, flattenStep, keepStep, renameStep } from "./FieldSteps.ts"
import { filterStep } from "./FilterStep.ts"
import { maskStep } from "./MaskStep.ts"
import type { JsonObject, JsonValue } from "./RecordTransform.ts"
import { isRecord, kindOf, Rejection, type Step } from "./Step.ts"
import { TransformError } from "./TransformError.ts"
import { typeScriptStep } from "./TypeScriptStep.ts"

/** A record as it is read from the log. */
export interface TransformInput {
  readonly offset: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array
}

/** A record to write; `source` is the index in the batch of the record that it was made from, whose key it has. */
export interface TransformOutput {
  readonly key: Uint8Array | null
  readonly value: Uint8Array
  readonly source: number
}

/**
 * A record that cannot be transformed: `index` is its place in the batch, `code` one of `not-json`, `not-an-object`, `mask`,
 * `cast`, `filter`, `rename`, `name-collision`, `typescript`, `too-deep`, `defect`.
 */
export interface TransformRejection {
  readonly index: number
  readonly code: string
  readonly reason: string
}

export interface TransformResult {
  readonly out: ReadonlyArray<TransformOutput>
  readonly rejected: ReadonlyArray<TransformRejection>
}

/** The compiled steps of one stream. */
export interface Transform {
  /**
   * Runs all steps over a batch. It is synchronous and does not throw, and as pure as the user's functions are: the same batch
   * gives the same result. Each record of the batch is in `out` (once or more, in order), was left out by a filter or a
   * function, or is in `rejected`, and then nothing of it is in `out`.
   */
  readonly apply: (batch: ReadonlyArray<TransformInput>) => TransformResult
}

export interface TransformOptions {
  readonly connector: string
  readonly stream: string
  /** Folder of the connector file: where relative paths start. */
  readonly base: string
}

const compileStep = Effect.fnUntraced(function* (
  step: TransformStep,
  base: string,
  wrong: (problem: string, cause?: unknown) => TransformError
) {
  const orWrong = (made: Step | string) => (typeof made === "string" ? Effect.fail(wrong(made)) : Effect.succeed(made))
  if ("keep" in step) return keepStep(step.keep)
  if ("drop" in step) return dropStep(step.drop)
  if ("flatten" in step) return flattenStep(step.flatten)
  if ("cast" in step) return yield* orWrong(castStep(step.cast))
  if ("filter" in step) return yield* orWrong(filterStep(step.filter))
  if ("rename" in step) {
    const targets = Object.values(step.rename)
    const twice = targets.find((name, i) => targets.indexOf(name) !== i)
    return yield* orWrong(
      twice === undefined ? renameStep(step.rename) : `Two fields are renamed to ${twice}; give each its own name.`
    )
  }
  if ("mask" in step) {
    const secrets = yield* Secrets
    const salt = yield* secrets.secret(step.salt, base).pipe(Effect.mapError((error) => wrong(error.message, error)))
    if (Redacted.value(salt) === "")
      return yield* wrong(`The salt ${step.salt} is empty; a hash without a key can be undone by guessing.`)
    return maskStep(Object.keys(step.mask), Redacted.value(salt))
  }
  return yield* typeScriptStep(step.typescript, base).pipe(
    Effect.mapError(({ cause, sentence }) => wrong(sentence, cause))
  )
})

/** Runs the steps from `at` on and appends what comes out. */
const run = (
  steps: ReadonlyArray<Step>,
  at: number,
  record: JsonObject,
  out: Array<JsonObject>
): Rejection | undefined => {
  let current = record
  for (let i = at; i < steps.length; i++) {
    const result = steps[i]!.apply(current)
    if (result === null) return undefined
    if (result instanceof Rejection) return result
    if (isMany(result)) {
      for (const one of result) {
        const rejection = run(steps, i + 1, one, out)
        if (rejection !== undefined) return rejection
      }
      return undefined
    }
    current = result
  }
  out.push(current)
  return undefined
}

const isMany = (result: JsonObject | ReadonlyArray<JsonObject>): result is ReadonlyArray<JsonObject> =>
  Array.isArray(result)

const notAnObject = (found: string) => new Rejection("not-an-object", `The record is ${found}, expected a JSON object.`)
const notJson = (error: JsonSyntaxError) => new Rejection("not-json", error.message)

/** Without steps a record is only looked at: its bytes stay. */
const check = (value: Uint8Array): Rejection | undefined => {
  const start = skipSpace(value, 0)
  const end = skipSpace(value, skipValue(value, start))
  if (end < value.length) return new Rejection("not-json", `Invalid JSON at byte ${end}: expected the end, found more.`)
  return value[start] === 0x7b ? undefined : notAnObject(kindOf(LosslessJson.parse(value)))
}

/** What a record that made something throw is rejected for; nothing that a step does may stop the stream. */
const thrown = (error: unknown): Rejection => {
  if (error instanceof JsonSyntaxError) return notJson(error)
  if (error instanceof RangeError) return new Rejection("too-deep", `The record cannot be processed: ${error.message}.`)
  return new Rejection("defect", `The record cannot be processed: ${String(error)}.`)
}

/** Compiles the steps of one stream. Fails when an expression, a file or a secret is wrong, and says which and why. */
export const compileTransform = Effect.fn("transform.compile")(function* (
  steps: ReadonlyArray<TransformStep>,
  { base, connector, stream }: TransformOptions
): Effect.fn.Return<Transform, TransformError, Secrets> {
  const compiled: Array<Step> = []
  // Modules come last: what was loaded stays in memory, and a secret that cannot be had is asked for again and again.
  const inOrder = [...steps.entries()].toSorted(
    ([, left], [, right]) => Number("typescript" in left) - Number("typescript" in right)
  )
  for (const [i, step] of inOrder) {
    const kind = Object.keys(step).find((name) => name !== "salt") ?? "unknown"
    const wrong = (problem: string, cause?: unknown) =>
      new TransformError({
        connector,
        stream,
        at: [i, kind],
        problem,
        ...(cause === undefined ? {} : { cause })
      })
    compiled[i] = yield* compileStep(step, base, wrong)
  }
  const changes = compiled.some((step) => step.changes)

  const apply = (batch: ReadonlyArray<TransformInput>): TransformResult => {
    const out: Array<TransformOutput> = []
    const rejected: Array<TransformRejection> = []
    const records: Array<JsonObject> = []
    for (let index = 0; index < batch.length; index++) {
      const { key, value } = batch[index]!
      const before = out.length
      let rejection: Rejection | undefined
      try {
        if (compiled.length === 0) {
          rejection = check(value)
          if (rejection === undefined) out.push({ key, value, source: index })
        } else {
          records.length = 0
          const record: JsonValue = LosslessJson.parse(value)
          rejection = isRecord(record) ? run(compiled, 0, record, records) : notAnObject(kindOf(record))
          if (rejection === undefined) {
            for (const made of records) {
              out.push({ key, value: changes ? Buffer.from(LosslessJson.stringify(made)) : value, source: index })
            }
          }
        }
      } catch (error) {
        rejection = thrown(error)
      }
      if (rejection === undefined) continue
      out.length = before
      rejected.push({ index, code: rejection.code, reason: rejection.reason })
    }
    return { out, rejected }
  }
  return { apply }
})
