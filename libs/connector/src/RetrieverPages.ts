import { Effect } from "effect"
import {
  type Next,
  PageView,
  type RequestDraft,
  type RequestSlots,
  type RetrievedPage,
  type Retriever,
  type WantedPage
} from "./slots/index.ts"

/** What stands for requester and extractor where a retriever does their work: nobody calls them. */
export const retrieverSlots = ({ place }: Retriever): RequestSlots => ({
  requester: {
    draft: () => Effect.die("a retriever sends its own requests"),
    secretParameters: new Map(),
    secrets: []
  },
  extractor: { accept: "", place, open: () => () => Effect.die("a retriever makes its own records") }
})

/** A page that a retriever made, as one that was asked for by a single request. */
export const fetchedFrom = (
  { extracted, next, url }: RetrievedPage,
  { position, slice }: WantedPage
): { readonly draft: RequestDraft; readonly page: PageView; readonly rest: undefined; readonly onward: Next } => {
  const target = new URL("about:blank")
  const answer = {
    status: 200,
    headers: {},
    body: extracted.body,
    stream: undefined,
    target,
    url,
    secrets: [],
    isIgnored: false
  }
  return {
    draft: { method: "GET", url: target, headers: {}, body: undefined },
    page: new PageView(answer, slice, position, extracted),
    rest: undefined,
    onward: next
  }
}
