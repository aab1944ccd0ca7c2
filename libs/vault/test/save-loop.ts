import { Effect, Redacted } from "effect"
import { writeSync } from "node:fs"
import process from "node:process"
import { SqliteTokenStore, TokenStore } from "@tributary/vault"

/** Saves tokens of two authorizations for ever and prints each generation once it is acknowledged; killed by the test. */
const directory = process.argv[2] ?? ""

const loop = Effect.gen(function* () {
  const store = yield* TokenStore
  const generations = new Map<string, number>()
  for (const id of ["a", "b"]) {
    const stored = yield* store.load(id)
    generations.set(id, stored._tag === "Some" ? stored.value.generation : 0)
  }
  while (true) {
    for (const [id, generation] of generations) {
      const next = generation + 1
      const saved = yield* store.save(id, generation, {
        accessToken: Redacted.make(`${id}-access-${next}-${"x".repeat((next * 37) % 3000)}`),
        tokenType: "Bearer",
        expiresAt: next,
        obtainedAt: next,
        refreshToken: Redacted.make(`${id}-refresh-${next}`),
        scopes: [],
        settings: "",
        seed: undefined
      })
      generations.set(id, saved.generation)
      // A pipe takes a short line at once, so what the test reads was acknowledged before the kill.
      writeSync(1, `${id} ${saved.generation}\n`)
    }
  }
})

await Effect.runPromise(Effect.provide(loop, SqliteTokenStore.layer({ directory })))
