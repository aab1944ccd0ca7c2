import { Schema, SchemaGetter } from "effect"

const unitSeconds: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400 }

const spanOf = (seconds: number): string => {
  for (const unit of ["day", "hour", "minute"]) {
    const size = unitSeconds[unit] ?? 1
    if (seconds % size === 0) return `${seconds / size} ${unit}${seconds === size ? "" : "s"}`
  }
  return `${seconds} second${seconds === 1 ? "" : "s"}`
}

/** A length of time, written as `90 days`; in seconds. */
export const Span = Schema.String.annotate({
  expected: "a number with seconds, minutes, hours or days, as `90 days`"
})
  .check(
    Schema.isPattern(/^[1-9]\d{0,8} (?:second|minute|hour|day)s?$/u, {
      expected: "a number with seconds, minutes, hours or days, as `90 days`"
    })
  )
  .pipe(
    Schema.decodeTo(Schema.Finite, {
      decode: SchemaGetter.transform((written: string) => {
        const [amount = "", unit = ""] = written.split(" ")
        return Number(amount) * (unitSeconds[unit.replace(/s$/u, "")] ?? 1)
      }),
      encode: SchemaGetter.transform(spanOf)
    })
  )

/** A sentence or name. */
export const Words = Schema.String.check(
  Schema.isPattern(/^\S(?:.*\S)?$/su, { expected: "a text without white space at its ends" })
)

/** Where a fact is documented: a name of `sources`, or that nobody has looked it up in the provider's documentation. */
const evidence = {
  source: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_]*$/u, { expected: "a name of `sources`" })).annotate({
      description: "Name of the source (see `sources`) that says so."
    })
  ),
  unverified: Schema.optionalKey(
    Schema.Literal(true).annotate({ description: "Believed, but found in no documentation." })
  ),
  note: Schema.optionalKey(Words.annotate({ description: "What a reader of the value has to know." }))
}

/** A value and how it is known: each has a source, or is marked as unverified. */
export const fact = <Value extends Schema.Top>(value: Value, description: string) =>
  Schema.Struct({ value, ...evidence })
    .check(
      Schema.makeFilter(
        ({ source, unverified }: { readonly source?: string; readonly unverified?: true }) =>
          (source === undefined) !== (unverified === undefined) || "expected either a source or `unverified: true`"
      )
    )
    .annotate({ description })
