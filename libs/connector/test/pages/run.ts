import { seeded } from "@tributary/testkit"
import { Clock, Deferred, Effect, Exit, Schema, Stream } from "effect"
import { Checkpoint, make, type Page, SourceError } from "@tributary/connector"
import { millisOf, services, text } from "../harness.ts"
import { type Cell, type Fault, isCell, isCounted, mayGrow, mayShift } from "./cells.ts"
import { fastClock } from "./fastClock.ts"
import { settingsOf, type Variant } from "./settings.ts"
import { standIn, type Trick } from "./standIn.ts"
import { World } from "./world.ts"

const CheckpointText = Schema.fromJsonString(Checkpoint)
const decodeCheckpoint = Schema.decodeSync(CheckpointText)
const encodeCheckpoint = Schema.encodeSync(CheckpointText)

/** What became of one run of a cell. */
export interface Result {
  readonly cell: Cell
  readonly seed: number
  /** What is wrong; empty: nothing. */
  readonly problems: ReadonlyArray<string>
  readonly requests: number
  /** Faults of all kinds that met the run. */
  readonly faults: number
  /** How often the process was started. */
  readonly starts: number
}

/** Our clock at the beginning of each run, and how much faster than the real one it goes. */
const beginning = millisOf("2026-01-01T12:00:00Z")
const faster = 50
/** How long before it the records begin. */
const history = 4 * 3_600_000
/** Bounds of a run: requests, and starts of the process. */
const mostRequests = 4000
const mostStarts = 120

/** A process dies: before or after a commit, or at a request. */
class Killed extends Error {
  override readonly name = "Killed"
}

const tricksOf = (fault: Fault, cell: Cell): ReadonlyArray<Trick> => {
  switch (fault) {
    case "all":
      return [
        "429 in seconds",
        "429 as a date",
        "5xx",
        "cut off",
        "dropped",
        ...(isCounted(cell) || cell.paginator === "none" ? [] : (["cursor repeated"] as const))
      ]
    case "changes":
    case "clock skew":
    case "clock jumps":
    case "restarts":
    case "no connection":
      return []
    default:
      return [fault]
  }
}

/** Failures of a walk that the faults explain; the next start goes on after them. */
const isExpected = (error: SourceError, fault: Fault): boolean => {
  const { reason } = error
  if (error.failureClass === "transient" || error.failureClass === "throttled") return true
  if (reason._tag === "CursorRepeated") return fault === "cursor repeated" || fault === "all"
  return reason._tag === "Refused" && reason.status === 410 && fault === "cursor forgotten"
}

const variantOf = (rng: ReturnType<typeof seeded>): Variant => ({
  size: 2 + rng.below(3),
  place: rng.pick(["query", "query", "header", "body"]),
  saysMore: rng.below(2) === 0,
  isRelative: rng.below(2) === 0,
  endIsIn: rng.below(2) === 0,
  retries: rng.below(4),
  concurrency: rng.pick([1, 2, 4])
})

/**
 * Runs one stream of a cell from its first walk on: walks under faults, changes of the API between and (where the fault says so)
 * during walks, a process that dies; then two walks in peace. Compares what was committed with what the API has and had.
 */
export const run = (cell: Cell, seed: number): Effect.Effect<Result> =>
  Effect.flatMap(Clock.Clock, (real) => {
    const fast = fastClock(real, beginning, faster)
    return runWith(cell, seed, fast).pipe(
      Effect.scoped,
      Effect.provide(services),
      Effect.orDie,
      Effect.provideService(Clock.Clock, fast.clock)
    )
  })

const runWith = Effect.fnUntraced(function* (
  cell: Cell,
  seed: number,
  { advance, right, setWrong }: ReturnType<typeof fastClock>
) {
  const rng = seeded(seed)
  const variant = variantOf(rng)
  const { fault } = cell
  const isAll = fault === "all"
  const hasChanges = (fault === "changes" || isAll) && !mayGrow(cell, !variant.saysMore)
  // A clock is set between walks, and in the midst of them.
  const hasRestarts = fault === "restarts" || fault === "clock jumps" || isAll
  // An API behind us has records for windows that we have read: that is what a lookback is for.
  const skews = cell.cursor === "windows" ? [5_400_000] : [5_400_000, -5_400_000, 7000]
  const hasSkew = fault === "clock skew" || (isAll && isCell({ ...cell, fault: "clock skew" }))
  const skew = hasSkew ? rng.pick(skews) : 0
  const theirs = () => right() + skew
  let jumps = 0
  /** Our own clock is set, back too, before a process starts; what an API is ahead of us, we are behind it. */
  const jump = () => {
    if (fault !== "clock jumps" || isQuiet || rng.below(2) === 0) return
    jumps++
    setWrong(-rng.pick([0, ...skews]))
  }
  const start = beginning - history
  const world = new World(cell, rng, theirs, start, hasChanges)
  const api = yield* standIn(cell, variant, world, rng, theirs)
  const slow = fault === "no headers" || fault === "no end of body"
  const timeout = slow ? "300 millis" : "30 seconds"
  const connector = settingsOf(api.url, cell, variant, start, {
    headers_timeout: timeout,
    body_timeout: timeout,
    page_timeout: "2 hours",
    retries: variant.retries
  })

  const tricks = tricksOf(fault, cell)
  // An API that has ignored the page number once looks the same to a process that has just started.
  let left = slow ? 2 : fault === "cursor repeated" && isCounted(cell) ? 1 : 40
  let isQuiet = false
  /** Questions whose last answer was none of the API's own. */
  const tricked = new Set<string>()
  let kills = 0
  let kill = yield* Deferred.make<never, Killed>()
  api.refuses = () => fault === "no connection" && !isQuiet && rng.below(4) === 0
  api.trick = (question) => {
    if (isQuiet) return undefined
    if (hasRestarts && kills < 12 && rng.below(9) === 0) {
      kills++
      Deferred.doneUnsafe(kill, Exit.fail(new Killed("at a request")))
    }
    // One that comes twice in a row to the same question would look like a page. Other partitions may ask in between.
    if (tricked.delete(question) || tricks.length === 0 || left === 0 || rng.below(slow ? 8 : 4) > 0) return undefined
    tricked.add(question)
    left--
    return rng.pick(tricks)
  }

  let committed: string | undefined
  const snapshots: Array<string> = []
  let walks = 0
  const problems: Array<string> = []
  /** How often each text was published, by walk where each walk reads everything. */
  const published = new Map<string, number>()
  const isWhole = cell.cursor === "everything" && cell.parting !== "parent, incremental"
  const commit = (page: Page): void => {
    for (const { value } of page.records) {
      const record = text(value)
      if (!world.written.has(record)) problems.push(`invented: ${record}`)
      const scope = isWhole ? `${walks} ${record}` : record
      published.set(scope, (published.get(scope) ?? 0) + 1)
    }
    for (const { reason } of page.rejected) problems.push(`rejected: ${reason}`)
    if (page.last) walks++
    committed = encodeCheckpoint(page.checkpoint)
    for (const { shard, text } of page.snapshots ?? []) snapshots[shard] = text
  }
  const dies = (when: string) => {
    if (!hasRestarts || isQuiet || kills >= 12 || rng.below(10) > 0) return Effect.void
    kills++
    return Effect.fail(new Killed(when))
  }
  const walkOnce = Effect.gen(function* () {
    api.renew()
    jump()
    kill = yield* Deferred.make<never, Killed>()
    const source = yield* make(connector, { base: import.meta.dirname })
    const from = committed === undefined ? undefined : decodeCheckpoint(committed)
    const reading = source.pages("items", from, { snapshots: [...snapshots], prefetch: rng.below(4) > 0 }).pipe(
      Stream.runForEach((page) =>
        Effect.andThen(
          dies("before a commit"),
          Effect.andThen(
            Effect.sync(() => commit(page)),
            dies("after a commit")
          )
        )
      )
    )
    return yield* Effect.raceFirst(reading, Deferred.await(kill))
  }).pipe(Effect.scoped)

  let starts = 0
  /** Walks to their ends, however often they break off. */
  const walkThrough = Effect.fnUntraced(function* (wanted: number) {
    const target = walks + wanted
    for (;;) {
      if (walks >= target) return
      if (++starts > mostStarts) return void problems.push(`no end after ${mostStarts} starts`)
      if (api.requests > mostRequests) return void problems.push(`no end after ${mostRequests} requests`)
      const before = walks
      const exit = yield* Effect.exit(Effect.timeout(walkOnce, "2 hours"))
      // A process may die just after it has committed the end.
      if (walks > before) world.between()
      if (Exit.isSuccess(exit)) continue
      const error = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
      const cause = error?._tag === "Fail" ? error.error : error?._tag === "Die" ? error.defect : undefined
      if (cause instanceof Killed) continue
      if (cause instanceof SourceError && isExpected(cause, fault)) continue
      return void problems.push(`broke off: ${String(cause instanceof Error ? cause.message : cause)}`)
    }
  })
  yield* walkThrough(3)
  if (problems.length === 0) {
    isQuiet = true
    world.quiet()
    setWrong(0)
    // What the API dated ahead of us lies behind us then, and every throttle is over.
    advance(3 * 3_600_000)
    yield* walkThrough(2)
  }

  if (problems.length === 0) {
    const last = isWhole ? `${walks - 1} ` : ""
    const missed = world.live.filter((record) => !published.has(`${last}${record}`))
    if (missed.length > 0) problems.push(`missed ${missed.length}: ${missed[0]}`)
    // Whoever names a position twice, or forgets one, has to show its records twice; so does one whose pages shift.
    const repeats =
      tricks.includes("cursor repeated") ||
      tricks.includes("cursor forgotten") ||
      (hasChanges && mayShift(cell)) ||
      (cell.cursor === "everything" && !isWhole)
    const doubled = [...published].filter(([, count]) => count > 1)
    if (!repeats && doubled.length > 0) problems.push(`doubled ${doubled.length}: ${doubled[0]?.join(" x ")}`)
  }
  const result: Result = {
    cell,
    seed,
    problems: [...new Set(problems)].slice(0, 5),
    requests: api.requests,
    faults:
      kills +
      jumps +
      [...api.played.values()].reduce((sum, count) => sum + count, 0) +
      (hasChanges ? world.changes : 0),
    starts
  }
  return result
})
