import { parsePoll } from "@tributary/domain"
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { type Checkpoint, nextRun } from "@tributary/connector"
import { millisOf } from "./harness.ts"

const started = (text: string): Checkpoint => ({ v: 1, startedAt: millisOf(text), completedAt: millisOf(text) + 500 })
const now = millisOf("2026-01-01T12:00:00Z")

describe("nextRun", () => {
  it("is at once for a stream never read or in the middle of a walk", () => {
    assert.strictEqual(nextRun(parsePoll("cron 0 3 * * *"), undefined, undefined, now, 0.9), now)
    const walk = { position: { page: 2 }, number: 1, startedAt: now }
    assert.strictEqual(nextRun(parsePoll("every 1 hour"), undefined, { v: 1, startedAt: now, walk }, now, 0.9), now)
  })
  it("counts the interval from the start of the last walk, with jitter", () => {
    const last = started("2026-01-01T11:59:50Z")
    const due = (poll: string, jitter: Duration.Duration | undefined, random: number) =>
      nextRun(parsePoll(poll), jitter, last, now, random) - now
    assert.strictEqual(due("every 1 minute", undefined, 0), 50_000)
    assert.strictEqual(due("every 1 minute", undefined, 0.5), 53_000)
    assert.strictEqual(due("every 1 day", undefined, 0.5), 86_400_000 - 10_000 + 15_000)
    assert.strictEqual(due("every 1 minute", Duration.seconds(1), 0.5), 50_500)
    assert.strictEqual(due("every 1 minute", Duration.zero, 0.5), 50_000)
    assert.strictEqual(due("every 2 seconds", Duration.zero, 0.5), 0)
  })
  it("takes the first time of a cron expression after the last walk", () => {
    const due = (poll: string, last: string) => nextRun(parsePoll(poll), undefined, started(last), now, 0.9)
    assert.strictEqual(due("cron 0 3 * * *", "2026-01-01T11:00:00Z"), millisOf("2026-01-02T03:00:00Z"))
    assert.strictEqual(due("cron 30 12 * * * Europe/Berlin", "2026-01-01T11:45:00Z"), millisOf("2026-01-02T11:30:00Z"))
    assert.strictEqual(due("cron 0 3 * * *", "2025-12-29T03:00:00Z"), now)
  })
})
