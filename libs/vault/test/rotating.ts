import { rotateVault, SealedRecords, TokenStore } from "@tributary/vault"
import { Effect, Layer, Option, Redacted } from "effect"
import { writeSync } from "node:fs"
import { tokens } from "./tokens.ts"

/** Says something to the test that started this process. A pipe takes a short line at once, so it was so before any kill. */
export const say = (...words: ReadonlyArray<string | number>): void => {
  for (;;) {
    try {
      return void writeSync(1, `${words.join(" ")}\n`)
    } catch (error) {
      // The test reads more slowly than this is said.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

/** Authorizations that are refreshed and rotated at the same time. */
export const refreshed = ["a", "b", "c", "d", "e", "f"]

/** Tokens that tell which generation they are of. */
const tokensOf = (name: string, generation: number) => tokens(`${name}-${generation}`)

/** Refreshes all of them for ever, and says each generation once it is acknowledged. */
export const refreshing = Effect.gen(function* () {
  const store = yield* TokenStore
  for (;;) {
    for (const name of refreshed) {
      const found = yield* Effect.retry(store.load(name), { while: (error) => error.failureClass === "transient" })
      const generation = Option.match(found, { onNone: () => 0, onSome: (stored) => stored.generation })
      const saved = yield* Effect.result(
        Effect.retry(store.save(name, generation, tokensOf(name, generation + 1)), {
          while: (error) => error._tag === "VaultError" && error.failureClass === "transient"
        })
      )
      if (saved._tag === "Success") say("saved", name, saved.success.generation)
      // Nobody else saves: what was just read was replaced by something else.
      else say("refused", name, saved.failure.message)
    }
  }
})

/** Says what is done to each record before and after, so that this can be ended in between. */
const spoken = Layer.effect(
  SealedRecords,
  Effect.map(SealedRecords, (records) =>
    SealedRecords.of({
      ...records,
      reseal: (authorization) =>
        Effect.sync(() => say("begin", authorization)).pipe(
          Effect.andThen(records.reseal(authorization)),
          Effect.tap((outcome) => Effect.sync(() => say("end", authorization, outcome)))
        )
    })
  )
)

/** Rotates all records for ever. */
export const rotating = Effect.gen(function* () {
  for (;;) {
    // The worker has the older key in front, so that there is always something left.
    yield* Effect.catchTag(rotateVault({ isDryRun: false, isAll: true }), "NotRotated", () => Effect.void)
    say("round")
  }
}).pipe(Effect.provide(spoken))

/** What must be true of a store at any time: every acknowledged generation is there, and what is stored is of its generation. */
export const intact = Effect.fnUntraced(function* (acknowledged: ReadonlyMap<string, number>) {
  const store = yield* TokenStore
  const problems: Array<string> = []
  for (const [name, generation] of acknowledged) {
    const found = Option.getOrUndefined(yield* store.load(name))
    if (found === undefined || found.generation < generation) {
      problems.push(`${name}: generation ${generation} was acknowledged, ${found?.generation ?? "none"} is stored`)
      continue
    }
    const expected = Redacted.value(tokensOf(name, found.generation).accessToken)
    if (Redacted.value(found.accessToken) !== expected)
      problems.push(`${name}: the tokens are not those of generation ${found.generation}`)
  }
  return problems
})

/** The last acknowledged generations in what processes said. */
export const acknowledgedIn = (lines: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const last = new Map<string, number>()
  for (const line of lines) {
    const [word, name = "", generation] = line.split(" ")
    if (word === "saved") last.set(name, Math.max(last.get(name) ?? 0, Number(generation)))
  }
  return last
}
