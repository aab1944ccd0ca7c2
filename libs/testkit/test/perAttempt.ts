import { layer as shared } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import type { TestContext, TestOptions } from "vitest"

/** Registers a test with the services of a layer. */
interface Attempted<R> {
  readonly effect: <A, E>(
    name: string,
    test: (context: TestContext) => Effect.Effect<A, E, R | Scope.Scope>,
    options?: number | TestOptions
  ) => void
}

const isFirst = ({ task }: TestContext): boolean =>
  (task.result?.retryCount ?? 0) === 0 && (task.result?.repeatCount ?? 0) === 0

/**
 * Runs tests with servers that they share, as `layer` of `@effect/vitest` does, but for a test that failed: each further attempt has
 * servers of its own, so that it does not find the tables and topics that the one before has left. The clock is the real one.
 */
export const layerPerAttempt =
  <R, E>(servers: Layer.Layer<R, E>) =>
  (name: string, tests: (it: Attempted<R>) => void): void =>
    shared(servers, { excludeTestServices: true })(name, (it) =>
      tests({
        effect: (name, test, options) =>
          it.effect(
            name,
            (context) =>
              isFirst(context)
                ? test(context)
                : Effect.gen(function* () {
                    const own = yield* Layer.buildWithMemoMap(servers, yield* Layer.makeMemoMap, yield* Effect.scope)
                    return yield* Effect.provide(test(context), own)
                  }),
            options
          )
      })
    )
