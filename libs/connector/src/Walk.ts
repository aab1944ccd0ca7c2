import { Clock, Effect, Stream } from "effect"
import { beginning } from "./beginning.ts"
import type { Checkpoint, CursorState } from "./Checkpoint.ts"
import type { Page } from "./Page.ts"
import { sliceReader, type WalkPlan } from "./SliceWalk.ts"
import type { SourceReason } from "./SourceError.ts"
import type { Transport } from "./Transport.ts"

/** The cursor's part of a checkpoint. */
const stateOf = ({ cursor, seen, state }: CursorState): CursorState => ({
  ...(cursor === undefined ? {} : { cursor }),
  ...(seen === undefined ? {} : { seen }),
  ...(state === undefined ? {} : { state })
})

/** The walk over a stream that is one part, as a stream of pages. */
export const walk = (
  plan: WalkPlan,
  transport: Transport,
  from: Checkpoint | undefined,
  prefetch: boolean
): Stream.Stream<Page, SourceReason> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const walked = from?.walk
      const startedAt = walked?.startedAt ?? (yield* transport.startedAt(plan.name))
      const reader = yield* sliceReader(plan, transport, startedAt, prefetch)
      const known = yield* beginning(plan.slots.cursor, stateOf(from ?? {}), undefined)
      const started = yield* reader.start(undefined, known, walked)
      const before = {
        ...(from?.startedAt === undefined ? {} : { startedAt: from.startedAt }),
        ...(from?.completedAt === undefined ? {} : { completedAt: from.completedAt })
      }
      const goesOn = walked !== undefined && (walked.position === undefined || started.begin?.position !== undefined)
      let number = goesOn ? walked.number : 0
      return reader.pages(started).pipe(
        Stream.mapEffect(({ found, next, state }) =>
          Effect.map(Clock.currentTimeMillis, (now): Page => {
            const page = { ...found, number: number++, last: next === undefined }
            return next === undefined
              ? { ...page, checkpoint: { v: 1, startedAt, completedAt: now, ...state } }
              : { ...page, checkpoint: { v: 1, ...state, ...before, walk: { ...next, number, startedAt } } }
          })
        )
      )
    })
  )
