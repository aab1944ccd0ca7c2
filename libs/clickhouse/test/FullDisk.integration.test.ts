import { execFileSync } from "node:child_process"
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { makeClient } from "../src/Client.ts"
import { ClickHouseServer } from "../src/index.ts"
import { temporaryDirectory } from "./support.ts"

/** A small disk of its own; `undefined` where this user may not mount one. */
const smallDisk = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  return yield* Effect.acquireRelease(
    Effect.sync(() => {
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m", "tmpfs", directory], { stdio: "ignore" })
        return directory
      } catch {
        return undefined
      }
    }),
    (mounted) =>
      Effect.sync(() => {
        if (mounted !== undefined) execFileSync("umount", ["-l", mounted])
      })
  )
})

const fill = (directory: string) => {
  const handle = openSync(join(directory, "filler"), "w")
  for (const size of [1_048_576, 4_096, 1]) {
    const part = Buffer.alloc(size)
    try {
      for (;;) if (writeSync(handle, part) < size) break
    } catch {
      // No room for a part of this size.
    }
  }
  closeSync(handle)
  assert.strictEqual(Number(statfsSync(directory).bavail), 0)
}

const start = Effect.fnUntraced(function* (directory: string) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
  const context = yield* Layer.buildWithScope(Layer.fresh(ClickHouseServer.layer({ directory })), scope)
  const endpoint = yield* Effect.provideContext(
    ClickHouseServer.use(({ endpoint }) => endpoint),
    context
  )
  const client = yield* Effect.provideService(makeClient(endpoint), Scope.Scope, scope)
  return { client, stop: Scope.close(scope, Exit.void) }
})

describe("a server whose disk is full", () => {
  it.live("answers as before, and never with less rows than it has; it starts when there is room", (test) =>
    Effect.gen(function* () {
      const directory = yield* smallDisk
      if (directory === undefined) return test.skip("needs the right to mount a disk")
      const first = yield* start(directory)
      yield* first.client.command("make", "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n AS SELECT 7 AS n")
      fill(directory)
      assert.deepStrictEqual(yield* first.client.rows("look", "SELECT n FROM t"), [{ n: "7" }])
      // More than is held back in memory.
      const many = yield* Effect.flip(first.client.rows("look", "SELECT number FROM numbers(2000000)"))
      assert.match(many.message, /an answer with \d+ of 2000000 rows; the server's disk may be full/u)
      assert.strictEqual(many.failureClass, "transient")
      yield* first.stop
      fill(directory)
      const refused = yield* Effect.flip(start(directory))
      assert.match(refused.message, /endpoint\.json cannot be written: ENOSPC.* the space on its disk\.$/u)
      rmSync(join(directory, "filler"))
      const second = yield* start(directory)
      assert.deepStrictEqual(yield* second.client.rows("look", "SELECT n FROM t"), [{ n: "7" }])
      const all = yield* second.client.rows("look", "SELECT number FROM numbers(2000000)")
      assert.strictEqual(all.length, 2_000_000)
    }).pipe(Effect.scoped)
  )
})
