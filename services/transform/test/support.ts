import type { TransformStep } from "@tributary/domain"
import { SecretError, Secrets } from "@tributary/secrets"
import { Effect, Layer, Redacted } from "effect"
import { compileTransform, type TransformRejection } from "../src/Transform.ts"

/** Secrets of the tests: `${env:SALT}`, and `${env:EMPTY}`, which is empty. */
export const SecretsTest = Layer.succeed(
  Secrets,
  Secrets.of({
    secret: (reference) =>
      reference === "${env:SALT}" || reference === "${env:EMPTY}"
        ? Effect.succeed(Redacted.make(reference === "${env:SALT}" ? "salt" : ""))
        : Effect.fail(new SecretError({ reference, problem: "is not set" })),
    text: (template) => Effect.succeed(template),
    renew: () => Effect.succeed("unchanged")
  })
)

export const fixtures = new URL("fixtures/", import.meta.url).pathname

export const compile = (steps: ReadonlyArray<TransformStep>) =>
  compileTransform(steps, { connector: "shop", stream: "orders", base: fixtures }).pipe(Effect.provide(SecretsTest))

/** The message of the error that compiling gives. */
export const compileError = (steps: ReadonlyArray<TransformStep>) =>
  Effect.map(Effect.flip(compile(steps)), (error) => error.message)

export interface Texts {
  readonly out: ReadonlyArray<string>
  readonly rejected: ReadonlyArray<TransformRejection>
}

/** Compiles the steps and runs them over JSON texts. */
export const transformed = (steps: ReadonlyArray<TransformStep>, ...values: ReadonlyArray<string>) =>
  Effect.map(compile(steps), (transform): Texts => {
    const batch = values.map((value, offset) => ({ offset, key: null, value: Buffer.from(value) }))
    const { out, rejected } = transform.apply(batch)
    return { out: out.map(({ value }) => Buffer.from(value).toString()), rejected }
  })

/** One record in; what comes out, or the reason of its rejection. */
export const one = (steps: ReadonlyArray<TransformStep>, value: string) =>
  Effect.map(transformed(steps, value), ({ out, rejected }) =>
    rejected[0] === undefined ? out.join("\n") : `${rejected[0].code}: ${rejected[0].reason}`
  )
