import { layerLazyLogAudit } from "@tributary/catalog"
import { SqliteLog } from "@tributary/log"
import { AuditTrail } from "@tributary/telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-audit-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

describe("the audit trail in a log", () => {
  it.live("has the events of a process that ends at once, and opens no log where there are none", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      let opened = 0
      const log = Layer.unwrap(
        Effect.sync(() => {
          opened++
          return SqliteLog.layer({ directory })
        })
      )
      const asProcess = <A, E>(work: (trail: AuditTrail["Service"]) => Effect.Effect<A, E>) =>
        Effect.flatMap(AuditTrail, work).pipe(Effect.provide(layerLazyLogAudit("command", log), { local: true }))
      yield* asProcess(() => Effect.void)
      assert.strictEqual(opened, 0)
      for (const authorization of ["one", "two"]) {
        yield* asProcess(({ record }) =>
          record({ authorization, connectors: [authorization], what: "revoked", outcome: "ok" })
        )
      }
      const events = yield* asProcess(({ read }) => read({ connector: undefined, last: 10 }))
      assert.deepStrictEqual(
        events.map(({ authorization, process }) => [authorization, process]),
        [
          ["one", "command"],
          ["two", "command"]
        ]
      )
    }).pipe(Effect.scoped)
  )
})
