import { startSyntheticApi, type SyntheticApi } from "@tributary/testkit"
import { Clock, Effect } from "effect"
import { Seeded } from "./Seeded.ts"
import type { ChaosStream } from "./Streams.ts"

/** Secret that every API knows its client by. */
export const clientSecret = "client-secret"

const releaseEvery = "200 millis"

/** A stream with its API. */
export interface StreamApi {
  readonly stream: ChaosStream
  readonly api: SyntheticApi
  /** Records that it has in the end. */
  readonly total: number
}

/** What goes wrong with requests for records, unless the API is calm; shares of all requests. */
const troubles = {
  errorRate: 0.01,
  dropRate: 0.005,
  cutRate: 0.005,
  throttleRate: 0.002,
  retryAfter: 1,
  // Tokens are fetched anew all the time, at times before they were said to end.
  tokenLife: 60,
  trueTokenLife: 45,
  revokeEvery: 300
}

/** Starts an API for each stream, with few records at first. They end with the scope. */
export const startApis = Effect.fnUntraced(function* (
  streams: ReadonlyArray<ChaosStream>,
  options: { readonly records: number; readonly seed: number; readonly isCalm?: boolean }
) {
  return yield* Effect.forEach(streams, (stream, at) =>
    Effect.gen(function* () {
      const total = Math.floor(options.records / streams.length) + (at < options.records % streams.length ? 1 : 0)
      const seeded = new Seeded(options.seed + at)
      const api = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startSyntheticApi({
            first: stream.first,
            records: Math.min(total, 10),
            pageSize: 500,
            clientSecret,
            random: seeded.next,
            ...(options.isCalm === true ? {} : troubles)
          })
        ),
        (api) => Effect.promise(() => api.stop())
      )
      return { stream, api, total } satisfies StreamApi
    })
  )
})

/** Lets the APIs have more and more records, all of them after a time (milliseconds). */
export const release = Effect.fnUntraced(function* (apis: ReadonlyArray<StreamApi>, lasts: number) {
  const begun = yield* Clock.currentTimeMillis
  for (;;) {
    const share = Math.min(1, ((yield* Clock.currentTimeMillis) - begun) / lasts)
    for (const { api, total } of apis) api.set({ records: Math.max(Math.min(total, 10), Math.floor(total * share)) })
    if (share === 1) return
    yield* Effect.sleep(releaseEvery)
  }
})
