import { assert, describe, it } from "@effect/vitest"
import { AuditError, type AuditEvent, AuditTrail, layerFileAudit, makeAuditTrail } from "@tributary/telemetry"
import { ConfigProvider, Effect, Layer, Scope, Exit } from "effect"
import { TestClock } from "effect/testing"
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const event = (authorization: string, connectors: ReadonlyArray<string> = []) =>
  ({ authorization, connectors, what: "refreshed", outcome: "ok" }) as const
const names = (events: ReadonlyArray<AuditEvent>) => events.map(({ authorization }) => authorization)

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-audit-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const fileTrail = (directory: string, bytes = "8388608") =>
  layerFileAudit({ directory, process: "here" }).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_AUDIT_BYTES: bytes })))
  )

describe("the audit trail in files", () => {
  it.live("keeps events over a restart, and finds those of a connector", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const write = (...events: ReadonlyArray<ReturnType<typeof event>>) =>
        Effect.flatMap(AuditTrail, (trail) => Effect.forEach(events, trail.record)).pipe(
          Effect.provide(fileTrail(directory), { local: true })
        )
      yield* write(event("shop", ["shop"]), event("shared", ["orders", "stock"]))
      // A process that was killed leaves half a line.
      appendFileSync(join(directory, "audit.jsonl"), '{"at":1,"pro')
      yield* write(event("shop", ["shop"]), event("other"))
      yield* Effect.gen(function* () {
        const trail = yield* AuditTrail
        const all = yield* trail.read({ connector: undefined, last: 10 })
        assert.deepStrictEqual(names(all), ["shop", "shared", "shop", "other"])
        assert.isTrue(all.every(({ at, process }) => at > 0 && process === "here"))
        assert.deepStrictEqual(names(yield* trail.read({ connector: "stock", last: 10 })), ["shared"])
        assert.deepStrictEqual(names(yield* trail.read({ connector: "shop", last: 1 })), ["shop"])
        assert.deepStrictEqual(names(yield* trail.read({ connector: undefined, last: 2 })), ["shop", "other"])
        assert.deepStrictEqual(yield* trail.read({ connector: undefined, last: 0 }), [])
      }).pipe(Effect.provide(fileTrail(directory), { local: true }))
      assert.strictEqual(statSync(join(directory, "audit.jsonl")).mode & 0o777, 0o600)
    })
  )

  it.live("never takes more than five files of their size", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      for (let round = 0; round < 40; round++) {
        yield* Effect.flatMap(AuditTrail, (trail) =>
          Effect.forEach(
            Array.from({ length: 10 }, (_, index) => event(`${round}-${index}`)),
            trail.record
          )
        ).pipe(Effect.provide(fileTrail(directory, "4096"), { local: true }))
      }
      const sizes = readdirSync(directory).map((file) => statSync(join(directory, file)).size)
      assert.strictEqual(sizes.length, 5)
      assert.isTrue(
        sizes.every((size) => size <= 4096),
        String(sizes)
      )
      const trail = yield* Effect.provide(AuditTrail, fileTrail(directory))
      const last = yield* trail.read({ connector: undefined, last: 15 })
      assert.deepStrictEqual(
        names(last.slice(5)),
        Array.from({ length: 10 }, (_, index) => `39-${index}`)
      )
      assert.strictEqual(last[4]?.authorization, "38-9")
    })
  )
})

describe("an audit trail whose store is away", () => {
  it.effect("writes everything when it is back, in order, and says what it had to give up", () =>
    Effect.gen(function* () {
      const written: Array<AuditEvent> = []
      let isAway = true
      const trail = yield* makeAuditTrail("here", {
        append: (events) =>
          Effect.suspend(() => {
            if (isAway) return new AuditError({ place: "the test", problem: "it is away." })
            written.push(...events)
            return Effect.void
          }),
        read: () => Effect.succeed(written)
      })
      for (let index = 0; index < 10_003; index++) yield* trail.record(event(String(index)))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(written, [])
      isAway = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(written.length, 10_001)
      assert.strictEqual(written[0]?.what, "events-lost")
      assert.match(written[0]?.detail ?? "", /^3 events/)
      assert.deepStrictEqual(names(written.slice(1, 4)), ["3", "4", "5"])
      assert.strictEqual(written.at(-1)?.authorization, "10002")
    })
  )

  it.effect("gets each event once, also from a process that ends while it is written", () =>
    Effect.gen(function* () {
      const written: Array<AuditEvent> = []
      const scope = yield* Scope.make()
      const trail = yield* makeAuditTrail("here", {
        // As a file or a server: what was begun is done, whether somebody waits for it or not.
        append: (events) =>
          Effect.andThen(
            Effect.sync(() => void written.push(...events)),
            Effect.sleep("1 second")
          ),
        read: () => Effect.succeed([])
      }).pipe(Scope.provide(scope))
      yield* trail.record(event("one"))
      yield* TestClock.adjust("100 millis")
      yield* trail.record(event("two"))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(names(written), ["one", "two"])
    })
  )

  it.effect("does not hold up the end of the process", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const trail = yield* makeAuditTrail("here", {
        append: () => Effect.never,
        read: () => Effect.succeed([])
      }).pipe(Scope.provide(scope))
      yield* trail.record(event("shop"))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      assert.isDefined(closing.pollUnsafe())
    })
  )
})
