import { Effect } from "effect"
import { decode } from "../Decode.ts"
import type { OpenAnswer } from "../OpenExchange.ts"
import { type AnswerHeaders, header } from "../RetryAfter.ts"
import type { WireRequest } from "../Exchange.ts"
import type { SourceReason } from "../SourceError.ts"
import type { WireShape } from "../Wire.ts"

/** An answer that came by, with what was asked. */
export interface Captured {
  readonly request: WireRequest
  /** As it may be shown. */
  readonly url: string
  readonly status: number
  readonly headers: AnswerHeaders
  /** Without encodings; empty where the body was read as it came in. */
  readonly body: Buffer
}

/** A wire that keeps the last answer, and with `again` gives the same request the same answer without asking. */
export const capturing = (wire: WireShape, again?: Captured) => {
  let last: Captured | undefined
  const isSame = ({ body, method, target }: WireRequest): boolean =>
    again !== undefined &&
    method === again.request.method &&
    target.href === again.request.target.href &&
    Buffer.compare(body ?? Buffer.alloc(0), again.request.body ?? Buffer.alloc(0)) === 0
  const send: WireShape["send"] = Effect.fnUntraced(function* (carried, connections): Effect.fn.Return<
    OpenAnswer,
    SourceReason
  > {
    const { limits, request, url } = carried
    if (again !== undefined && isSame(request)) {
      const headers = { ...again.headers }
      delete headers["content-encoding"]
      return { status: again.status, headers, body: again.body, stream: undefined }
    }
    const answer = yield* wire.send(carried, connections)
    const encoding = header(answer.headers, "content-encoding")
    const body =
      answer.stream === undefined
        ? yield* decode(answer.body, encoding, limits.max_page_bytes, url).pipe(
            Effect.orElseSucceed(() => Buffer.alloc(0))
          )
        : Buffer.alloc(0)
    last = { request, url, status: answer.status, headers: answer.headers, body }
    return answer
  })
  return { wire: { ...wire, send }, last: () => last }
}
