import { Effect } from "effect"
import type { ConnectorDefinition, DraftBody, Requester, Slice, StreamDefinition, StreamSlots } from "./slots/index.ts"

export interface FixedRequest {
  /** Address with its query. */
  readonly url: string | URL
  /** Default: GET, or POST with a body. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: DraftBody
  /** Values that must never be shown. */
  readonly secrets?: ReadonlyArray<string>
}

/** A requester in code: the same request for every page, or one that is made of the slice. */
export const requesterOf = (request: FixedRequest | ((slice: Slice) => FixedRequest)): Requester => ({
  draft: (slice) =>
    Effect.sync(() => {
      const { body, headers = {}, method, url } = typeof request === "function" ? request(slice) : request
      return {
        method: method ?? (body === undefined ? "GET" : "POST"),
        url: new URL(url),
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
        body
      }
    }),
  secretParameters: new Map(),
  secrets: typeof request === "function" ? [] : (request.secrets ?? [])
})

/** States a stream of slots that stay the same from walk to walk. */
export const defineStream = (slots: StreamSlots): StreamDefinition => ({ open: Effect.succeed(slots) })

/** States a connector in code. It is a plain value: making one registers nothing and starts nothing. */
export const defineConnector = (definition: ConnectorDefinition): ConnectorDefinition => definition
