import { Clock, Context, Effect } from "effect"
import type { Connections } from "./Connections.ts"
import { exchange, isRefused, type Limits, type WireRequest } from "./Exchange.ts"
import { type OpenAnswer, openExchange } from "./OpenExchange.ts"
import { type SourceReason, Unreachable } from "./SourceError.ts"

/** A request on its way out. */
export interface Carried {
  readonly request: WireRequest
  readonly limits: Limits
  /** Its address as it may be shown. */
  readonly url: string
  /** Whether the body of a success is read as it comes in. */
  readonly streams: boolean
  /** Values that must never be shown or kept, those that authorize this request among them. */
  readonly secrets: ReadonlyArray<string>
}

/** The engine's only way to the servers of an API: what is put in its place sees every request, or answers it. */
export interface WireShape {
  /** Sends one request, as it is, and brings its answer with the encodings that it came in (but for `stream`). */
  readonly send: (
    carried: Carried,
    connections: Pick<Connections, "proxy" | "to">
  ) => Effect.Effect<OpenAnswer, SourceReason>
  /** Nothing goes out: there are no connections, no tokens and no limits to keep. */
  readonly isOffline: boolean
  /** When a walk of this stream begins, in milliseconds since 1970: what it asks for may depend on it. */
  readonly startedAt: (stream: string) => Effect.Effect<number>
}

const network: WireShape = {
  send: ({ limits, request, streams, url }, connections) =>
    Effect.suspend((): Effect.Effect<OpenAnswer, SourceReason> => {
      const dispatcher = connections.to(request.target)
      const sent: Effect.Effect<OpenAnswer, SourceReason> = streams
        ? openExchange(dispatcher, request, limits, url)
        : Effect.map(exchange(dispatcher, request, limits, url), (answer) => ({ ...answer, stream: undefined }))
      const proxy = connections.proxy(request.target)
      if (proxy === undefined) return sent
      // Through a proxy, it is the proxy that no connection can be made to.
      return Effect.mapError(sent, (reason) =>
        isRefused(reason) && reason._tag === "Unreachable"
          ? new Unreachable({ url: reason.url, problem: reason.problem, proxy })
          : reason
      )
    }),
  isOffline: false,
  startedAt: () => Clock.currentTimeMillis
}

export const Wire = Context.Reference<WireShape>("@tributary/connector/Wire", { defaultValue: () => network })
