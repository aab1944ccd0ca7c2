import type { AuthServerOptions, ProviderManner } from "@tributary/testkit"
import type { Table, TableSize } from "./Table.ts"

/** A request as a stand-in sees it; its credentials were checked. */
export interface Call {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** JSON, or a text as it is. */
  readonly body: unknown
}

/** How an API lets requests in. A request without the right credentials gets its `denied`. */
export type Access =
  | { readonly header: readonly [name: string, value: string] }
  | { readonly query: Readonly<Record<string, string>> }
  | { readonly open: true }
  | {
      readonly oauth: {
        /** Host and path of the token endpoint. */
        readonly token: string
        readonly manner?: ProviderManner
        readonly client?: "basic" | "post"
        /** Environment variable that the connector takes the first refresh token from; without it, none is issued. */
        readonly refreshToken?: string
        readonly scopes?: ReadonlyArray<string>
      } & Pick<AuthServerOptions, "rotate" | "graceMs">
    }

/** What a read has to bring after some rows were changed and some were added. */
export type Brings =
  /** The changed ones and the new ones. */
  | "changes"
  /** The new ones: the API cannot be asked for changes. */
  | "additions"
  /** All of them: the stream is read whole each time. */
  | "everything"

export interface StandInStream {
  readonly table: TableSize
  /** A row as the connector publishes it. */
  readonly record: (row: Row) => unknown
  /** What the second read brings, and each one after it. */
  readonly brings: Brings
  /** The same, where the API has forgotten what the first read knew. */
  readonly second?: Brings
  /** How late rows may be shown, in milliseconds; one is then shown to the third read that the second had to have met. */
  readonly late?: number
}

/** A row; each API writes it in its own form. Times are in milliseconds since 1970. */
export interface Row {
  readonly id: number
  /** Which of the parent's rows it belongs to; 0 without one. */
  readonly parent: number
  readonly created: number
  updated: number
  /** Grows with each change. */
  version: number
}

/** The data of a stand-in while it runs. */
export interface World {
  readonly table: (stream: string) => Table
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A local server in the place of a well-known API: its addresses, forms of answers, paging, and errors as it documents them. */
export interface StandIn {
  /** The connector's file, without its ending. */
  readonly file: string
  /** Hosts whose requests it answers. */
  readonly hosts: ReadonlyArray<string>
  /** What the file's references stand for. */
  readonly env: Readonly<Record<string, string>>
  readonly access: Access
  /** What it says when it is in trouble, when it is asked too often, and when credentials are wrong. */
  readonly errors: { readonly broken: Reply; readonly throttled: Reply; readonly denied: Reply }
  readonly streams: Readonly<Record<string, StandInStream>>
  /** Answers requests; `undefined`: no such address. */
  readonly open: (world: World) => (call: Call) => Reply | undefined
}

export const ok = (body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status: 200,
  headers,
  body
})

export const refused = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers,
  body
})
