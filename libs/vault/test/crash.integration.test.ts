import { assert, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { SqliteTokenStore, TokenStore } from "@tributary/vault"
import { spawn } from "node:child_process"
import process from "node:process"
import { temporaryDirectory } from "./tokens.ts"

const kills = 20

/** Runs the save loop until it has acknowledged `lines` saves and kills it; gives the last acknowledged generations. */
const runAndKill = (directory: string, lines: number) =>
  Effect.callback<ReadonlyMap<string, number>>((resume) => {
    const child = spawn(process.execPath, [new URL("save-loop.ts", import.meta.url).pathname, directory], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let out = ""
    let killed = false
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString()
      if (!killed && out.split("\n").length > lines) {
        killed = true
        child.kill("SIGKILL")
      }
    })
    child.on("error", (error) => resume(Effect.die(error)))
    child.on("close", () => {
      const acknowledged = new Map<string, number>()
      for (const line of out.split("\n").slice(0, -1)) {
        const [id = "", generation = ""] = line.split(" ")
        acknowledged.set(id, Number(generation))
      }
      resume(killed ? Effect.succeed(acknowledged) : Effect.die("The save loop ended by itself."))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

it.live(
  `what was acknowledged is there after each of ${kills} kills, and no record is torn`,
  () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      let saves = 0
      let before = 0
      for (let kill = 0; kill < kills; kill++) {
        const acknowledged = yield* runAndKill(directory, 1 + ((kill * 7) % 40))
        yield* Effect.gen(function* () {
          const store = yield* TokenStore
          let sum = 0
          for (const [id, generation] of acknowledged) {
            const found = Option.getOrThrow(yield* store.load(id))
            assert.isAtLeast(found.generation, generation)
            // At most the one save that was under way may be there beyond what was acknowledged.
            assert.isAtMost(found.generation, generation + 1)
            const next = found.generation
            assert.strictEqual(
              Redacted.value(found.accessToken),
              `${id}-access-${next}-${"x".repeat((next * 37) % 3000)}`
            )
            assert.strictEqual(found.refreshToken && Redacted.value(found.refreshToken), `${id}-refresh-${next}`)
            sum += next
          }
          saves += Math.max(0, sum - before)
          before = Math.max(before, sum)
        }).pipe(Effect.provide(SqliteTokenStore.layer({ directory }), { local: true }))
      }
      assert.isAbove(saves, kills)
    }),
  240_000
)
