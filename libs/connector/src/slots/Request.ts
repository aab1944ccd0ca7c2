import type { LosslessJson } from "@tributary/codec"

/** Where in a request a value goes. */
export interface Place {
  readonly in: "query" | "header" | "body" | "path" | "placeholder"
  /**
   * Name of the parameter, header or body member (`a.b` is a member of a member). In a path it replaces `{name}`; a placeholder is
   * replaced wherever the request has it.
   */
  readonly name: string
}

/** The body of a request before it is written out, so that slots can still put values into it. */
export type DraftBody =
  | { readonly _tag: "Json"; readonly members: Record<string, LosslessJson.Json> }
  | { readonly _tag: "Form"; readonly fields: Record<string, string> }
  /** Values that slots put in become variables. */
  | { readonly _tag: "GraphQl"; readonly query: string; readonly variables: Record<string, LosslessJson.Json> }
  | { readonly _tag: "Text"; readonly text: string; readonly contentType: string }

/**
 * A request that is being put together. The requester makes a new one for every page; cursor, router and paginator then put
 * their values in, in this order. It is theirs alone until it is sent, so they change it in place.
 */
export interface RequestDraft {
  method: string
  /** Address with the query. Its origin is where the connector's credentials may go. */
  url: URL
  /** Names in lower case. The authenticator's are added when it is sent. */
  readonly headers: Record<string, string>
  body: DraftBody | undefined
}

/** What a request carries to the wire. */
export interface EncodedBody {
  readonly bytes: Uint8Array
  readonly contentType: string
}
