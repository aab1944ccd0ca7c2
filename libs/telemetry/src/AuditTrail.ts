import { FailureClass } from "@tributary/domain"
import { Clock, Context, Effect, Latch, Schedule, Schema, type Scope, Semaphore } from "effect"

/** What happened to a credential. The token itself is never part of it. */
export const AuditEvent = Schema.Struct({
  /** Milliseconds since 1970. */
  at: Schema.Finite,
  /** The process that did it. */
  process: Schema.String,
  /** Empty: it concerns all of them. */
  authorization: Schema.String,
  /** Connectors that used the authorization in that process. */
  connectors: Schema.Array(Schema.String),
  /**
   * - `obtained`: a first token, or one of a grant that needs no other.
   * - `refreshed`: a refresh token was used, and what came for it is stored.
   * - `recovered`: the same, after an earlier request whose answer was lost.
   * - `revoked`: the server was told to end a token.
   * - `failed`: no token could be had; written once for a row of failures of one class.
   * - `needs-consent`: only a person can mend it.
   * - `key-rotated`: what is stored is sealed with another key.
   * - `events-lost`: so many events could not be written.
   */
  what: Schema.Literals([
    "obtained",
    "refreshed",
    "recovered",
    "revoked",
    "failed",
    "needs-consent",
    "key-rotated",
    "events-lost"
  ]),
  outcome: Schema.Union([Schema.Literal("ok"), FailureClass]),
  /** In words; as in an error message, without secrets. */
  detail: Schema.optionalKey(Schema.String)
})
export type AuditEvent = typeof AuditEvent.Type

/** The trail cannot be written or read. */
export class AuditError extends Schema.TaggedError<AuditError>()("AuditError", {
  place: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "transient" as const
  override get message(): string {
    return `The audit trail in ${this.place}: ${this.problem}`
  }
}

export interface AuditQuery {
  /** Only what concerns this connector, or the authorization of this name. */
  readonly connector: string | undefined
  /** So many at most, the newest. */
  readonly last: number
}

/** Whether a query asks for an event. */
export const isAskedFor = ({ connector }: AuditQuery, { authorization, connectors }: AuditEvent): boolean =>
  connector === undefined || authorization === connector || authorization === "" || connectors.includes(connector)

/** Who did what to which credential, and when. Events are only ever added. */
export class AuditTrail extends Context.Service<
  AuditTrail,
  {
    /** Takes an event; never fails and never waits. It is written within moments, and tried again until it can be. */
    readonly record: (event: Omit<AuditEvent, "at" | "process">) => Effect.Effect<void>
    /** What is written, oldest first. */
    readonly read: (query: AuditQuery) => Effect.Effect<ReadonlyArray<AuditEvent>, AuditError>
  }
>()("@tributary/telemetry/AuditTrail") {}

export interface AuditStore {
  /** Durable when it succeeds; may write events twice when it fails. */
  readonly append: (events: ReadonlyArray<AuditEvent>) => Effect.Effect<void, AuditError>
  readonly read: (query: AuditQuery) => Effect.Effect<ReadonlyArray<AuditEvent>, AuditError>
}

/** So many events wait to be written at most; of more the oldest are given up, which is written when it can be. */
const mostWaiting = 10_000
const mostAtOnce = 500
/** At the end of the process so long is waited for what is not written; a short command may only then connect to where it is kept. */
const patience = "5 seconds"

const again = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("30 seconds")]).pipe(Schedule.jittered)

/** An audit trail over a store that may be slow or away. What waits is written when the scope closes, for up to 5 seconds. */
export const makeAuditTrail = Effect.fnUntraced(function* (
  process: string,
  store: AuditStore
): Effect.fn.Return<AuditTrail["Service"], never, Scope.Scope> {
  let waiting: Array<AuditEvent> = []
  let lost = 0
  const news = Latch.makeUnsafe(false)
  /** One write at a time: what is being written is not written by somebody else as well. */
  const writing = Semaphore.makeUnsafe(1)

  const writeSome = Effect.gen(function* () {
    const some = waiting.slice(0, mostAtOnce)
    const missed = lost
    if (some.length === 0 && missed === 0) return
    const at = yield* Clock.currentTimeMillis
    const gap: ReadonlyArray<AuditEvent> =
      missed === 0
        ? []
        : [
            {
              at,
              process,
              authorization: "",
              connectors: [],
              what: "events-lost",
              outcome: "transient",
              detail: `${missed} events were given up, because the trail could not be written for too long.`
            }
          ]
    yield* store.append([...gap, ...some])
    lost -= missed
    const written = new Set(some)
    waiting = waiting.filter((event) => !written.has(event))
  }).pipe(writing.withPermit)
  const writeAll = Effect.whileLoop({
    while: () => waiting.length > 0 || lost > 0,
    body: () => writeSome,
    step: () => {}
  })

  const drain = Effect.gen(function* () {
    yield* news.await
    news.closeUnsafe()
    let isTold = false
    yield* writeAll.pipe(
      Effect.tapError((error) => {
        if (isTold) return Effect.void
        isTold = true
        return Effect.logWarning(`${error.message} It is tried again; up to ${mostWaiting} events wait.`)
      }),
      Effect.retry(again),
      Effect.ignore
    )
  })
  yield* Effect.forkScoped(Effect.forever(drain))
  // Comes before the end of that fiber: what it is writing is waited for, and not written again.
  yield* Effect.addFinalizer(() =>
    Effect.timeoutOption(writeAll, patience).pipe(
      Effect.catch((error) => Effect.logError(`${error.message} ${waiting.length} events of tokens are lost.`))
    )
  )

  return AuditTrail.of({
    record: (event) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        waiting.push({ at, process, ...event })
        if (waiting.length > mostWaiting) {
          waiting.shift()
          lost++
        }
        news.openUnsafe()
      }),
    read: store.read
  })
})
